-- The label rule of early event prediction, for an hourly event status (stay_id, hour, is_event) with a row an observed hour.
-- The label of hour t looks at the hours t+1 to t+horizon:
--   true     if an event falls there, even if a non-event does too;
--   false    if only non-events are observed there;
--   missing  (no row) if t itself is an event, or if nothing is observed there, or - switches_only - if the last known status up to t
--            is an event and another event lies ahead: a patient who is failing already is not asked again until a non-event was seen.
-- Source: the published label rule of the ICareFM early event prediction tasks.
CREATE MACRO early_event_labels(status, horizon, switches_only) AS TABLE
WITH hourly AS (
    SELECT h.stay_id, h.hour, s.is_event
    FROM stay_hours h LEFT JOIN query_table(status) s ON s.stay_id = h.stay_id AND s.hour = h.hour
), looked AS (
    SELECT stay_id, hour, coalesce(is_event, false) AS is_event_now,
        last_value(is_event IGNORE NULLS) OVER (PARTITION BY stay_id ORDER BY hour ROWS UNBOUNDED PRECEDING) AS last_known,
        bool_or(is_event) OVER (PARTITION BY stay_id ORDER BY hour ROWS BETWEEN 1 FOLLOWING AND (horizon) FOLLOWING) AS event_ahead
    FROM hourly
)
SELECT stay_id, hour, event_ahead AS label
FROM looked
WHERE event_ahead IS NOT NULL AND NOT is_event_now AND NOT (switches_only AND event_ahead AND coalesce(last_known, false));
