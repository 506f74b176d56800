-- The readings that count: of cohort stays, in the stay, plausible; an exact repeat of a reading counts once.
CREATE TABLE readings AS
SELECT DISTINCT stay_id, hour, second, variable, value, text
FROM placed_observations
WHERE dropped IS NULL AND stay_id IN (SELECT stay_id FROM cohort);
