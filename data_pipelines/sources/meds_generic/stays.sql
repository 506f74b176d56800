-- ICU stays with the patient's age, sex, race and death, from any MEDS data set.
-- Source: codes MEDS_BIRTH, MEDS_DEATH, GENDER//<sex>, RACE//<race> or ETHNICITY//<race>, HOSPITAL_DISCHARGE//DIED. Age in whole
-- years of the calendar. The hospital death is the patient's own where such a discharge lies within a day of the death.
CREATE VIEW stays AS
WITH subjects AS (
    SELECT subject_id, min(time) FILTER (code = 'MEDS_BIRTH') AS birth, max(time) FILTER (code = 'MEDS_DEATH') AS death_time,
        max(split_part(code, '//', 2)) FILTER (split_part(code, '//', 1) IN ('GENDER', 'SEX')) AS sex,
        max(split_part(code, '//', 2)) FILTER (split_part(code, '//', 1) IN ('RACE', 'ETHNICITY')) AS race,
        max(time) FILTER (code = 'HOSPITAL_DISCHARGE//DIED') AS died
    FROM meds
    WHERE code IN ('MEDS_BIRTH', 'MEDS_DEATH', 'HOSPITAL_DISCHARGE//DIED')
        OR split_part(code, '//', 1) IN ('GENDER', 'SEX', 'RACE', 'ETHNICITY')
    GROUP BY subject_id
), last_stays AS (
    SELECT subject_id, max(intime) AS intime FROM given_stays GROUP BY subject_id
)
SELECT g.stay_id, g.subject_id, g.hadm_id, g.intime, g.outtime, year(g.intime) - year(s.birth) AS age, s.sex, s.race, s.death_time,
    s.died IS NOT NULL AND l.intime = g.intime AS hospital_expire_flag
FROM given_stays g
LEFT JOIN subjects s USING (subject_id)
LEFT JOIN last_stays l USING (subject_id);
