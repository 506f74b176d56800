-- ICU stays by the codes ICU_ADMISSION and ICU_DISCHARGE (alone, or followed by // and the unit): each admission meets the first
-- discharge of the same subject after it. Admissions without a discharge are no stays.
CREATE TABLE given_stays AS
WITH edges AS (
    SELECT subject_id, time, split_part(code, '//', 1) AS edge FROM meds
    WHERE split_part(code, '//', 1) IN ('ICU_ADMISSION', 'ICU_DISCHARGE') AND time IS NOT NULL
), admissions AS (
    SELECT DISTINCT subject_id, time AS intime FROM edges WHERE edge = 'ICU_ADMISSION'
), paired AS (
    SELECT a.subject_id, a.intime, min(d.time) AS outtime
    FROM admissions a JOIN edges d ON d.edge = 'ICU_DISCHARGE' AND d.subject_id = a.subject_id AND d.time > a.intime
    GROUP BY a.subject_id, a.intime
)
-- of two admissions before one discharge (a move between units) the first counts
SELECT row_number() OVER (ORDER BY subject_id, outtime) AS stay_id, subject_id, CAST(NULL AS BIGINT) AS hadm_id,
    min(intime) AS intime, outtime
FROM paired
GROUP BY subject_id, outtime;
