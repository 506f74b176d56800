-- The cohort: candidate stays with at least one plausible vital sign, with outcomes in hours since ICU admission.
-- icu_death: the patient died in this hospital stay, before leaving the ICU; NULL where the data set does not tell.
CREATE TABLE cohort AS
SELECT stay_id, subject_id, n_hours, CAST(age AS INTEGER) AS age, coalesce(sex, 'UNKNOWN') AS sex, coalesce(race, 'UNKNOWN') AS race,
    hospital_expire_flag AS hospital_death,
    CASE WHEN getvariable('knows_icu_death') THEN hospital_expire_flag IS NOT false AND coalesce(death_time <= outtime, false) END AS icu_death,
    los_hours, (epoch_us(death_time) - epoch_us(intime)) / 3.6e9 AS death_hour, intime, outtime
FROM candidate_stays
WHERE stay_id IN (SELECT stay_id FROM placed_observations WHERE is_vital_sign AND dropped IS NULL);

-- Every hour of every stay of the cohort, recorded or not.
CREATE TABLE stay_hours AS
SELECT stay_id, CAST(unnest(range(n_hours)) AS INTEGER) AS hour FROM cohort;
