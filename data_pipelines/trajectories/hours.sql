-- The hourly texts: one state line and one action line for every hour of every stay, recorded or not.
-- Order of the fragments: clinical order (variables.csv), then time, then the fragment itself; an exact repeat in the same hour
-- speaks once. Scores speak in hours with an observation only. n_observations, n_actions: fragments in the line.
-- hour_stamp (setting): whether a line starts with its hour, "t=5h | ".
CREATE VIEW hours AS
WITH events AS (
    SELECT 'observation' AS kind, * FROM readings
    UNION ALL
    SELECT 'action', * FROM treatments
    UNION ALL
    SELECT 'observation', s.stay_id, s.hour, 0, s.variable, s.value, NULL
    FROM scores s SEMI JOIN readings r ON r.stay_id = s.stay_id AND r.hour = s.hour
), worded AS (
    SELECT e.kind, e.stay_id, e.hour, e.second, v.text_order, v.name || ': ' || CASE
            WHEN e.text IS NOT NULL THEN e.text
            WHEN e.value IS NULL THEN v.word
            WHEN abs(e.value) >= 1e12 THEN printf('%g', CAST(e.value AS DOUBLE)) || v.unit_suffix
            ELSE CASE v.decimals
                WHEN 0 THEN CAST(CAST(round(e.value) AS BIGINT) AS VARCHAR)
                WHEN 1 THEN CAST(CAST(e.value AS DECIMAL(18, 1)) AS VARCHAR)
                WHEN 2 THEN CAST(CAST(e.value AS DECIMAL(18, 2)) AS VARCHAR)
                ELSE CAST(CAST(e.value AS DECIMAL(18, 3)) AS VARCHAR)
            END || v.unit_suffix
        END AS fragment
    FROM events e
    JOIN variables v USING (variable)
    WHERE v.is_spoken
), fragments AS (
    SELECT kind, stay_id, hour, text_order, fragment, min(second) AS second
    FROM worded
    GROUP BY kind, stay_id, hour, text_order, fragment
), lines AS (
    SELECT stay_id, hour,
        list((text_order, second, fragment)) FILTER (kind = 'observation') AS state,
        list((text_order, second, fragment)) FILTER (kind = 'action') AS action
    FROM fragments
    GROUP BY stay_id, hour
), spoken AS (
    SELECT stay_id, hour, len(state) AS n_observations, len(action) AS n_actions,
        array_to_string(list_transform(list_sort(state), lambda f: f[3]), '; ') AS state,
        array_to_string(list_transform(list_sort(action), lambda f: f[3]), '; ') AS action
    FROM lines
)
SELECT h.stay_id, CAST(h.hour AS INTEGER) AS hour,
    CASE WHEN getvariable('hour_stamp') THEN 't=' || h.hour || 'h | ' ELSE '' END || coalesce(l.state, 'no observations recorded')
        AS state_text,
    CASE WHEN getvariable('hour_stamp') THEN 't=' || h.hour || 'h | ' ELSE '' END || coalesce(l.action, 'no interventions recorded')
        AS action_text,
    CAST(coalesce(l.n_observations, 0) AS INTEGER) AS n_observations,
    CAST(coalesce(l.n_actions, 0) AS INTEGER) AS n_actions
FROM stay_hours h
LEFT JOIN spoken l ON l.stay_id = h.stay_id AND l.hour = h.hour
ORDER BY h.stay_id, h.hour;
