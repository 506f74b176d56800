-- Coagulation per hour: the worst value of the hour, that is the highest, but the lowest fibrinogen.
-- Source: MIMIC-IV concept "coagulation" (items 51214, 51237, 51274, 51275). Units: variables.csv.
CREATE VIEW coagulation AS
SELECT stay_id, hour,
    max(max) FILTER (variable = 'inr') AS inr,
    max(max) FILTER (variable = 'pt') AS pt,
    max(max) FILTER (variable = 'ptt') AS ptt,
    min(min) FILTER (variable = 'fibrinogen') AS fibrinogen
FROM measured_values
GROUP BY stay_id, hour;
