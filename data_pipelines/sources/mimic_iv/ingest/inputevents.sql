-- Infusions and boluses of candidate stays.
-- Source: MIMIC-IV icu/inputevents.
-- Left out: unmapped_item
SELECT e.subject_id, e.stay_id, e.itemid, e.starttime AS start_time, e.endtime AS end_time, CAST(e.rate AS FLOAT) AS rate,
    e.rateuom AS rate_unit, CAST(e.amount AS FLOAT) AS amount, e.amountuom AS amount_unit,
    e.ordercategorydescription AS order_category,
    CASE WHEN s.stay_id IS NULL THEN 'outside_cohort' END AS dropped
FROM inputevents e
JOIN mapped_items i ON i.source_table = 'inputevents' AND i.itemid = e.itemid
LEFT JOIN candidate_stays s ON s.stay_id = e.stay_id;
