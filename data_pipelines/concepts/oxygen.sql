-- Oxygen delivery and ventilator settings per hour.
-- Source: MIMIC-IV concepts "oxygen_delivery" and "ventilator_setting" (items 223834, 227582, 223835, 220339, 224684-224688, 224695-
-- 224697, 224700). Inspired oxygen in percent.
CREATE VIEW oxygen AS
SELECT stay_id, hour,
    max(max) FILTER (variable = 'oxygen_flow') AS oxygen_flow,
    max(max) FILTER (variable = 'fio2') AS fio2,
    max(max) FILTER (variable IN ('peep', 'peep_total')) AS peep,
    max(mean) FILTER (variable = 'tidal_volume_set') AS tidal_volume_set,
    max(mean) FILTER (variable = 'tidal_volume_observed') AS tidal_volume_observed,
    max(mean) FILTER (variable = 'respiratory_rate_set') AS respiratory_rate_set,
    max(mean) FILTER (variable = 'minute_volume') AS minute_volume,
    max(max) FILTER (variable = 'peak_inspiratory_pressure') AS peak_inspiratory_pressure,
    max(max) FILTER (variable = 'plateau_pressure') AS plateau_pressure
FROM measured_values
GROUP BY stay_id, hour;
