-- Observations: what was measured at one moment, for every source that carries MIMIC-IV item ids.
-- Units: `unit` is the unit in which the value was recorded (variables.csv); trajectories/placed_observations.sql converts it.
-- A blood gas is arterial where every specimen type charted for the patient at that moment says so (item 52033, "ART."); a gas of
-- another or of no stated specimen is "other".
-- The verbal response of an intubated patient (item 223900, "No Response-ETT") cannot be tested: it is the variable gcs_intubated.
CREATE VIEW observations AS
WITH specimens AS (
    SELECT subject_id, time, CASE WHEN bool_and(trim(text) = 'ART.') THEN 'arterial' ELSE 'other' END AS specimen
    FROM charted
    WHERE source_table = 'labevents' AND itemid = 52033
    GROUP BY subject_id, time
)
SELECT c.stay_id, c.subject_id, c.time, c.known_time, i.variable, c.value, c.text, i.unit
FROM charted c
JOIN items i ON i.kind = 'observation' AND i.source_table = c.source_table AND i.itemid = c.itemid
WHERE i.specimen IS NULL AND (c.itemid <> 223900 OR c.text IS DISTINCT FROM 'No Response-ETT')
UNION ALL
SELECT c.stay_id, c.subject_id, c.time, c.known_time, CAST('gcs_intubated' AS variable_name), NULL, 'intubated', NULL
FROM charted c
WHERE c.source_table = 'chartevents' AND c.itemid = 223900 AND c.text = 'No Response-ETT'
UNION ALL
SELECT c.stay_id, c.subject_id, c.time, c.known_time, i.variable, c.value, c.text, i.unit
FROM charted c
JOIN items i ON i.kind = 'observation' AND i.source_table = c.source_table AND i.itemid = c.itemid
LEFT JOIN specimens s ON s.subject_id = c.subject_id AND s.time = c.time
WHERE c.source_table = 'labevents' AND i.specimen = coalesce(s.specimen, 'other');
