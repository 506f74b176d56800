-- Arterial blood gases, a row a specimen, with the oxygen that the patient breathed. Inspired oxygen (percent): of the gas itself,
-- else the last one charted in the 4 hours before. is_ventilated: at that moment, by what was charted last (concepts/ventilation.sql),
-- or in that hour, by the procedure.
-- Under the time policy storetime a gas lies where its result became known, and meets the oxygen charted before then.
-- Source: MIMIC-IV concept "bg" (items 50821 with specimen type "ART.", 50816, charted 223835).
CREATE TABLE blood_gas AS
WITH gases AS (
    SELECT stay_id, hour, second,
        min(value) FILTER (variable = 'po2_arterial') AS po2,
        max(value) FILTER (variable = 'pco2_arterial') AS pco2,
        min(value) FILTER (variable = 'ph_arterial') AS ph,
        max(value) FILTER (variable = 'fio2_gas' AND value >= 21) AS fio2_gas
    FROM readings
    WHERE variable IN ('po2_arterial', 'pco2_arterial', 'ph_arterial', 'fio2_gas')
    GROUP BY stay_id, hour, second
), charted AS (
    SELECT stay_id, second, max(value) AS fio2 FROM treatments WHERE variable = 'fio2' AND value IS NOT NULL GROUP BY stay_id, second
)
SELECT g.stay_id, g.hour, g.second, g.po2, g.pco2, g.ph,
    coalesce(g.fio2_gas, CASE WHEN c.second >= g.second - 4 * 3600 THEN c.fio2 END) AS fio2,
    100 * g.po2 / coalesce(g.fio2_gas, CASE WHEN c.second >= g.second - 4 * 3600 THEN c.fio2 END) AS pao2_fio2,
    coalesce(v.is_invasive AND v.second >= g.second - 14 * 3600, false) OR p.hour IS NOT NULL AS is_ventilated
FROM gases g
ASOF LEFT JOIN charted c ON c.stay_id = g.stay_id AND c.second <= g.second
ASOF LEFT JOIN charted_ventilation v ON v.stay_id = g.stay_id AND v.second <= g.second
LEFT JOIN (SELECT DISTINCT stay_id, hour FROM treatments WHERE variable = 'invasive_ventilation') p ON p.stay_id = g.stay_id AND p.hour = g.hour
WHERE g.po2 IS NOT NULL OR g.pco2 IS NOT NULL OR g.ph IS NOT NULL;
