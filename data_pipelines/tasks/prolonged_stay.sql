-- An ICU stay of more than 7 days, asked once, after the first 24 hours (hours 0 to 23) of a stay of at least that length.
-- Needs: length of stay
CREATE VIEW prolonged_stay AS
SELECT stay_id, 23 AS hour, los_hours > 7 * 24 AS label
FROM cohort
WHERE los_hours >= 24 AND coalesce(death_hour >= 24, true);
