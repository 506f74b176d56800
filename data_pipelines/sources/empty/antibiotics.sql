-- For a source that does not tell.
CREATE VIEW antibiotics AS SELECT CAST(NULL AS BIGINT) AS subject_id, CAST(NULL AS TIMESTAMP) AS start_time, '' AS antibiotic WHERE false;
