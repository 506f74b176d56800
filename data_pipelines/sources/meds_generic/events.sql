-- The ingested events of one shard. An event without a value says that it was recorded.
CREATE VIEW observations AS
SELECT CAST(NULL AS BIGINT) AS stay_id, subject_id, time, time AS known_time, variable, value,
    coalesce(text, CASE WHEN value IS NULL THEN 'recorded' ELSE CAST(value AS VARCHAR) END) AS text, CAST(NULL AS VARCHAR) AS unit
FROM meds WHERE kind = 'observation';

CREATE VIEW actions AS
SELECT CAST(NULL AS BIGINT) AS stay_id, subject_id, time AS start_time, time AS end_time, variable, value,
    coalesce(text, CASE WHEN value IS NULL THEN 'given' ELSE CAST(value AS VARCHAR) END) AS text, CAST(NULL AS VARCHAR) AS unit,
    false AS is_carrier
FROM meds WHERE kind = 'action';
