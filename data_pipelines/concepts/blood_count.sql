-- Blood count per hour: the worst value of the hour, that is the lowest, but the highest of white cells, neutrophils and bands.
-- Source: MIMIC-IV concepts "complete_blood_count" and "blood_differential" (items 51144-51301). Units: variables.csv.
CREATE VIEW blood_count AS
SELECT stay_id, hour,
    min(min) FILTER (variable = 'hematocrit') AS hematocrit,
    min(min) FILTER (variable = 'hemoglobin') AS hemoglobin,
    min(min) FILTER (variable = 'platelets') AS platelets,
    max(max) FILTER (variable = 'wbc') AS wbc,
    max(max) FILTER (variable = 'neutrophils') AS neutrophils,
    min(min) FILTER (variable = 'lymphocytes') AS lymphocytes,
    max(max) FILTER (variable = 'bands') AS bands
FROM measured_values
GROUP BY stay_id, hour;
