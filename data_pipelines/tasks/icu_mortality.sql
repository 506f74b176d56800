-- Death in the ICU, asked once, after the first 24 hours (hours 0 to 23) of a stay of at least that length.
-- Needs: ICU death
CREATE VIEW icu_mortality AS
SELECT stay_id, 23 AS hour, icu_death AS label
FROM cohort
WHERE los_hours >= 24 AND coalesce(death_hour >= 24, true) AND icu_death IS NOT NULL;
