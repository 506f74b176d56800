-- Decompensation: death within 24 hours, asked every hour; never missing. Hours count: a patient who dies in hour d is true from
-- hour d-24 on, also where the death follows ICU discharge.
-- Source: ICareFM early event prediction; MIMIC benchmark task "decompensation".
-- Needs: hour of death
CREATE VIEW decompensation AS
SELECT h.stay_id, h.hour, coalesce(floor(c.death_hour) <= h.hour + 24, false) AS label
FROM stay_hours h JOIN cohort c ON c.stay_id = h.stay_id;
