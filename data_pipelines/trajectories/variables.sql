-- The variables of this extraction: those of variables.csv and those that a source brought itself. The type variable_name makes
-- them compare as fast as numbers; it is in the clinical order of the texts.
-- is_vital_sign: whether a reading proves that the stay was charted; any reading does where codes are not mapped to variables.
-- is_spoken: whether a variable appears in texts; unit_suffix: what follows its number there.
CREATE TYPE variable_name AS ENUM (SELECT variable FROM listed_variables ORDER BY text_order, variable);

CREATE TABLE variables AS
SELECT * REPLACE (CAST(variable AS variable_name) AS variable), category IN ('vital sign', 'code') AS is_vital_sign, category <> 'derived' AS is_spoken,
    CASE WHEN unit = '' THEN '' ELSE ' ' || unit END AS unit_suffix
FROM listed_variables;

-- items: a row an item id of a variable. "223761@degF" in variables.csv means that item 223761 is recorded in degF.
-- unit: where it is not the variable's own.
CREATE TABLE items AS
SELECT variable, kind, form, category, source_table, specimen, CAST(split_part(item, '@', 1) AS BIGINT) AS itemid,
    nullif(split_part(item, '@', 2), '') AS unit
FROM (SELECT *, unnest(string_split(items, '|')) AS item FROM variables WHERE items IS NOT NULL);

-- mapped_items: a row an item id that extraction reads; is_worded where its text is needed. Item 52033, the type of a blood gas
-- specimen, belongs to no variable of its own.
CREATE TABLE mapped_items AS
SELECT source_table, itemid, bool_or(form = 'text') OR itemid IN (223900, 52033) AS is_worded
FROM (SELECT source_table, itemid, form FROM items UNION ALL SELECT 'labevents', 52033, 'text')
GROUP BY source_table, itemid;
