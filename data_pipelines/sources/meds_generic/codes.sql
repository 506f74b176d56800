-- Every code that may speak becomes a variable of its own, named by its description, or by the code itself.
-- Left out: codes that tell who the patient is, and codes that by their name or their description are known at discharge only or tell
-- the outcome (diagnoses, DRG, billing, discharge, death). What looks like a treatment by its code is an action, all else an observation.
-- form: number where most events of the code carry one, else text. Digits follow the size of the numbers.
INSERT INTO listed_variables
WITH counted AS (
    SELECT code, count(*) AS n, count(value) AS n_values, coalesce(bool_and(value = round(value)), false) AS is_whole,
        coalesce(approx_quantile(abs(value), 0.5), 0) AS typical
    FROM meds
    WHERE time IS NOT NULL
        AND subject_id IN (SELECT subject_id FROM given_stays)
        AND NOT regexp_matches(code, '^(MEDS_BIRTH|GENDER|SEX|RACE|ETHNICITY|ICU_ADMISSION|ICU_DISCHARGE)\b', 'i')
    GROUP BY code
), named AS (
    SELECT c.*, trim(regexp_replace(regexp_replace(coalesce(nullif(trim(d.description), ''), replace(c.code, '//', ' ')),
            '[;|:\s]+', ' ', 'g'), '[^ -~]', '', 'g')) AS name,
        regexp_matches(c.code, '^(medications?|meds?|drugs?|infusions?|rx|procedures?|treatments?|ventilat[a-z]*|dialysis|transfusions?)([^a-z]|$)', 'i') AS is_action
    FROM counted c LEFT JOIN code_descriptions d USING (code)
)
SELECT code AS variable, name, '' AS unit, CASE WHEN is_action THEN 'action' ELSE 'observation' END AS kind, 'code' AS category,
    CAST(100000 + row_number() OVER (ORDER BY code) AS INTEGER) AS text_order, NULL AS low, NULL AS high,
    CASE WHEN is_whole OR typical >= 100 THEN 0 WHEN typical >= 10 THEN 1 WHEN typical >= 1 THEN 2 ELSE 3 END AS decimals,
    CASE WHEN 2 * n_values > n THEN 'number' ELSE 'text' END AS form, NULL AS word, 'meds' AS source_table, NULL AS specimen, NULL AS items
FROM named
WHERE NOT regexp_matches(
    code || ' ' || name, '(^|[^a-z])(discharge[a-z]*|diagnos[ie]s|dx|death|dead|died|deceased|expired|mortality|drg|icd[0-9a-z]*|hcpcs|cpt[0-9]*|bill[a-z]*)([^a-z]|$)',
    'i');
