-- The ingested MIMIC-IV rows of one shard, in the shape that sources/mimic_items reads.

-- charted: readings at one moment.
CREATE VIEW charted AS
SELECT 'chartevents' AS source_table, * FROM chartevents
UNION ALL
SELECT 'outputevents', * FROM outputevents
UNION ALL
SELECT 'labevents', * FROM labevents;

CREATE VIEW infusions AS FROM inputevents;

CREATE VIEW procedures AS FROM procedureevents;

-- antibiotics: systemic antibiotics by the start of their prescription.
CREATE VIEW antibiotics AS
SELECT p.subject_id, p.start_time, n.antibiotic FROM prescriptions p JOIN antibiotic_names n USING (fragment);

-- cultures: one row a specimen.
CREATE VIEW cultures AS
SELECT subject_id, specimen_id, max(time) AS time, max(date) AS date FROM microbiologyevents GROUP BY subject_id, specimen_id;
