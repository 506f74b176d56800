-- Sepsis-3 begins within the next 6 hours, asked every hour until it does: in (t, t+6], as the label of the 2019 PhysioNet Challenge, which
-- begins 6 hours before the onset. (The challenge goes on asking after the onset; here a septic patient is not asked again.)
-- Source: PhysioNet/Computing in Cardiology Challenge 2019; onset as in concepts/sepsis3.sql, or as the data set itself says.
-- Needs: sepsis-3
CREATE VIEW sepsis_onset AS
SELECT h.stay_id, h.hour, coalesce(s.onset_hour <= h.hour + 6, false) AS label
FROM stay_hours h LEFT JOIN sepsis3 s ON s.stay_id = h.stay_id
WHERE coalesce(s.onset_hour > h.hour, true);
