-- Urine per hour with its windows, a row an hour in which urine was recorded. A record covers the hours since the record before, or
-- since ICU admission. Irrigation of the bladder: what ran in is subtracted from what came out of the same window; where more ran in,
-- the urine of the window is not known.
-- ml_6, ml_12, ml_24: urine of the last 6, 12 and 24 hours; covered_6 ...: how many hours these records cover.
-- is_anuric: none in 12 covered hours. rate_6 ...: ml/kg/h over the covered hours, to 4 digits, where they are at least 6, 12 and 24;
-- weight: the last one known, kg.
-- Source: MIMIC-IV concepts "urine_output" (items 226557-226567, 226584, 227488, 227489), "urine_output_rate", "weight_durations".
CREATE TABLE urine AS
WITH recorded AS (
    SELECT stay_id, hour, sum(CASE variable WHEN 'irrigant_in' THEN -value ELSE value END) AS ml
    FROM readings
    WHERE variable IN ('urine_output', 'irrigant_in', 'irrigant_urine_out') AND value IS NOT NULL
    GROUP BY stay_id, hour
), covering AS (
    SELECT *, hour - lag(hour, 1, -1) OVER (PARTITION BY stay_id ORDER BY hour) AS covered FROM recorded
), windows AS (
    SELECT stay_id, hour, greatest(ml, 0) AS ml,
        CASE WHEN sum(ml) OVER w6 >= 0 THEN sum(ml) OVER w6 END AS ml_6, sum(covered) OVER w6 AS covered_6,
        CASE WHEN sum(ml) OVER w12 >= 0 THEN sum(ml) OVER w12 END AS ml_12, sum(covered) OVER w12 AS covered_12,
        CASE WHEN sum(ml) OVER w24 >= 0 THEN sum(ml) OVER w24 END AS ml_24, sum(covered) OVER w24 AS covered_24
    FROM covering
    WINDOW w6 AS (PARTITION BY stay_id ORDER BY hour RANGE BETWEEN 5 PRECEDING AND CURRENT ROW),
        w12 AS (PARTITION BY stay_id ORDER BY hour RANGE BETWEEN 11 PRECEDING AND CURRENT ROW),
        w24 AS (PARTITION BY stay_id ORDER BY hour RANGE BETWEEN 23 PRECEDING AND CURRENT ROW)
), weights AS (
    SELECT stay_id, hour, last AS weight FROM measured_values WHERE variable = 'weight'
)
SELECT u.*, w.weight,
    CASE WHEN covered_6 >= 6 THEN round(ml_6 / covered_6 / w.weight, 4) END AS rate_6,
    CASE WHEN covered_12 >= 12 THEN round(ml_12 / covered_12 / w.weight, 4) END AS rate_12,
    CASE WHEN covered_24 >= 24 THEN round(ml_24 / covered_24 / w.weight, 4) END AS rate_24,
    coalesce(covered_12 >= 12 AND ml_12 = 0, false) AS is_anuric
FROM windows u
ASOF LEFT JOIN weights w ON w.stay_id = u.stay_id AND w.hour <= u.hour;
