-- Creatinine of the 7 days before ICU admission: the baseline of KDIGO. second: seconds since ICU admission, negative.
CREATE TABLE earlier_creatinine AS
SELECT c.stay_id, CAST(floor((epoch_us(o.moment) - epoch_us(c.intime)) / 1e6) AS INTEGER) AS second, o.value
FROM (
    SELECT *, CASE WHEN getvariable('time_policy') = 'storetime' THEN known_time ELSE time END AS moment
    FROM observations WHERE variable = 'creatinine' AND stay_id IS NULL
) o
JOIN cohort c ON c.subject_id = o.subject_id AND o.moment >= c.intime - INTERVAL 7 DAY AND o.moment < c.intime
JOIN variables v ON v.variable = 'creatinine' AND o.value BETWEEN v.low AND v.high;
