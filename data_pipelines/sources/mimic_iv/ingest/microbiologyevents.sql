-- Cultures of patients with a candidate stay, a row a result. Where only the date of a specimen is known, time is NULL.
-- Source: MIMIC-IV hosp/microbiologyevents.
-- Left out: nothing
SELECT e.subject_id, e.micro_specimen_id AS specimen_id, e.charttime AS time, e.chartdate AS date,
    CASE WHEN s.subject_id IS NULL THEN 'outside_cohort' WHEN e.chartdate IS NULL AND e.charttime IS NULL THEN 'no_time' END AS dropped
FROM microbiologyevents e
LEFT JOIN candidate_subjects s ON s.subject_id = e.subject_id;
