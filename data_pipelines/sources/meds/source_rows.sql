-- How many events of each MIMIC-IV table the MEDS data set holds, mapped to a variable or not. An infusion or a procedure counts
-- once, at its start.
CREATE TABLE source_rows AS
SELECT source_table, count(*) AS n
FROM events
WHERE source_table IS NOT NULL AND prefix <> 'INFUSION_END' AND code NOT LIKE 'PROCEDURE//END//%'
GROUP BY source_table;
