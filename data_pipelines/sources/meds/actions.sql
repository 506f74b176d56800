-- Actions of a MEDS data set made from MIMIC-IV. It keeps no cultures, so suspected infection, and with it sepsis-3, is not known.
CREATE VIEW actions AS FROM item_actions;

CREATE VIEW antibiotics AS SELECT 0::BIGINT AS subject_id, now()::TIMESTAMP AS start_time, '' AS antibiotic WHERE false;

CREATE VIEW cultures AS SELECT 0::BIGINT AS subject_id, 0::BIGINT AS specimen_id, now()::TIMESTAMP AS time, now()::TIMESTAMP AS date WHERE false;
