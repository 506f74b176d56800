-- Observations placed in the hours of their stay, in the variable's own unit, with the reason why a reading is left out, or NULL.
-- Hour: whole hours since ICU admission; a reading at the moment of discharge or later is outside the stay.
-- Time policy (method setting): 'charttime' bins a reading at the time it refers to, 'storetime' at the time it became known.
-- A reading without a stay (laboratory results) belongs to the stay of its subject in which its time falls.
-- Plausible range and unit: variables.csv; conversions: units.csv. Exact repeats of a reading count once.
CREATE TABLE placed_observations AS
WITH timed AS (
    SELECT *, CASE WHEN getvariable('time_policy') = 'storetime' THEN known_time ELSE time END AS moment FROM observations
), attached AS (
    SELECT c.stay_id, c.intime, c.outtime, c.n_hours, t.moment, t.variable, t.value, t.text, t.unit
    FROM timed t JOIN candidates c ON c.stay_id = t.stay_id
    WHERE c.dropped IS NULL
    UNION ALL
    SELECT c.stay_id, c.intime, c.outtime, c.n_hours, t.moment, t.variable, t.value, t.text, t.unit
    FROM timed t JOIN candidates c ON c.subject_id = t.subject_id AND t.moment >= c.intime AND t.moment < c.outtime
    WHERE c.dropped IS NULL AND t.stay_id IS NULL
), converted AS (
    SELECT a.stay_id, a.moment, a.variable, v.form, v.category, v.low, v.high, a.moment >= a.intime AND a.moment < a.outtime AS in_stay,
        (epoch_us(a.moment) - epoch_us(a.intime)) // 3600000000 AS hour, a.n_hours,
        CASE
            WHEN v.form = 'text' OR isnan(a.value) THEN NULL
            WHEN lower(a.unit) = lower(v.unit) OR a.value > u.up_to THEN a.value
            ELSE CAST(a.value * u.factor + u.shift AS FLOAT)
        END AS value,
        CASE WHEN v.form = 'text' THEN nullif(trim(regexp_replace(regexp_replace(a.text, '[;|\s]+', ' ', 'g'), '[^ -~]', '', 'g')), '') END AS text
    FROM attached a
    JOIN variables v USING (variable)
    LEFT JOIN unit_conversions u ON lower(u.from_unit) = lower(a.unit) AND lower(u.to_unit) = lower(v.unit)
)
SELECT stay_id, moment, CAST(hour AS INTEGER) AS hour, variable, category, value, text,
    CASE
        WHEN NOT coalesce(in_stay, false) THEN 'outside_stay'
        WHEN hour >= n_hours THEN 'after_last_hour'
        WHEN value IS NULL AND text IS NULL THEN 'no_value'
        WHEN value NOT BETWEEN coalesce(low, value) AND coalesce(high, value) THEN 'implausible'
        WHEN row_number() OVER (PARTITION BY stay_id, variable, moment, value, text) > 1 THEN 'repeated'
    END AS dropped
FROM converted;
