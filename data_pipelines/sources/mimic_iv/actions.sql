-- Actions of MIMIC-IV: those with an item id, and the prescriptions of systemic antibiotics, which speak once, when they begin.
CREATE VIEW actions AS
FROM item_actions
UNION ALL
SELECT NULL, subject_id, start_time, start_time, CAST('antibiotic_prescribed' AS variable_name), NULL, antibiotic, NULL, false FROM antibiotics;
