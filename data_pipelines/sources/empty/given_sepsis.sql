-- For a source that does not tell.
CREATE VIEW given_sepsis AS SELECT CAST(NULL AS BIGINT) AS stay_id, CAST(NULL AS INTEGER) AS onset_hour WHERE false;
