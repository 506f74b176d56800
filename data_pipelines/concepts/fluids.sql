-- Fluids that were given for their own sake; carriers and flushes of a drug are left out before:
-- a row an agent and hour, with the highest rate (infusions) or the
-- largest dose (boluses) of the hour, in the variable's own unit.
-- Source: MIMIC-IV icu/inputevents, ordercategorydescription; the items are those of the categories below in variables.csv.
CREATE VIEW fluids AS
SELECT t.stay_id, t.hour, t.variable, max(t.value) AS value
FROM treatments t
JOIN variables v USING (variable)
WHERE v.category IN ('fluid')
GROUP BY t.stay_id, t.hour, t.variable;
