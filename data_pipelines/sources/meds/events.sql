-- The ingested MEDS events of one shard, in the shape that sources/mimic_items reads.
-- MEDS keeps one time per event: the time at which a result became known is the time of the event.

-- charted: readings at one moment. Laboratory rows belong to no ICU stay: stay_id is NULL.
CREATE VIEW charted AS
SELECT source_table, subject_id, CASE WHEN source_table = 'labevents' THEN NULL ELSE icustay_id END AS stay_id, itemid, time, known_time,
    numeric_value AS value, text_value AS text
FROM meds
WHERE source_table IN ('chartevents', 'labevents', 'outputevents');

-- infusions: a start carries the rate, its end the amount; both carry the order's id.
CREATE VIEW infusions AS
WITH numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY prefix, subject_id, icustay_id, order_id, itemid ORDER BY time, numeric_value, unit
    ) AS nth
    FROM meds
    WHERE source_table = 'inputevents'
)
SELECT s.icustay_id AS stay_id, s.subject_id, s.itemid, s.time AS start_time, coalesce(e.time, s.time) AS end_time,
    s.numeric_value AS rate, s.unit AS rate_unit, e.numeric_value AS amount, e.unit AS amount_unit,
    s.ordercategorydescription AS order_category
FROM numbered s
LEFT JOIN numbered e ON e.prefix = 'INFUSION_END' AND e.subject_id = s.subject_id AND e.itemid = s.itemid AND e.nth = s.nth
    AND e.icustay_id IS NOT DISTINCT FROM s.icustay_id AND e.order_id IS NOT DISTINCT FROM s.order_id
WHERE s.prefix = 'INFUSION_START';

-- procedures: they carry no order id, so starts meet ends of the same stay and item in order of time. Where procedures of one
-- item overlap, this may swap their ends, which changes no hour that the item covers.
CREATE VIEW procedures AS
WITH numbered AS (
    SELECT *, row_number() OVER (PARTITION BY edge, subject_id, icustay_id, itemid ORDER BY time) AS nth
    FROM (
        SELECT *, split_part(code, '//', 2) AS edge FROM meds
        WHERE source_table = 'procedureevents'
    )
)
SELECT s.icustay_id AS stay_id, s.subject_id, s.itemid, s.time AS start_time, coalesce(e.time, s.time) AS end_time
FROM numbered s
LEFT JOIN numbered e ON e.edge = 'END' AND e.subject_id = s.subject_id AND e.itemid = s.itemid AND e.nth = s.nth
    AND e.icustay_id IS NOT DISTINCT FROM s.icustay_id
WHERE s.edge = 'START';
