-- The candidate stays of this job (all of them, or those of one shard), and the span of each candidate's ICU stays.
CREATE TABLE candidate_stays AS
SELECT * FROM candidates WHERE dropped IS NULL AND (getvariable('shard') IS NULL OR hash(subject_id) % getvariable('shards') = getvariable('shard'));

CREATE TABLE candidate_subjects AS
SELECT subject_id, min(intime) AS first_intime, max(outtime) AS last_outtime FROM candidate_stays GROUP BY subject_id;
