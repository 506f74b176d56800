"""The rules that a stay of the cohort passes, in words; trajectories/candidates.sql and trajectories/cohort.sql apply them."""

RULES = {
    "invalid_times": "in- and out-times are missing or reversed",
    "younger_than_18": "the patient is younger than 18 years or of unknown age",
    "not_first_icu_stay": "it is not the first ICU stay of its admission",
    "shorter_than_6_hours": "it is shorter than 6 hours",
    "no_vital_sign": "it has no plausible vital sign",
}
