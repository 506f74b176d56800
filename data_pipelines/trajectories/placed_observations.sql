-- Observations placed in the hours of their stay, in the variable's own unit, with the reason why a reading is left out, or NULL.
-- second: whole seconds since ICU admission; hour: whole hours. A reading at the moment of discharge or later is outside the stay.
-- Time policy (method setting): 'charttime' bins a reading at the time it refers to, 'storetime' at the time it became known.
-- A reading without a stay (laboratory results) belongs to the stay of its subject in which its time falls.
-- Plausible range and unit: variables.csv; conversions: units.csv. A reading without a unit is in the variable's own.
CREATE TABLE placed_observations AS
WITH timed AS (
    SELECT stay_id, subject_id, CASE WHEN getvariable('time_policy') = 'storetime' THEN known_time ELSE time END AS moment, variable,
        value, text, unit
    FROM observations
), attached AS (
    SELECT c.stay_id, c.n_hours, epoch_us(t.moment) - epoch_us(c.intime) AS since_us, t.moment < c.outtime AS before_out,
        t.variable, t.value, t.text, t.unit
    FROM timed t JOIN candidate_stays c ON c.stay_id = t.stay_id
    UNION ALL
    SELECT c.stay_id, c.n_hours, epoch_us(t.moment) - epoch_us(c.intime), t.moment < c.outtime,
        t.variable, t.value, t.text, t.unit
    FROM timed t JOIN candidate_stays c ON c.subject_id = t.subject_id AND t.moment >= c.intime AND t.moment < c.outtime
    WHERE t.stay_id IS NULL
), converted AS (
    SELECT a.stay_id, a.n_hours, a.since_us, coalesce(a.since_us >= 0 AND a.before_out, false) AS in_stay, v.variable, v.is_vital_sign,
        v.low, v.high,
        CASE
            WHEN v.form = 'text' OR isnan(a.value) THEN NULL
            WHEN a.unit IS NULL OR a.value > u.up_to THEN a.value
            ELSE CAST(a.value * u.factor + u.shift AS FLOAT)
        END AS value,
        CASE WHEN v.form = 'text' THEN speakable(a.text) END AS text
    FROM attached a
    JOIN variables v USING (variable)
    LEFT JOIN unit_conversions u ON u.from_unit = a.unit AND u.to_unit = v.unit
)
SELECT stay_id, CAST(CASE WHEN in_stay THEN since_us // 1000000 END AS INTEGER) AS second,
    CAST(CASE WHEN in_stay THEN since_us // 3600000000 END AS INTEGER) AS hour, variable, is_vital_sign, value, text,
    CASE
        WHEN NOT in_stay THEN 'outside_stay'
        WHEN since_us // 3600000000 >= n_hours THEN 'after_last_hour'
        WHEN value IS NULL AND text IS NULL THEN 'no_value'
        WHEN value NOT BETWEEN coalesce(low, value) AND coalesce(high, value) THEN 'implausible'
    END AS dropped
FROM converted;
