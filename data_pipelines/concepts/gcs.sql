-- Glasgow coma scale, a row a moment at which a part of it, or the total, was charted.
-- A part that is not charted is taken from the moment before, if that was within 6 hours, else it counts as normal. An intubated
-- patient's verbal response cannot be tested: the total is 15 then; once the tube is out, earlier parts do not count.
-- Source: MIMIC-IV concept "gcs" (items 220739, 223900, 223901).
CREATE TABLE gcs AS
WITH parts AS (
    SELECT stay_id, hour, second,
        max(value) FILTER (variable = 'gcs_eye') AS eye,
        CASE WHEN bool_or(variable = 'gcs_intubated') THEN 0 ELSE max(value) FILTER (variable = 'gcs_verbal') END AS verbal,
        max(value) FILTER (variable = 'gcs_motor') AS motor,
        min(value) FILTER (variable = 'gcs') AS total
    FROM readings
    WHERE variable IN ('gcs_eye', 'gcs_verbal', 'gcs_motor', 'gcs_intubated', 'gcs')
    GROUP BY stay_id, hour, second
), paired AS (
    SELECT *, lag(second) OVER moments > second - 6 * 3600 AS is_recent, lag(eye) OVER moments AS eye_before,
        lag(verbal) OVER moments AS verbal_before, lag(motor) OVER moments AS motor_before
    FROM parts
    WINDOW moments AS (PARTITION BY stay_id ORDER BY second)
)
SELECT stay_id, hour, second, CAST(CASE
    WHEN total IS NOT NULL THEN total
    WHEN verbal = 0 OR verbal IS NULL AND is_recent AND verbal_before = 0 THEN 15
    WHEN is_recent AND verbal_before = 0 THEN coalesce(eye, 4) + coalesce(verbal, 5) + coalesce(motor, 6)
    ELSE coalesce(eye, CASE WHEN is_recent THEN eye_before END, 4)
        + coalesce(verbal, CASE WHEN is_recent THEN verbal_before END, 5)
        + coalesce(motor, CASE WHEN is_recent THEN motor_before END, 6)
    END AS FLOAT) AS gcs
FROM paired;
