-- Renal replacement per hour: continuous, intermittent or peritoneal dialysis is ongoing, or a setting of it was charted.
-- Source: MIMIC-IV concepts "crrt" and "rrt" (procedures 225802, 225803, 225809, 225955, 225441, 225805; settings 227290, 224144,
-- 224154, 224153, 228005, 224191, 228004).
CREATE TABLE renal_replacement AS
SELECT DISTINCT t.stay_id, t.hour
FROM treatments t
JOIN variables v USING (variable)
WHERE v.category = 'renal replacement';
