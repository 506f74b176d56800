-- Death in the ICU, asked once, at hour 24, of the patients who are still there at its end: what a model may see of hour 24 ends there.
-- Source: ICareFM early event prediction.
-- Needs: ICU death
CREATE VIEW icu_mortality_at_24h AS
SELECT stay_id, 24 AS hour, icu_death AS label
FROM cohort
WHERE n_hours > 24 AND coalesce(death_hour >= 25, true);
