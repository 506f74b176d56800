-- ICU stays with the patient's age, sex, race and death, from a MEDS data set made from MIMIC-IV.
-- Source: codes ICU_ADMISSION, ICU_DISCHARGE (icustay_id, hadm_id), HOSPITAL_ADMISSION (race), HOSPITAL_DISCHARGE//DIED,
-- GENDER, MEDS_BIRTH, MEDS_DEATH. MEDS puts the birth at January 1st of anchor_year - anchor_age, so the age in years at ICU
-- admission is the difference of the two calendar years, the same as in the original layout.
CREATE VIEW stays AS
WITH admissions AS (
    SELECT hadm_id, max(race) AS race FROM coded_events WHERE prefix = 'HOSPITAL_ADMISSION' GROUP BY hadm_id
), died AS (
    SELECT DISTINCT hadm_id FROM coded_events WHERE code = 'HOSPITAL_DISCHARGE//DIED'
), subjects AS (
    SELECT subject_id, min(time) FILTER (code = 'MEDS_BIRTH') AS birth, max(time) FILTER (code = 'MEDS_DEATH') AS death_time,
        max(split_part(code, '//', 2)) FILTER (prefix = 'GENDER') AS sex
    FROM coded_events WHERE prefix IN ('MEDS_BIRTH', 'MEDS_DEATH', 'GENDER') GROUP BY subject_id
), icu AS (
    SELECT icustay_id AS stay_id, subject_id, max(hadm_id) AS hadm_id, min(time) FILTER (prefix = 'ICU_ADMISSION') AS intime,
        max(time) FILTER (prefix = 'ICU_DISCHARGE') AS outtime
    FROM coded_events WHERE prefix IN ('ICU_ADMISSION', 'ICU_DISCHARGE') GROUP BY icustay_id, subject_id
)
SELECT i.stay_id, i.subject_id, i.hadm_id, i.intime, i.outtime, year(i.intime) - year(s.birth) AS age, s.sex, a.race, s.death_time,
    d.hadm_id IS NOT NULL AS hospital_expire_flag
FROM icu i
LEFT JOIN subjects s USING (subject_id)
LEFT JOIN admissions a ON a.hadm_id = i.hadm_id
LEFT JOIN died d ON d.hadm_id = i.hadm_id;
