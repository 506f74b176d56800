-- Actions: what was done to the patient, for every source that carries MIMIC-IV item ids.
-- Point events (settings, boluses, single procedures) end where they start; infusions and lasting procedures have their interval.
-- Units: `unit` is the unit in which the value was recorded; trajectories/placed_actions.sql converts it.
-- An input with a rate is an infusion ("rate" in variables.csv), one without is a bolus ("amount").
-- `is_carrier`: a fluid ordered as part of a drug (order categories "Continuous Med" and "Drug Push") only carries or flushes that
-- drug; it is no treatment of its own.
CREATE VIEW item_actions AS
SELECT c.stay_id, c.subject_id, c.time AS start_time, c.time AS end_time, i.variable, c.value, c.text, i.unit, false AS is_carrier
FROM charted c
JOIN items i ON i.kind = 'action' AND i.source_table = c.source_table AND i.itemid = c.itemid
UNION ALL
SELECT f.stay_id, f.subject_id, f.start_time, CASE WHEN i.form = 'rate' THEN f.end_time ELSE f.start_time END, i.variable,
    CASE i.form WHEN 'rate' THEN f.rate WHEN 'amount' THEN f.amount END, NULL,
    CASE i.form WHEN 'rate' THEN f.rate_unit WHEN 'amount' THEN f.amount_unit END,
    i.category = 'fluid' AND coalesce(f.order_category IN ('Continuous Med', 'Drug Push'), false)
FROM infusions f
LEFT JOIN items i ON i.source_table = 'inputevents' AND i.itemid = f.itemid
    AND (i.form = 'event' OR i.form = CASE WHEN f.rate IS NULL THEN 'amount' ELSE 'rate' END)
UNION ALL
SELECT p.stay_id, p.subject_id, p.start_time, CASE WHEN i.form = 'interval' THEN p.end_time ELSE p.start_time END, i.variable,
    NULL, NULL, NULL, false
FROM procedures p
JOIN items i ON i.source_table = 'procedureevents' AND i.itemid = p.itemid;
