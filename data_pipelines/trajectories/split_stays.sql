-- The stays of the store, each with the split of its subject.
-- Splits: 70 % train, 15 % tuning, 15 % held_out of the subjects, drawn within each stratum (did any cohort stay of the subject end in
-- hospital death; did any have sepsis-3), in the order of a hash of seed and subject: the same seed gives the same split on any
-- machine. A data set that brings its own splits (given_splits) keeps them.
CREATE VIEW split_stays AS
WITH subjects AS (
    SELECT subject_id, (coalesce(bool_or(hospital_death), false), coalesce(bool_or(sepsis3), false)) AS stratum
    FROM all_stays GROUP BY subject_id
), ranked AS (
    SELECT subject_id,
        (row_number() OVER (PARTITION BY stratum ORDER BY md5(getvariable('seed') || ':' || subject_id), subject_id) - 0.5)
            / count(*) OVER (PARTITION BY stratum) AS share
    FROM subjects
), drawn AS (
    SELECT subject_id, CASE WHEN share < 0.70 THEN 'train' WHEN share < 0.85 THEN 'tuning' ELSE 'held_out' END AS split FROM ranked
)
SELECT c.stay_id, c.subject_id, coalesce(g.split, d.split) AS split, c.* EXCLUDE (stay_id, subject_id)
FROM all_stays c
JOIN drawn d USING (subject_id)
LEFT JOIN given_splits g ON g.subject_id = c.subject_id
ORDER BY c.stay_id;
