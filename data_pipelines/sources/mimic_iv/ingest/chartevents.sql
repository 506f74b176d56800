-- Charted readings of candidate stays, by item. A worded value is kept only where a variable speaks it, or where its wording
-- decides (an intubated patient's verbal response).
-- Source: MIMIC-IV icu/chartevents. Values are 32-bit floats, the precision that MEDS keeps.
-- Left out: unmapped_item
SELECT e.subject_id, e.stay_id, e.itemid, e.charttime AS time,
    CASE WHEN getvariable('time_policy') = 'storetime' THEN coalesce(e.storetime, e.charttime) END AS known_time,
    CAST(e.valuenum AS FLOAT) AS value, CASE WHEN i.is_worded THEN e.value END AS text,
    CASE WHEN s.stay_id IS NULL THEN 'outside_cohort' END AS dropped
FROM chartevents e
JOIN mapped_items i ON i.source_table = 'chartevents' AND i.itemid = e.itemid
LEFT JOIN candidate_stays s ON s.stay_id = e.stay_id;
