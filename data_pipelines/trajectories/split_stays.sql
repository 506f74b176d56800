-- The stays of the store, each with the split of its subject.
-- Splits: 70 % train, 15 % tuning, 15 % held_out of the subjects, drawn within each stratum (did any cohort stay of the subject
-- end in hospital death), in the order of a hash of seed and subject: the same seed gives the same split on any machine. A data
-- set that brings its own splits (given_splits) keeps them.
CREATE VIEW split_stays AS
WITH subjects AS (
    SELECT subject_id, bool_or(hospital_death) AS stratum FROM cohort GROUP BY subject_id
), ranked AS (
    SELECT subject_id,
        (row_number() OVER (PARTITION BY stratum ORDER BY md5(getvariable('seed') || ':' || subject_id), subject_id) - 0.5)
            / count(*) OVER (PARTITION BY stratum) AS share
    FROM subjects
), drawn AS (
    SELECT subject_id, CASE WHEN share < 0.70 THEN 'train' WHEN share < 0.85 THEN 'tuning' ELSE 'held_out' END AS split FROM ranked
)
SELECT c.stay_id, c.subject_id, coalesce(g.split, d.split) AS split, c.n_hours, c.age, c.sex, c.race,
    'age: ' || c.age || ' years; sex: ' || c.sex || '; race: ' || c.race AS static_text,
    c.hospital_death, c.icu_death, c.los_hours, c.death_hour
FROM cohort c
JOIN drawn d USING (subject_id)
LEFT JOIN given_splits g ON g.subject_id = c.subject_id
ORDER BY c.stay_id;
