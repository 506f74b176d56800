-- The rows of the MIMIC-IV event tables whose item id is in variables.csv, in the shape that sources/mimic_items reads.
-- Source: MIMIC-IV icu/chartevents, icu/outputevents, icu/inputevents, icu/procedureevents, hosp/labevents.
-- Values stay in the unit in which they were recorded and are 32-bit floats, the precision that MEDS keeps.

-- charted: readings at one moment. Laboratory rows belong to no ICU stay in MIMIC-IV: stay_id is NULL.
CREATE TABLE charted AS
SELECT 'chartevents' AS source_table, stay_id, subject_id, charttime AS time, coalesce(storetime, charttime) AS known_time,
    itemid, CAST(valuenum AS FLOAT) AS value, value AS text
FROM chartevents
WHERE itemid IN (SELECT itemid FROM items WHERE source_table = 'chartevents')
UNION ALL
SELECT 'outputevents', stay_id, subject_id, charttime, coalesce(storetime, charttime), itemid, CAST(value AS FLOAT), NULL
FROM outputevents
WHERE itemid IN (SELECT itemid FROM items WHERE source_table = 'outputevents')
UNION ALL
SELECT 'labevents', NULL, subject_id, charttime, coalesce(storetime, charttime), itemid, CAST(valuenum AS FLOAT), value
FROM labevents
WHERE itemid IN (SELECT itemid FROM items WHERE source_table = 'labevents') OR itemid = 52033;  -- 52033: specimen type

CREATE VIEW infusions AS
SELECT stay_id, subject_id, itemid, starttime AS start_time, endtime AS end_time, CAST(rate AS FLOAT) AS rate, rateuom AS rate_unit,
    CAST(amount AS FLOAT) AS amount, amountuom AS amount_unit, ordercategorydescription AS order_category
FROM inputevents
WHERE itemid IN (SELECT itemid FROM items WHERE source_table = 'inputevents');

CREATE VIEW procedures AS
SELECT stay_id, subject_id, itemid, starttime AS start_time, endtime AS end_time
FROM procedureevents
WHERE itemid IN (SELECT itemid FROM items WHERE source_table = 'procedureevents');
