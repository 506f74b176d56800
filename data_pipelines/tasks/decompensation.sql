-- Decompensation: death within 24 hours, asked every hour before that of death; never missing there. Hours count: a patient who dies in
-- hour d is true from hour d-24 to d-1, also where the death follows ICU discharge. From hour d on death is in what a model may see.
-- Source: ICareFM early event prediction; MIMIC benchmark task "decompensation".
-- Needs: hour of death
CREATE VIEW decompensation AS
SELECT h.stay_id, h.hour, coalesce(floor(c.death_hour) <= h.hour + 24, false) AS label
FROM stay_hours h JOIN cohort c ON c.stay_id = h.stay_id
WHERE coalesce(h.hour < floor(c.death_hour), true);
