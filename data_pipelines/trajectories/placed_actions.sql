-- Actions placed in their stay, in the variable's own unit, with the reason why an action is left out, or NULL.
-- first_hour, last_hour: the hours since ICU admission that the action overlaps, within the stay; an interval ends before its end
-- time, so one from 01:00 to 02:00 after admission overlaps hour 1 only. second: its begin in seconds since ICU admission.
-- An action happens when it happens: the time policy does not move it.
-- An action without a stay (a prescription) belongs to the stay of its subject in which it begins.
-- An infusion or bolus with an implausible number, or in a unit that units.csv does not convert, keeps its place without the
-- number; one of zero or less was not given. A fluid that only carries a drug is no action. An
-- infusion of an item that variables.csv knows as a bolus only, or the other way round, is counted and dropped.
CREATE TABLE placed_actions AS
WITH attached AS (
    SELECT c.stay_id AS cohort_stay, c.n_hours, c.intime, c.outtime, a.*
    FROM actions a JOIN cohort c ON c.stay_id = a.stay_id
    UNION ALL
    SELECT c.stay_id, c.n_hours, c.intime, c.outtime, a.*
    FROM actions a JOIN cohort c ON c.subject_id = a.subject_id AND a.start_time >= c.intime AND a.start_time < c.outtime
    WHERE a.stay_id IS NULL
), converted AS (
    SELECT a.cohort_stay AS stay_id, a.n_hours, a.variable, v.form, v.low, v.high, a.is_carrier, a.end_time < a.start_time AS is_reversed,
        a.start_time = a.end_time AS is_point,
        CASE
            WHEN v.form NOT IN ('number', 'rate', 'amount') OR isnan(a.value) THEN NULL
            WHEN lower(a.unit) = lower(v.unit) OR a.unit IS NULL AND v.form = 'number' OR a.value > u.up_to THEN a.value
            ELSE CAST(a.value * u.factor + u.shift AS FLOAT)
        END AS value,
        a.value AS recorded,
        CASE WHEN v.form = 'text' THEN speakable(a.text) END AS text,
        epoch_us(a.start_time) - epoch_us(a.intime) AS start_us,
        least(epoch_us(a.end_time), epoch_us(a.outtime)) - epoch_us(a.intime) AS end_us,
        epoch_us(a.outtime) - epoch_us(a.intime) AS stay_us
    FROM attached a
    LEFT JOIN variables v USING (variable)
    LEFT JOIN unit_conversions u ON lower(u.from_unit) = lower(a.unit) AND u.to_unit = v.unit
), judged AS (
    SELECT *, greatest(start_us, 0) // 3600000000 AS first_hour,
        least(CASE WHEN is_point THEN start_us ELSE end_us - 1 END // 3600000000, n_hours - 1) AS last_hour,
        CASE
            WHEN variable IS NULL THEN 'no_variable_for_its_form'
            WHEN is_carrier THEN 'carrier_fluid'
            WHEN start_us IS NULL OR end_us IS NULL OR is_reversed THEN 'invalid_times'
            WHEN start_us >= stay_us OR end_us <= 0 AND NOT (is_point AND start_us = 0) THEN 'outside_stay'
            WHEN form IN ('rate', 'amount') AND recorded <= 0 THEN 'nothing_given'
            WHEN form IN ('number', 'text') AND value IS NULL AND text IS NULL THEN 'no_value'
            WHEN form = 'number' AND value NOT BETWEEN coalesce(low, value) AND coalesce(high, value) THEN 'implausible'
        END AS reason
    FROM converted
)
SELECT stay_id, CAST(start_us // 1000000 AS INTEGER) AS second, CAST(first_hour AS INTEGER) AS first_hour,
    CAST(last_hour AS INTEGER) AS last_hour, CAST(variable AS variable_name) AS variable,
    CASE WHEN value BETWEEN coalesce(low, value) AND coalesce(high, value) THEN value END AS value, text,
    reason IS NULL AND form IN ('rate', 'amount') AND recorded IS NOT NULL
        AND (value IS NULL OR value NOT BETWEEN coalesce(low, value) AND coalesce(high, value)) AS lost_number,
    CASE
        WHEN reason IS NOT NULL THEN reason
        WHEN first_hour >= n_hours THEN 'after_last_hour'
        WHEN row_number() OVER (PARTITION BY stay_id, variable, start_us, end_us, value, text, reason) > 1 THEN 'repeated'
    END AS dropped
FROM judged;
