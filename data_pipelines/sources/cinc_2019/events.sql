-- Readings of the Challenge 2019: the row of ICULOS = t+1 is the hour t. The names and units of its columns are parameters.csv.
CREATE VIEW timed_readings AS
SELECT r.stay_id, r.stay_id AS subject_id, TIMESTAMP '2000-01-01' + to_hours(CAST(r.ICULOS AS INTEGER) - 1) AS time,
    v.variable, v.kind, CAST(r.value AS FLOAT) AS value, nullif(p.unit, v.unit) AS unit
FROM (UNPIVOT stay_rows ON COLUMNS(* EXCLUDE (stay_id, subject_id, Age, Gender, Unit1, Unit2, HospAdmTime, ICULOS, SepsisLabel))
    INTO NAME parameter VALUE value) r
JOIN read_csv(getvariable('parameters_csv'), header = true, delim = ',', auto_detect = false, columns = {
    'parameter': 'VARCHAR', 'variable': 'VARCHAR', 'unit': 'VARCHAR'}) p USING (parameter)
JOIN variables v ON v.variable = p.variable;

CREATE VIEW observations AS
SELECT stay_id, subject_id, time, time AS known_time, variable, value, CAST(NULL AS VARCHAR) AS text, unit
FROM timed_readings WHERE kind = 'observation';

CREATE VIEW actions AS
SELECT stay_id, subject_id, time AS start_time, time AS end_time, variable, value, CAST(NULL AS VARCHAR) AS text, unit, false AS is_carrier
FROM timed_readings WHERE kind = 'action';

-- given_sepsis: the published label begins 6 hours before the onset of sepsis-3 (where the onset comes earlier, with the first row).
CREATE TABLE given_sepsis AS
SELECT stay_id, CAST(min(ICULOS) - 1 + 6 AS INTEGER) AS onset_hour FROM stay_rows WHERE SepsisLabel = 1 GROUP BY stay_id;
