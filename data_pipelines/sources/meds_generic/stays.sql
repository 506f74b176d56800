-- ICU stays with the patient's age, sex, race and death, from any MEDS data set.
-- Source: codes MEDS_BIRTH, MEDS_DEATH, GENDER//<sex>, RACE//<race> or ETHNICITY//<race>, HOSPITAL_DISCHARGE//<where to>. Age in whole
-- years. The first hospital discharge after ICU admission ends the hospital stay, and tells whether it ended in death
-- (HOSPITAL_DISCHARGE//DIED). Without one the patient lived if no death is recorded, and nothing is known if one is. Stays up to the
-- same hospital discharge are of one admission, unless a file of stays says otherwise (hadm_id).
CREATE VIEW stays AS
WITH subjects AS (
    SELECT subject_id, min(time) FILTER (code = 'MEDS_BIRTH') AS birth, max(time) FILTER (code = 'MEDS_DEATH') AS death_time,
        max(split_part(code, '//', 2)) FILTER (split_part(code, '//', 1) IN ('GENDER', 'SEX')) AS sex,
        max(split_part(code, '//', 2)) FILTER (split_part(code, '//', 1) IN ('RACE', 'ETHNICITY')) AS race
    FROM meds
    WHERE code IN ('MEDS_BIRTH', 'MEDS_DEATH') OR split_part(code, '//', 1) IN ('GENDER', 'SEX', 'RACE', 'ETHNICITY')
    GROUP BY subject_id
), discharges AS (
    SELECT subject_id, time, bool_or(code = 'HOSPITAL_DISCHARGE//DIED') AS is_death FROM meds
    WHERE split_part(code, '//', 1) = 'HOSPITAL_DISCHARGE' AND time IS NOT NULL
    GROUP BY subject_id, time
), ended AS (
    SELECT g.*, d.time AS discharge_time, d.is_death
    FROM given_stays g ASOF LEFT JOIN discharges d ON d.subject_id = g.subject_id AND d.time > g.intime
)
SELECT e.stay_id, e.subject_id,
    coalesce(e.hadm_id, -dense_rank() OVER (ORDER BY e.subject_id, coalesce(e.discharge_time, e.outtime))) AS hadm_id,
    e.intime, e.outtime, date_sub('year', s.birth, e.intime) AS age, s.sex, s.race, s.death_time,
    CASE WHEN (SELECT bool_or(is_death) FROM discharges) THEN coalesce(e.is_death, CASE WHEN s.death_time IS NULL THEN false END) END
        AS hospital_expire_flag
FROM ended e
LEFT JOIN subjects s ON s.subject_id = e.subject_id;
