-- Sepsis-3: a suspected infection with SOFA of 2 or more at the end of an hour of the stay from 48 hours before to 24 hours after it.
-- A row a septic stay. onset_hour: hour of the first such suspicion since ICU admission; it may lie before admission.
-- Source: Singer et al. 2016, JAMA 315:801; as in the MIMIC-IV concept "sepsis3".
CREATE TABLE sepsis3 AS
SELECT c.stay_id, CAST(min((epoch_us(i.suspected_time) - epoch_us(c.intime)) // 3600000000) AS INTEGER) AS onset_hour
FROM cohort c
JOIN suspected_infection i ON i.subject_id = c.subject_id
WHERE EXISTS (
    FROM sofa s
    WHERE s.stay_id = c.stay_id AND s.sofa >= 2
        AND to_hours(s.hour + 1) BETWEEN i.suspected_time - c.intime - INTERVAL 48 HOUR AND i.suspected_time - c.intime + INTERVAL 24 HOUR
)
GROUP BY c.stay_id;
