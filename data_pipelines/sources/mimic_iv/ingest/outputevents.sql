-- Measured outputs (urine, drains) of candidate stays.
-- Source: MIMIC-IV icu/outputevents.
-- Left out: unmapped_item
SELECT e.subject_id, e.stay_id, e.itemid, e.charttime AS time,
    CASE WHEN getvariable('time_policy') = 'storetime' THEN coalesce(e.storetime, e.charttime) END AS known_time,
    CAST(e.value AS FLOAT) AS value, CAST(NULL AS VARCHAR) AS text,
    CASE WHEN s.stay_id IS NULL THEN 'outside_cohort' END AS dropped
FROM outputevents e
JOIN mapped_items i ON i.source_table = 'outputevents' AND i.itemid = e.itemid
LEFT JOIN candidate_stays s ON s.stay_id = e.stay_id;
