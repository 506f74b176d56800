-- KDIGO stage of acute kidney injury per hour, 0-3, where creatinine, urine or renal replacement tell; no row where none does.
-- Creatinine (mg/dl): stage 1 from a rise of 0.3 within 48 hours or 1.5 times the lowest of the 7 days before, stage 2 from 2 times,
-- stage 3 from 3 times, or from 4.0 with such an acute rise. The lowest value may lie before ICU admission. A stage holds until the
-- next creatinine, at most 48 hours.
-- Urine: stage 1 below 0.5 ml/kg/h for 6 hours, stage 2 for 12 hours, stage 3 below 0.3 ml/kg/h for 24 hours or none for 12 hours. A
-- stage holds until the next urine record, at most 6 hours. Renal replacement is stage 3.
-- Source: KDIGO 2012, Kidney Int Suppl 2:1; much as the MIMIC-IV concepts "kdigo_creatinine", "kdigo_uo" and "kdigo_stages".
CREATE TABLE creatinine_stages AS
WITH timed AS (
    SELECT stay_id, second, CAST(max(value) AS DECIMAL(9, 3)) AS creatinine
    FROM (
        SELECT stay_id, second, value FROM readings WHERE variable = 'creatinine'
        UNION ALL
        SELECT stay_id, second, value FROM earlier_creatinine
    )
    GROUP BY stay_id, second
), lowest AS (
    SELECT *, min(creatinine) OVER (PARTITION BY stay_id ORDER BY second RANGE BETWEEN 172800 PRECEDING AND 1 PRECEDING) AS low_48_hours,
        min(creatinine) OVER (PARTITION BY stay_id ORDER BY second RANGE BETWEEN 604800 PRECEDING AND 1 PRECEDING) AS low_7_days
    FROM timed
)
SELECT stay_id, second, CAST(floor(second / 3600) AS INTEGER) AS hour, creatinine, CASE
    WHEN creatinine >= 3 * low_7_days THEN 3
    WHEN creatinine >= 4 AND (creatinine >= low_48_hours + 0.3 OR creatinine >= 1.5 * low_7_days) THEN 3
    WHEN creatinine >= 2 * low_7_days THEN 2
    WHEN creatinine >= low_48_hours + 0.3 OR creatinine >= 1.5 * low_7_days THEN 1
    ELSE 0
    END AS stage
FROM lowest;

CREATE TABLE urine_stages AS
SELECT stay_id, hour, CASE
    WHEN rate_24 < 0.3 OR is_anuric THEN 3
    WHEN rate_12 < 0.5 THEN 2
    WHEN rate_6 < 0.5 THEN 1
    ELSE 0
    END AS stage
FROM urine
WHERE coalesce(rate_6, rate_12, rate_24) IS NOT NULL OR is_anuric;

CREATE TABLE kdigo AS
WITH creatinine_hours AS (
    SELECT stay_id, hour, max(stage) AS stage FROM creatinine_stages GROUP BY stay_id, hour
)
SELECT h.stay_id, h.hour, greatest(
        CASE WHEN c.hour >= h.hour - 48 THEN c.stage END,
        CASE WHEN u.hour >= h.hour - 6 THEN u.stage END,
        CASE WHEN r.hour IS NOT NULL THEN 3 END
    ) AS kdigo_stage
FROM stay_hours h
ASOF LEFT JOIN creatinine_hours c ON c.stay_id = h.stay_id AND c.hour <= h.hour
ASOF LEFT JOIN urine_stages u ON u.stay_id = h.stay_id AND u.hour <= h.hour
LEFT JOIN renal_replacement r ON r.stay_id = h.stay_id AND r.hour = h.hour
WHERE c.hour >= h.hour - 48 OR u.hour >= h.hour - 6 OR r.hour IS NOT NULL;
