-- The numeric grid: a row a variable in an hour, in the variable's own unit. A rate counts in every hour that it overlaps.
-- The mean is summed exactly (decimals), so that it does not depend on the order in which threads add.
CREATE VIEW hourly_values AS
SELECT stay_id, CAST(hour AS INTEGER) AS hour, variable,
    CAST(CAST(sum(CAST(value AS DECIMAL(30, 12))) AS DOUBLE) / count(*) AS FLOAT) AS mean,
    last(value ORDER BY moment, value) AS last, min(value) AS min, max(value) AS max, CAST(count(*) AS INTEGER) AS n
FROM hourly_events
WHERE value IS NOT NULL
GROUP BY stay_id, hour, variable
ORDER BY stay_id, hour, variable;
