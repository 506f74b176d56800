-- Prescriptions of systemic antibiotics for patients with a candidate stay. Eye, ear and other topical routes and forms are no
-- systemic treatment, a desensitization is no treatment of an infection, a base only carries the drug.
-- Source: MIMIC-IV hosp/prescriptions; the names are antibiotics.csv of this package (a drug counts whose text contains one), the
-- exclusions those of the public MIMIC-IV concept "antibiotic".
-- Left out: no_antibiotic
WITH named AS (
    SELECT *, regexp_extract(lower(drug), getvariable('antibiotic_pattern')) AS fragment FROM prescriptions
)
SELECT e.subject_id, e.starttime AS start_time, e.fragment,
    CASE
        WHEN s.subject_id IS NULL THEN 'outside_cohort'
        WHEN e.starttime IS NULL THEN 'no_time'
        WHEN e.drug_type = 'BASE' OR e.route IN ('OU', 'OS', 'OD', 'AU', 'AS', 'AD', 'TP') OR regexp_matches(e.route, 'ear|eye', 'i')
            OR regexp_matches(e.drug, 'cream|ointment|ophth|desensitization|\bgel\b', 'i') THEN 'not_systemic'
    END AS dropped
FROM named e
LEFT JOIN candidate_subjects s ON s.subject_id = e.subject_id
WHERE e.fragment <> '';
