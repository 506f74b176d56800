-- The hourly texts: one state line and one action line for every hour of every stay, recorded or not.
-- Order of the fragments: clinical order (variables.csv), then time, then the fragment itself; an exact repeat in the same hour
-- speaks once. n_observations, n_actions: fragments in the line.
CREATE VIEW hours AS
WITH worded AS (
    SELECT e.kind, e.stay_id, e.hour, e.moment, v.text_order,
        v.name || ': ' || CASE
            WHEN e.text IS NOT NULL THEN e.text
            WHEN e.value IS NULL THEN v.word
            ELSE trim(CASE v.decimals  -- "+ 0" turns -0 into 0
                WHEN 0 THEN printf('%.0f', round(CAST(e.value AS DOUBLE), 0) + 0)
                WHEN 1 THEN printf('%.1f', round(CAST(e.value AS DOUBLE), 1) + 0)
                WHEN 2 THEN printf('%.2f', round(CAST(e.value AS DOUBLE), 2) + 0)
                ELSE printf('%.3f', round(CAST(e.value AS DOUBLE), 3) + 0)
            END || ' ' || v.unit)
        END AS fragment
    FROM hourly_events e
    JOIN variables v USING (variable)
), fragments AS (
    SELECT kind, stay_id, hour, fragment, min(text_order) AS text_order, min(moment) AS moment
    FROM worded
    GROUP BY kind, stay_id, hour, fragment
), lines AS (
    SELECT stay_id, hour,
        string_agg(fragment, '; ' ORDER BY text_order, moment, fragment) FILTER (kind = 'observation') AS state,
        string_agg(fragment, '; ' ORDER BY text_order, moment, fragment) FILTER (kind = 'action') AS action,
        count(*) FILTER (kind = 'observation') AS n_observations,
        count(*) FILTER (kind = 'action') AS n_actions
    FROM fragments
    GROUP BY stay_id, hour
), every_hour AS (
    SELECT stay_id, unnest(range(n_hours)) AS hour FROM cohort
)
SELECT h.stay_id, CAST(h.hour AS INTEGER) AS hour,
    't=' || h.hour || 'h | ' || coalesce(l.state, 'no observations recorded') AS state_text,
    't=' || h.hour || 'h | ' || coalesce(l.action, 'no interventions recorded') AS action_text,
    CAST(coalesce(l.n_observations, 0) AS INTEGER) AS n_observations,
    CAST(coalesce(l.n_actions, 0) AS INTEGER) AS n_actions
FROM every_hour h
LEFT JOIN lines l ON l.stay_id = h.stay_id AND l.hour = h.hour
ORDER BY h.stay_id, h.hour;
