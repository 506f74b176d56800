-- Sepsis-3 (concepts/sepsis3.sql) at any later time, asked once, after the first 24 hours (hours 0 to 23) of a stay of at least that
-- length, of the patients who were not septic before.
-- Needs: sepsis-3
CREATE VIEW sepsis AS
SELECT c.stay_id, 23 AS hour, s.stay_id IS NOT NULL AS label
FROM cohort c
LEFT JOIN sepsis3 s ON s.stay_id = c.stay_id
WHERE c.los_hours >= 24 AND coalesce(c.death_hour >= 24, true) AND coalesce(s.onset_hour >= 24, true);
