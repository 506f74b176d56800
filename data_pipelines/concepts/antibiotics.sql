-- Antibiotics per hour, as given (infusions and boluses charted in the ICU) or first prescribed.
-- Source: MIMIC-IV icu/inputevents (items of the category below in variables.csv), hosp/prescriptions.
CREATE VIEW antibiotics_given AS
SELECT DISTINCT t.stay_id, t.hour, coalesce(t.text, CAST(t.variable AS VARCHAR)) AS antibiotic
FROM treatments t
JOIN variables v USING (variable)
WHERE v.category = 'antibiotic';
