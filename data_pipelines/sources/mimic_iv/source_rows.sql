-- How many rows each MIMIC-IV event table holds, mapped to a variable or not.
CREATE TABLE source_rows AS
SELECT 'chartevents' AS source_table, count(*) AS n FROM chartevents
UNION ALL SELECT 'labevents', count(*) FROM labevents
UNION ALL SELECT 'outputevents', count(*) FROM outputevents
UNION ALL SELECT 'inputevents', count(*) FROM inputevents
UNION ALL SELECT 'procedureevents', count(*) FROM procedureevents;
