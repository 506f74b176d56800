-- The events whose code is a variable, of subjects with a candidate stay.
-- Left out: code_left_out
SELECT m.subject_id, m.time, v.variable, v.kind, v.form, m.value, m.text,
    CASE
        WHEN s.subject_id IS NULL THEN 'outside_cohort'
        WHEN m.time IS NULL THEN 'no_time'
        WHEN m.time < s.first_intime OR m.time >= s.last_outtime THEN 'outside_stay'
    END AS dropped
FROM meds m
JOIN variables v ON v.variable = m.code AND v.source_table = 'meds'
LEFT JOIN candidate_subjects s ON s.subject_id = m.subject_id;
