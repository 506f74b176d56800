-- The numeric grid of what was measured and given: a row a variable in an hour, in the variable's own unit. A rate counts in every
-- hour that it overlaps. The mean is summed exactly (decimals), so that it does not depend on the order in which threads add; of
-- several values at the last moment of an hour, the largest is the last.
CREATE TABLE measured_values AS
WITH events AS (
    SELECT stay_id, hour, second, variable, value FROM readings WHERE value IS NOT NULL
    UNION ALL
    SELECT stay_id, hour, second, variable, value FROM treatments WHERE value IS NOT NULL
)
SELECT stay_id, hour, variable, CAST(CAST(sum(CAST(value AS DECIMAL(38, 12))) AS DOUBLE) / count(*) AS FLOAT) AS mean,
    arg_max(value, (second, value)) AS last, min(value) AS min, max(value) AS max, CAST(count(*) AS INTEGER) AS n
FROM events
GROUP BY stay_id, hour, variable;
