-- The readings of candidate stays in the names and units of parameters.csv; -1 stands for a missing value.
-- Left out: nothing
SELECT r.stay_id, r.stay_id AS subject_id, p.variable, p.unit, CAST(nullif(r.value, -1) AS FLOAT) AS value,
    TIMESTAMP '2000-01-01' + to_minutes(60 * CAST(split_part(r.clock, ':', 1) AS INTEGER) + CAST(split_part(r.clock, ':', 2) AS INTEGER)) AS time,
    CASE WHEN p.parameter IS NULL THEN 'unmapped_parameter' WHEN s.stay_id IS NULL THEN 'outside_cohort' END AS dropped
FROM stay_rows r
LEFT JOIN read_csv(getvariable('parameters_csv'), header = true, delim = ',', auto_detect = false, columns = {
    'parameter': 'VARCHAR', 'variable': 'VARCHAR', 'unit': 'VARCHAR'}) p USING (parameter)
LEFT JOIN candidate_stays s ON s.stay_id = r.stay_id;
