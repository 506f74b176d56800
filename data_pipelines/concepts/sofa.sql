-- SOFA: sequential organ failure assessment per hour, 0-24. Each organ counts with its worst points of the last 24 hours; an organ
-- without data scores 0. Only data up to the end of the hour are used.
-- Source: Vincent et al. 1996, Intensive Care Med 22:707; thresholds and inputs as in the MIMIC-IV concept "sofa". PaO2/FiO2 below
-- 200 scores 3 and 4 only under invasive ventilation. A vasopressor whose dose is not known scores as a low dose. Urine of 24 hours
-- needs records that cover 22 to 30 hours and is scaled to 24.
CREATE TABLE sofa AS
WITH gases AS (
    SELECT stay_id, hour,
        min(pao2_fio2) FILTER (is_ventilated) AS ventilated,
        min(pao2_fio2) FILTER (NOT is_ventilated) AS unventilated
    FROM blood_gas
    GROUP BY stay_id, hour
), given AS (
    SELECT stay_id, hour, bool_or(variable IN ('epinephrine', 'norepinephrine')) AS is_vasopressor
    FROM treatments
    WHERE variable IN ('epinephrine', 'norepinephrine', 'dopamine', 'dobutamine')
    GROUP BY stay_id, hour
), coma AS (
    SELECT stay_id, hour, min(gcs) AS gcs FROM gcs GROUP BY stay_id, hour
), urine_day AS (
    SELECT stay_id, hour, ml_24 / covered_24 * 24 AS ml FROM urine WHERE covered_24 BETWEEN 22 AND 30
), hourly AS (
    SELECT h.stay_id, h.hour,
        CASE
            WHEN g.ventilated < 100 THEN 4
            WHEN g.ventilated < 200 THEN 3
            WHEN least(g.ventilated, g.unventilated) < 300 THEN 2
            WHEN least(g.ventilated, g.unventilated) < 400 THEN 1
            ELSE 0
        END AS respiration,
        CASE
            WHEN b.platelets < 20 THEN 4
            WHEN b.platelets < 50 THEN 3
            WHEN b.platelets < 100 THEN 2
            WHEN b.platelets < 150 THEN 1
            ELSE 0
        END AS coagulation,
        CASE
            WHEN e.bilirubin_total >= 12 THEN 4
            WHEN e.bilirubin_total >= 6 THEN 3
            WHEN e.bilirubin_total >= 2 THEN 2
            WHEN e.bilirubin_total >= CAST(1.2 AS FLOAT) THEN 1
            ELSE 0
        END AS liver,
        CASE
            WHEN d.dopamine > 15 OR d.epinephrine > CAST(0.1 AS FLOAT) OR d.norepinephrine > CAST(0.1 AS FLOAT) THEN 4
            WHEN d.dopamine > 5 OR i.is_vasopressor THEN 3
            WHEN i.hour IS NOT NULL THEN 2
            WHEN s.mbp_lowest < 70 THEN 1
            ELSE 0
        END AS circulation,
        CASE
            WHEN c.gcs < 6 THEN 4
            WHEN c.gcs < 10 THEN 3
            WHEN c.gcs < 13 THEN 2
            WHEN c.gcs < 15 THEN 1
            ELSE 0
        END AS brain,
        CASE
            WHEN k.creatinine >= 5 OR u.ml < 200 THEN 4
            WHEN k.creatinine >= CAST(3.5 AS FLOAT) OR u.ml < 500 THEN 3
            WHEN k.creatinine >= 2 THEN 2
            WHEN k.creatinine >= CAST(1.2 AS FLOAT) THEN 1
            ELSE 0
        END AS kidney
    FROM stay_hours h
    LEFT JOIN gases g ON g.stay_id = h.stay_id AND g.hour = h.hour
    LEFT JOIN blood_count b ON b.stay_id = h.stay_id AND b.hour = h.hour
    LEFT JOIN enzymes e ON e.stay_id = h.stay_id AND e.hour = h.hour
    LEFT JOIN vasoactive d ON d.stay_id = h.stay_id AND d.hour = h.hour
    LEFT JOIN given i ON i.stay_id = h.stay_id AND i.hour = h.hour
    LEFT JOIN vital_signs s ON s.stay_id = h.stay_id AND s.hour = h.hour
    LEFT JOIN coma c ON c.stay_id = h.stay_id AND c.hour = h.hour
    LEFT JOIN chemistry k ON k.stay_id = h.stay_id AND k.hour = h.hour
    LEFT JOIN urine_day u ON u.stay_id = h.stay_id AND u.hour = h.hour
), worst AS (
    SELECT stay_id, hour, max(respiration) OVER day AS respiration, max(coagulation) OVER day AS coagulation, max(liver) OVER day AS liver,
        max(circulation) OVER day AS circulation, max(brain) OVER day AS brain, max(kidney) OVER day AS kidney
    FROM hourly
    WINDOW day AS (PARTITION BY stay_id ORDER BY hour RANGE BETWEEN 23 PRECEDING AND CURRENT ROW)
)
SELECT *, respiration + coagulation + liver + circulation + brain + kidney AS sofa FROM worst;
