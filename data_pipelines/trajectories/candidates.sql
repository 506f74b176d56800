-- Every ICU stay with the first cohort rule that drops it, or NULL.
-- Source: the published cohort: adults (18 years or more), first ICU stay of each hospital admission, ICU length of stay of at
-- least 6 hours, valid times. The rule on vital signs needs the readings: trajectories/cohort.sql.
-- n_hours: every hour that the patient spent in the ICU, the last one in part, counts (length of stay rounded up), at most 336.
-- death_time: of a later death only the date may be known, whose midnight can lie before the patient left alive: not before outtime.
CREATE TABLE candidates AS
WITH ranked AS (
    SELECT * REPLACE (CASE WHEN hospital_expire_flag IS false AND death_time < outtime THEN outtime ELSE death_time END AS death_time),
        row_number() OVER (PARTITION BY hadm_id ORDER BY intime NULLS LAST, stay_id) AS nth_of_admission,
        (epoch_us(outtime) - epoch_us(intime)) / 3.6e9 AS los_hours
    FROM stays
)
SELECT *, CAST(least(336, ceil(los_hours)) AS INTEGER) AS n_hours,
    CASE
        WHEN intime IS NULL OR outtime IS NULL OR outtime <= intime THEN 'invalid_times'
        WHEN age IS NULL OR age < 18 THEN 'younger_than_18'
        WHEN nth_of_admission > 1 THEN 'not_first_icu_stay'
        WHEN los_hours < 6 THEN 'shorter_than_6_hours'
    END AS dropped
FROM ranked;
