-- Set b is held out where set a is there to train on; set a is split 85 : 15 into train and tuning by a hash of the stay.
CREATE TABLE given_splits AS
WITH ranked AS (
    SELECT stay_id, is_set_b, percent_rank() OVER (PARTITION BY is_set_b ORDER BY md5(CAST(stay_id AS VARCHAR))) AS share
    FROM outcomes WHERE stay_id IN (SELECT stay_id FROM stay_rows)
)
SELECT stay_id AS subject_id, CASE WHEN is_set_b THEN 'held_out' WHEN share < 0.85 THEN 'train' ELSE 'tuning' END AS split
FROM ranked
WHERE (SELECT count(DISTINCT is_set_b) FROM ranked) = 2;
