-- The scores that become variables of the numeric grid, a row a score and hour. SOFA, for
-- which missing is 0, is no score where none of its inputs is mapped.
CREATE TABLE scores AS
SELECT stay_id, hour, CAST('sofa' AS variable_name) AS variable, CAST(sofa AS FLOAT) AS value FROM sofa WHERE getvariable('knows_scores')
UNION ALL
SELECT stay_id, hour, 'kdigo_stage', CAST(kdigo_stage AS FLOAT) FROM kdigo
UNION ALL
SELECT stay_id, hour, 'meld', CAST(meld AS FLOAT) FROM meld
UNION ALL
SELECT stay_id, hour, 'gcs_total', min(gcs) FROM gcs GROUP BY stay_id, hour;
