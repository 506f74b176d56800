-- What went in, what was kept and what was dropped for which reason, stage by stage; becomes `row_counts` in dataset.json.
CREATE VIEW row_counts AS
-- rows of the source tables whose item is in variables.csv
SELECT source_table AS stage, NULL AS dropped, coalesce(m.n, 0) AS n
FROM source_rows LEFT JOIN mapped_rows m USING (source_table)
UNION ALL
SELECT source_table, 'unmapped_item', s.n - coalesce(m.n, 0)
FROM source_rows s LEFT JOIN mapped_rows m USING (source_table)
UNION ALL
SELECT 'stays', dropped, count(*) FROM candidates GROUP BY dropped
UNION ALL
-- a candidate stay that lost its place for want of a vital sign takes its readings with it
SELECT 'observations', CASE WHEN o.dropped IS NULL AND c.stay_id IS NULL THEN 'outside_cohort' ELSE o.dropped END, count(*)
FROM placed_observations o LEFT JOIN cohort c USING (stay_id)
GROUP BY ALL
UNION ALL
SELECT 'observations', 'outside_cohort', (SELECT count(*) FROM observations) - (SELECT count(*) FROM placed_observations)
UNION ALL
SELECT 'actions', dropped, count(*) FROM placed_actions GROUP BY dropped
UNION ALL
SELECT 'actions', 'outside_cohort', (SELECT count(*) FROM actions) - (SELECT count(*) FROM placed_actions)
UNION ALL
SELECT 'action_numbers', CASE WHEN lost_number THEN 'implausible_or_unknown_unit' END, count(*)
FROM placed_actions WHERE dropped IS NULL AND (lost_number OR value IS NOT NULL)
GROUP BY ALL;
