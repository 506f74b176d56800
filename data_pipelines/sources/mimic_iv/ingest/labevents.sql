-- Laboratory results of patients with a candidate stay, from 7 days before their first such stay (the baseline of KDIGO) to the
-- end of their last. Laboratory rows belong to no ICU stay: stay_id is NULL. Item 52033 is the type of a blood gas specimen.
-- Source: MIMIC-IV hosp/labevents.
-- Left out: unmapped_item
SELECT e.subject_id, CAST(NULL AS BIGINT) AS stay_id, e.itemid, e.charttime AS time,
    CASE WHEN getvariable('time_policy') = 'storetime' THEN coalesce(e.storetime, e.charttime) END AS known_time,
    CAST(e.valuenum AS FLOAT) AS value, CASE WHEN i.is_worded THEN e.value END AS text,
    CASE
        WHEN s.subject_id IS NULL THEN 'outside_cohort'
        WHEN e.charttime IS NULL THEN 'no_time'
        WHEN e.charttime < s.first_intime - INTERVAL 7 DAY OR e.charttime >= s.last_outtime THEN 'outside_stay'
    END AS dropped
FROM labevents e
JOIN mapped_items i ON i.source_table = 'labevents' AND i.itemid = e.itemid
LEFT JOIN candidate_subjects s ON s.subject_id = e.subject_id;
