-- How many rows of each source table have an item id of variables.csv (specimen types, which no variable carries, left aside).
CREATE VIEW mapped_rows AS
SELECT source_table, count(*) AS n FROM charted WHERE itemid <> 52033 GROUP BY source_table
UNION ALL SELECT 'inputevents', count(*) FROM infusions
UNION ALL SELECT 'procedureevents', count(*) FROM procedures;
