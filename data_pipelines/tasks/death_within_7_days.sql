-- Death within 7 days of ICU admission, in hospital or after, asked once, after the first 24 hours (hours 0 to 23) of a stay of at least that length.
-- Needs: day of death
CREATE VIEW death_within_7_days AS
SELECT stay_id, 23 AS hour, coalesce(death_hour <= 7 * 24, false) AS label
FROM cohort
WHERE los_hours >= 24 AND coalesce(death_hour >= 24, true);
