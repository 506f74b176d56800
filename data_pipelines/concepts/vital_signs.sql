-- Vital signs per hour. Arterial pressures: invasive (arterial line) and non-invasive (cuff) readings together; the mean arterial
-- pressure is the lowest reading of either kind, as SOFA asks for the worst.
-- Source: MIMIC-IV concept "vitalsign" (items 220045, 220050-220052, 220179-220181, 225309-225312, 220210, 220277, 223761-223762, 226329).
CREATE VIEW vital_signs AS
SELECT stay_id, hour,
    max(mean) FILTER (variable = 'heart_rate') AS heart_rate,
    min(min) FILTER (variable IN ('sbp', 'sbp_arterial')) AS sbp_lowest,
    min(min) FILTER (variable IN ('dbp', 'dbp_arterial')) AS dbp_lowest,
    min(min) FILTER (variable IN ('mbp', 'mbp_arterial')) AS mbp_lowest,
    max(mean) FILTER (variable = 'respiratory_rate') AS respiratory_rate,
    max(mean) FILTER (variable = 'temperature') AS temperature,
    min(min) FILTER (variable = 'spo2') AS spo2_lowest
FROM measured_values
GROUP BY stay_id, hour;
