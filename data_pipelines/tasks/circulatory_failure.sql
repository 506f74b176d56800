-- Circulatory failure within 8 hours, asked every hour.
-- Event: mean arterial pressure of 65 mmHg or less, or any inotrope or vasopressor (dobutamine, milrinone, norepinephrine,
-- epinephrine, dopamine, vasopressin; levosimendan and theophylline are not in variables.csv), together with a lactate of 2 mmol/l or
-- more in the same hour. Non-event: both observed and normal. Where they disagree or one is missing, the hour is not observed. The
-- lowest pressure and the highest lactate count.
-- Source: ICareFM early event prediction.
-- Needs: lactate, mbp or mbp_arterial, norepinephrine
CREATE VIEW circulatory_failure_status AS
WITH pressure AS (
    SELECT stay_id, hour, coalesce(mbp_lowest <= 65, false) AS is_low, mbp_lowest IS NOT NULL AS is_measured FROM vital_signs
), supported AS (
    SELECT DISTINCT stay_id, hour FROM treatments
    WHERE variable IN ('dobutamine', 'milrinone', 'norepinephrine', 'epinephrine', 'dopamine', 'vasopressin')
), lactate AS (
    SELECT stay_id, hour, max >= 2 AS is_high FROM measured_values WHERE variable = 'lactate'
)
SELECT l.stay_id, l.hour, l.is_high AS is_event
FROM lactate l
LEFT JOIN pressure p ON p.stay_id = l.stay_id AND p.hour = l.hour
LEFT JOIN supported s ON s.stay_id = l.stay_id AND s.hour = l.hour
WHERE (p.is_measured OR s.hour IS NOT NULL) AND l.is_high = (coalesce(p.is_low, false) OR s.hour IS NOT NULL);

CREATE VIEW circulatory_failure AS
FROM early_event_labels('circulatory_failure_status', 8, true);
