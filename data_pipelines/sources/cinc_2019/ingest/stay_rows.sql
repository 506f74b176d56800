-- The hourly rows of candidate stays. Left as they are: a shard turns them into readings.
-- Left out: nothing
SELECT r.*, r.stay_id AS subject_id, CASE WHEN s.stay_id IS NULL THEN 'outside_cohort' END AS dropped
FROM stay_rows r
LEFT JOIN candidate_stays s ON s.stay_id = r.stay_id;
