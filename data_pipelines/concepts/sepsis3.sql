-- Sepsis-3: a suspected infection with SOFA of 2 or more at the end of an hour of the stay from 48 hours before to 24 hours after it.
-- A row a septic stay. onset_hour: hour of the first such suspicion since ICU admission; it may lie before admission.
-- A source that brings the onset of sepsis itself (given_sepsis) is believed.
-- Source: Singer et al. 2016, JAMA 315:801; windows as in the MIMIC-IV concept "sepsis3", but the antibiotic
-- need not begin within the ICU stay.
CREATE TABLE sepsis3 AS
SELECT stay_id, min(onset_hour) AS onset_hour
FROM (
    SELECT c.stay_id, CAST(floor((epoch_us(i.suspected_time) - epoch_us(c.intime)) / 3.6e9) AS INTEGER) AS onset_hour
    FROM cohort c
    JOIN suspected_infection i ON i.subject_id = c.subject_id
    WHERE EXISTS (
        FROM sofa s
        WHERE s.stay_id = c.stay_id AND s.sofa >= 2 AND to_hours(s.hour + 1)
            BETWEEN i.suspected_time - c.intime - INTERVAL 48 HOUR AND i.suspected_time - c.intime + INTERVAL 24 HOUR
    )
    UNION ALL
    SELECT stay_id, onset_hour FROM given_sepsis SEMI JOIN cohort USING (stay_id)
)
GROUP BY stay_id;
