-- ICU stays of the Challenge 2019. The files hold hours only: ICU admission is set to the beginning of the year 2000.
-- Source: columns ICULOS (hours since ICU admission, from 1), Age, Gender (1 is male). Deaths are not published.
CREATE VIEW stays AS
SELECT stay_id, stay_id AS subject_id, stay_id AS hadm_id, TIMESTAMP '2000-01-01' AS intime,
    TIMESTAMP '2000-01-01' + to_hours(CAST(max(ICULOS) AS INTEGER)) AS outtime, floor(max(Age)) AS age,
    CASE max(Gender) WHEN 1 THEN 'M' WHEN 0 THEN 'F' END AS sex, CAST(NULL AS VARCHAR) AS race, CAST(NULL AS TIMESTAMP) AS death_time,
    CAST(NULL AS BOOLEAN) AS hospital_expire_flag
FROM stay_rows
GROUP BY stay_id;
