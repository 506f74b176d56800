-- MELD: model for end-stage liver disease per hour, where bilirubin, INR and creatinine (or renal replacement) are
-- known, each the last of the past 48 hours; not rounded, not capped.
-- 3.78 ln(bilirubin) + 11.2 ln(INR) + 9.57 ln(creatinine) + 6.43; inputs below 1 count as 1, creatinine above 4 counts as 4, and so
-- does that of a patient on renal replacement within the last 7 days.
-- Source: Kamath et al. 2001, Hepatology 33:464, with the bounds of UNOS on its inputs.
CREATE TABLE meld AS
WITH hourly AS (
    SELECT stay_id, hour,
        arg_max(last, hour) FILTER (variable = 'bilirubin_total') AS bilirubin,
        arg_max(last, hour) FILTER (variable = 'inr') AS inr,
        arg_max(last, hour) FILTER (variable = 'creatinine') AS creatinine
    FROM measured_values
    WHERE variable IN ('bilirubin_total', 'inr', 'creatinine')
    GROUP BY stay_id, hour
), carried AS (
    SELECT h.stay_id, h.hour,
        last_value(m.bilirubin IGNORE NULLS) OVER two_days AS bilirubin,
        last_value(m.inr IGNORE NULLS) OVER two_days AS inr,
        last_value(m.creatinine IGNORE NULLS) OVER two_days AS creatinine,
        count(r.hour) OVER (PARTITION BY h.stay_id ORDER BY h.hour ROWS BETWEEN 167 PRECEDING AND CURRENT ROW) > 0 AS on_dialysis
    FROM stay_hours h
    LEFT JOIN hourly m ON m.stay_id = h.stay_id AND m.hour = h.hour
    LEFT JOIN renal_replacement r ON r.stay_id = h.stay_id AND r.hour = h.hour
    WINDOW two_days AS (PARTITION BY h.stay_id ORDER BY h.hour ROWS BETWEEN 47 PRECEDING AND CURRENT ROW)
)
SELECT stay_id, hour, 3.78 * ln(greatest(bilirubin, 1)) + 11.2 * ln(greatest(inr, 1))
        + 9.57 * ln(CASE WHEN on_dialysis THEN 4 ELSE least(greatest(creatinine, 1), 4) END) + 6.43 AS meld
FROM carried
WHERE bilirubin IS NOT NULL AND inr IS NOT NULL AND (creatinine IS NOT NULL OR on_dialysis);
