-- Suspected infection: a systemic antibiotic and a culture of the same patient, the culture at most 24 hours after the antibiotic, or
-- the antibiotic at most 72 hours after the culture. Its time is the earlier of the two. Of several cultures before an antibiotic
-- the earliest counts. Where only the date of a culture is known, dates are compared, and its time is the beginning of that day.
-- Source: Seymour et al. 2016, JAMA 315:762; windows as in the MIMIC-IV concept "suspicion_of_infection"; here a
-- culture and an antibiotic at the same moment count too.
CREATE TABLE suspected_infection AS
WITH before AS (
    SELECT a.subject_id, a.start_time, min(coalesce(c.time, c.date)) AS culture_time
    FROM antibiotics a
    JOIN cultures c ON c.subject_id = a.subject_id AND CASE
        WHEN c.time IS NOT NULL THEN c.time < a.start_time AND a.start_time <= c.time + INTERVAL 72 HOUR
        ELSE c.date <= a.start_time AND date_trunc('day', a.start_time) <= c.date + INTERVAL 3 DAY
        END
    GROUP BY a.subject_id, a.start_time
), after AS (
    SELECT DISTINCT a.subject_id, a.start_time
    FROM antibiotics a
    JOIN cultures c ON c.subject_id = a.subject_id AND CASE
        WHEN c.time IS NOT NULL THEN a.start_time <= c.time AND c.time <= a.start_time + INTERVAL 24 HOUR
        ELSE date_trunc('day', a.start_time) <= c.date AND c.date <= a.start_time + INTERVAL 24 HOUR
        END
)
SELECT subject_id, a.start_time AS antibiotic_time, coalesce(b.culture_time, a.start_time) AS suspected_time
FROM (SELECT DISTINCT subject_id, start_time FROM antibiotics) a
LEFT JOIN before b USING (subject_id, start_time)
LEFT JOIN after f USING (subject_id, start_time)
WHERE b.start_time IS NOT NULL OR f.start_time IS NOT NULL;
