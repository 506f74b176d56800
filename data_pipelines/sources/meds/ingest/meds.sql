-- The MEDS events whose MIMIC-IV item id is in variables.csv, of patients with a candidate ICU stay.
-- Source: codes LAB//<item>//<unit> (charted readings and laboratory results; item ids below 220000 are laboratory items),
-- SUBJECT_FLUID_OUTPUT//<item>//<unit>, INFUSION_START//<item>, INFUSION_END//<item>, PROCEDURE//START//<item>, PROCEDURE//END//<item>.
-- Left out: unmapped_code
SELECT e.subject_id, e.source_table, e.itemid, e.code, e.prefix, e.time, e.known_time, e.numeric_value,
    CASE WHEN i.is_worded THEN e.text_value END AS text_value, e.icustay_id, e.order_id, e.unit, e.ordercategorydescription,
    CASE
        WHEN s.subject_id IS NULL OR e.source_table <> 'labevents' AND c.stay_id IS NULL THEN 'outside_cohort'
        WHEN e.time IS NULL THEN 'no_time'
        WHEN e.source_table = 'labevents' AND (e.time < s.first_intime - INTERVAL 7 DAY OR e.time >= s.last_outtime) THEN 'outside_stay'
    END AS dropped
FROM coded_events e
JOIN mapped_items i ON i.source_table = e.source_table AND i.itemid = e.itemid
LEFT JOIN candidate_subjects s ON s.subject_id = e.subject_id
LEFT JOIN candidate_stays c ON c.stay_id = e.icustay_id;
