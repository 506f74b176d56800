-- The cohort: candidate stays with at least one plausible vital sign, with outcomes in hours since ICU admission.
-- icu_death: the patient died in this hospital stay, before leaving the ICU.
CREATE TABLE cohort AS
SELECT stay_id, subject_id, n_hours, CAST(age AS INTEGER) AS age, coalesce(sex, 'UNKNOWN') AS sex, coalesce(race, 'UNKNOWN') AS race,
    hospital_expire_flag AS hospital_death,
    hospital_expire_flag AND coalesce(death_time <= outtime, false) AS icu_death,
    los_hours, (epoch_us(death_time) - epoch_us(intime)) / 3.6e9 AS death_hour, intime, outtime
FROM candidates
WHERE dropped IS NULL
    AND stay_id IN (SELECT stay_id FROM placed_observations WHERE category = 'vital sign' AND dropped IS NULL);

UPDATE candidates SET dropped = 'no_vital_sign' WHERE dropped IS NULL AND stay_id NOT IN (SELECT stay_id FROM cohort);
