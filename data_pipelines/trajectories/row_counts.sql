-- What went in, what was kept and what was dropped for which reason in this shard, stage by stage; becomes `row_counts` in
-- dataset.json.
CREATE VIEW row_counts AS
-- a candidate stay that lost its place for want of a vital sign takes its readings with it
WITH observed AS (
    SELECT CASE WHEN o.dropped IS NULL AND c.stay_id IS NULL THEN 'outside_cohort' ELSE o.dropped END AS dropped, count(*) AS n
    FROM placed_observations o LEFT JOIN cohort c USING (stay_id)
    GROUP BY ALL
), totals AS (
    SELECT (SELECT count(*) FROM observations) AS observations, (SELECT count(*) FROM placed_observations) AS placed,
        (SELECT coalesce(sum(n), 0) FROM observed WHERE dropped IS NULL) AS plausible, (SELECT count(*) FROM readings) AS readings
)
SELECT 'stays' AS stage, 'no_vital_sign' AS dropped, (SELECT count(*) FROM candidate_stays) - (SELECT count(*) FROM cohort) AS n
UNION ALL
SELECT 'stays', NULL, (SELECT count(*) FROM cohort)
UNION ALL
SELECT 'observations', dropped, n FROM observed WHERE dropped IS NOT NULL
UNION ALL
SELECT 'observations', 'outside_stay', observations - placed FROM totals
UNION ALL
SELECT 'observations', 'repeated', plausible - readings FROM totals
UNION ALL
SELECT 'observations', NULL, readings FROM totals
UNION ALL
SELECT 'actions', dropped, count(*) FROM placed_actions GROUP BY dropped
UNION ALL
SELECT 'actions', 'outside_cohort', (SELECT count(*) FROM actions) - (SELECT count(*) FROM placed_actions)
UNION ALL
SELECT 'action_numbers', CASE WHEN lost_number THEN 'implausible_or_unknown_unit' END, count(*)
FROM placed_actions WHERE dropped IS NULL AND (lost_number OR value IS NOT NULL)
GROUP BY ALL
UNION ALL
SELECT 'hours', NULL, count(*) FROM stay_hours
UNION ALL
SELECT 'values', NULL, (SELECT count(*) FROM measured_values) + (SELECT count(*) FROM scores);
