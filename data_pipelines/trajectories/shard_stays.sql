-- The stays of this shard; their splits are drawn once all shards are there (trajectories/split_stays.sql).
CREATE VIEW shard_stays AS
SELECT c.stay_id, c.subject_id, c.n_hours, c.age, c.sex, c.race,
    'age: ' || c.age || ' years; sex: ' || c.sex || '; race: ' || c.race AS static_text,
    c.hospital_death, c.icu_death, c.los_hours, c.death_hour,
    CASE WHEN getvariable('knows_sepsis') THEN s.stay_id IS NOT NULL END AS sepsis3, s.onset_hour AS sepsis3_onset_hour
FROM cohort c
LEFT JOIN sepsis3 s ON s.stay_id = c.stay_id
ORDER BY c.stay_id;
