-- Procedures of candidate stays.
-- Source: MIMIC-IV icu/procedureevents.
-- Left out: unmapped_item
SELECT e.subject_id, e.stay_id, e.itemid, e.starttime AS start_time, e.endtime AS end_time,
    CASE WHEN s.stay_id IS NULL THEN 'outside_cohort' END AS dropped
FROM procedureevents e
JOIN mapped_items i ON i.source_table = 'procedureevents' AND i.itemid = e.itemid
LEFT JOIN candidate_stays s ON s.stay_id = e.stay_id;
