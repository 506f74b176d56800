-- ICU stays with the patient's age, sex, race and death.
-- Source: MIMIC-IV icu/icustays, hosp/admissions, hosp/patients. Age in years at ICU admission, as MIMIC-IV documents it:
-- anchor_age + (year of admission - anchor_year). Time of death: the recorded time where the patient died in hospital
-- (admissions.deathtime), else the date of death (patients.dod, a date only).
CREATE VIEW stays AS
WITH deaths AS (
    SELECT subject_id, max(deathtime) AS deathtime FROM admissions GROUP BY subject_id
)
SELECT s.stay_id, s.subject_id, s.hadm_id, s.intime, s.outtime,
    p.anchor_age + year(s.intime) - p.anchor_year AS age,
    p.gender AS sex, a.race, coalesce(d.deathtime, p.dod) AS death_time,
    coalesce(a.hospital_expire_flag = 1, false) AS hospital_expire_flag
FROM icustays s
LEFT JOIN patients p USING (subject_id)
LEFT JOIN admissions a USING (hadm_id)
LEFT JOIN deaths d ON d.subject_id = s.subject_id;
