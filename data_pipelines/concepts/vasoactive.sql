-- Vasoactive agents per hour, the highest rate of the hour: ug/kg/min, vasopressin units/min, angiotensin II ng/kg/min.
-- Source: MIMIC-IV concept "vasoactive_agent" (items 221906, 221289, 221749, 222315, 221662, 221653, 221986 and their later variants).
CREATE VIEW vasoactive AS
SELECT stay_id, hour,
    max(max) FILTER (variable = 'norepinephrine') AS norepinephrine,
    max(max) FILTER (variable = 'epinephrine') AS epinephrine,
    max(max) FILTER (variable = 'dopamine') AS dopamine,
    max(max) FILTER (variable = 'dobutamine') AS dobutamine,
    max(max) FILTER (variable = 'phenylephrine') AS phenylephrine,
    max(max) FILTER (variable = 'vasopressin') AS vasopressin,
    max(max) FILTER (variable = 'milrinone') AS milrinone,
    max(max) FILTER (variable = 'angiotensin_ii') AS angiotensin_ii,
    max(max) FILTER (variable = 'isoproterenol') AS isoproterenol
FROM measured_values
WHERE variable IN ('norepinephrine', 'epinephrine', 'dopamine', 'dobutamine', 'phenylephrine', 'vasopressin', 'milrinone',
    'angiotensin_ii', 'isoproterenol')
GROUP BY stay_id, hour;
