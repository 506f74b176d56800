-- Actions that count, a row an hour that they overlap. second: when the action began, in seconds since ICU admission.
CREATE TABLE treatments AS
SELECT stay_id, CAST(unnest(range(first_hour, last_hour + 1)) AS INTEGER) AS hour, second, variable, value, text
FROM placed_actions
WHERE dropped IS NULL;
