-- Blood products: a row an agent and hour, with the highest rate (infusions) or the
-- largest dose (boluses) of the hour, in the variable's own unit.
-- Source: MIMIC-IV icu/inputevents; the items are those of the categories below in variables.csv.
CREATE VIEW blood_products AS
SELECT t.stay_id, t.hour, t.variable, max(t.value) AS value
FROM treatments t
JOIN variables v USING (variable)
WHERE v.category IN ('blood product')
GROUP BY t.stay_id, t.hour, t.variable;
