-- Blood chemistry per hour: the worst value of the hour, that is the highest, but the lowest of albumin, bicarbonate and calcium.
-- Source: MIMIC-IV concept "chemistry" (items 50862-51006) and lactate (50813). Units: variables.csv.
CREATE VIEW chemistry AS
SELECT stay_id, hour,
    min(min) FILTER (variable = 'albumin') AS albumin,
    max(max) FILTER (variable = 'anion_gap') AS anion_gap,
    min(min) FILTER (variable = 'bicarbonate') AS bicarbonate,
    max(max) FILTER (variable = 'bun') AS bun,
    min(min) FILTER (variable = 'calcium') AS calcium,
    max(max) FILTER (variable = 'chloride') AS chloride,
    max(max) FILTER (variable = 'creatinine') AS creatinine,
    max(max) FILTER (variable = 'glucose') AS glucose,
    max(max) FILTER (variable = 'sodium') AS sodium,
    max(max) FILTER (variable = 'potassium') AS potassium,
    max(max) FILTER (variable = 'magnesium') AS magnesium,
    max(max) FILTER (variable = 'phosphate') AS phosphate,
    max(max) FILTER (variable = 'lactate') AS lactate
FROM measured_values
GROUP BY stay_id, hour;
