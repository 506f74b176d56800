-- The numeric grid of the store: what was measured and given, and the scores of the hour.
-- Sorted by stay, hour and the clinical order of the variables.
CREATE VIEW hourly_values AS
SELECT stay_id, CAST(hour AS INTEGER) AS hour, CAST(variable AS VARCHAR) AS variable, mean, last, min, max, n
FROM (
    SELECT * FROM measured_values
    UNION ALL
    SELECT stay_id, hour, variable, value, value, value, value, 1 FROM scores
)
ORDER BY stay_id, hour, variable;
