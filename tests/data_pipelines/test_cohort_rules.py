"""The cohort: each rule keeps what it should keep and drops its counter-example."""

from tests.data_pipelines.stores import Store


def test_kept_stays(store: Store) -> None:
    assert store.stays["stay_id"].to_list() == [301, 302, 304, 309, 324]


def test_each_rule_drops_its_counter_example(store: Store) -> None:
    assert store.dataset["row_counts"]["stays"] == {
        "in": 11,
        "kept": 5,
        "dropped": {
            "invalid_times": 1,  # 306
            "younger_than_18": 1,  # 303
            "not_first_icu_stay": 1,  # 314
            "shorter_than_6_hours": 1,  # 305
            "no_vital_sign": 2,  # 307, and 308, whose only one is implausible
        },
    }


def test_a_new_admission_has_its_own_first_stay(store: Store) -> None:
    assert store.stay(324)["subject_id"] == store.stay(304)["subject_id"]


def test_eighteen_years_and_six_hours_are_enough(store: Store) -> None:
    stay = store.stay(304)
    assert (stay["age"], stay["los_hours"], stay["n_hours"]) == (18, 6.0, 6)


def test_hours_are_rounded_up_and_capped(store: Store) -> None:
    assert [store.stay(stay)["n_hours"] for stay in (301, 302, 309)] == [8, 12, 336]
    assert store.stay(309)["los_hours"] == 400.0


def test_age_is_that_of_the_admission_year(store: Store) -> None:
    assert store.stay(301)["age"] == 67  # 66 in 2149, admitted in 2150


def test_outcomes(store: Store) -> None:
    survivor, dead = store.stay(301), store.stay(302)
    assert (survivor["hospital_death"], survivor["icu_death"], survivor["death_hour"]) == (False, False, None)
    assert (dead["hospital_death"], dead["icu_death"], dead["death_hour"]) == (True, True, 11.5)


def test_static_text(store: Store) -> None:
    assert store.stay(301)["static_text"] == "age: 67 years; sex: F; race: WHITE"
