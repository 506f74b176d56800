-- For a source that does not tell.
CREATE VIEW cultures AS SELECT CAST(NULL AS BIGINT) AS subject_id, CAST(NULL AS BIGINT) AS specimen_id, CAST(NULL AS TIMESTAMP) AS time,
    CAST(NULL AS TIMESTAMP) AS date WHERE false;
