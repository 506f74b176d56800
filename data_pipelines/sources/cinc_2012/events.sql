-- Readings of the Challenge 2012. Ventilation is charted as 1 every few hours, never as ended: a charting holds 6 hours, known at its time.
CREATE VIEW timed_readings AS
SELECT r.stay_id, r.subject_id, r.time, v.variable, v.kind, v.form, r.value, nullif(r.unit, v.unit) AS unit
FROM stay_rows r
JOIN variables v ON v.variable = r.variable;

CREATE VIEW observations AS
SELECT stay_id, subject_id, time, time AS known_time, variable, value, CAST(NULL AS VARCHAR) AS text, unit
FROM timed_readings WHERE kind = 'observation';

CREATE VIEW actions AS
SELECT stay_id, subject_id, time AS start_time, CASE WHEN form = 'interval' THEN time + INTERVAL 6 HOUR ELSE time END AS end_time,
    variable, value, CAST(NULL AS VARCHAR) AS text, unit, false AS is_carrier
FROM timed_readings WHERE kind = 'action' AND (form <> 'interval' OR value = 1);
