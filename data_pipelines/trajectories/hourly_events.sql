-- What is kept, an event an hour: an observation in its hour, an action in every hour that it overlaps.
CREATE VIEW hourly_events AS
SELECT 'observation' AS kind, stay_id, hour, moment, variable, value, text
FROM placed_observations
WHERE dropped IS NULL AND stay_id IN (SELECT stay_id FROM cohort)
UNION ALL
SELECT 'action', stay_id, unnest(range(first_hour, last_hour + 1)), start_time, variable, value, text
FROM placed_actions
WHERE dropped IS NULL;
