-- MEDS events with their code taken apart: `prefix` (what happened), `itemid` (the MIMIC-IV item) and the MIMIC-IV table that
-- the event came from. Source: code names of the public MIMIC-IV to MEDS conversion.
CREATE VIEW coded_events AS
WITH parts AS (
    SELECT *, split_part(code, '//', 1) AS prefix,
        TRY_CAST(split_part(code, '//', CASE WHEN code LIKE 'PROCEDURE//START//%' OR code LIKE 'PROCEDURE//END//%' THEN 3 ELSE 2 END) AS BIGINT)
            AS item
    FROM meds
), placed AS (
    SELECT *, CASE
        WHEN prefix = 'LAB' AND item >= 220000 THEN 'chartevents'
        WHEN prefix = 'LAB' AND item IS NOT NULL THEN 'labevents'
        WHEN prefix = 'SUBJECT_FLUID_OUTPUT' THEN 'outputevents'
        WHEN prefix IN ('INFUSION_START', 'INFUSION_END') THEN 'inputevents'
        WHEN code LIKE 'PROCEDURE//START//%' OR code LIKE 'PROCEDURE//END//%' THEN 'procedureevents'
    END AS source_table
    FROM parts
)
SELECT *, time AS known_time, CASE WHEN source_table IS NULL THEN NULL ELSE item END AS itemid
FROM placed;
