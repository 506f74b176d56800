-- ICU stays of the Challenge 2012: the first 48 hours. The files hold hours only: ICU admission is set to the beginning of the year
-- 2000. Survival is in days since ICU admission; -1 where no death is known.
-- Source: parameters Age, Gender (1 is male) at 00:00; Outcomes-*.txt.
CREATE VIEW stays AS
SELECT r.stay_id, r.stay_id AS subject_id, r.stay_id AS hadm_id, TIMESTAMP '2000-01-01' AS intime,
    TIMESTAMP '2000-01-03' AS outtime, max(r.value) FILTER (parameter = 'Age' AND r.value >= 0) AS age,
    CASE max(r.value) FILTER (parameter = 'Gender') WHEN 1 THEN 'M' WHEN 0 THEN 'F' END AS sex, CAST(NULL AS VARCHAR) AS race,
    CASE WHEN max(o.survival) >= 0 THEN TIMESTAMP '2000-01-01' + to_days(max(o.survival)) END AS death_time,
    max(o.died) = 1 AS hospital_expire_flag
FROM stay_rows r
LEFT JOIN outcomes o ON o.stay_id = r.stay_id
GROUP BY r.stay_id;
