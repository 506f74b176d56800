-- The variables of a trajectory, the unit conversions and the names of antibiotics.
-- Source: variables.csv, units.csv and antibiotics.csv of this package; all are meant to be read and edited by clinicians.
--
-- listed_variables: a row a variable. `form` says what kind of event it is and how it speaks in the text:
--   number    a reading or a setting at one moment: "heart rate: 88 bpm"
--   text      a worded finding or setting at one moment: "ventilator mode: CPAP/PSV"
--   rate      an infusion; it speaks in every hour that it overlaps: "norepinephrine: 0.12 mcg/kg/min"
--   amount    a bolus; it speaks in its own hour: "fentanyl dose: 50 mcg"
--   interval  a treatment without a number; it speaks in every hour that it overlaps: "invasive ventilation: ongoing"
--   event     a treatment without a number; it speaks in its own hour: "vancomycin: given"
-- `low` and `high` bound the plausible range, in the variable's own unit, both ends included.
CREATE TABLE listed_variables AS
SELECT variable, name, coalesce(unit, '') AS unit, kind, category, "order" AS text_order, low, high, decimals, form, word,
    source_table, specimen, items
FROM read_csv(getvariable('variables_csv'), header = true, delim = ',', quote = '"', auto_detect = false, nullstr = '', columns = {
    'variable': 'VARCHAR', 'name': 'VARCHAR', 'unit': 'VARCHAR', 'kind': 'VARCHAR', 'category': 'VARCHAR', 'order': 'INTEGER',
    'low': 'DOUBLE', 'high': 'DOUBLE', 'decimals': 'INTEGER', 'form': 'VARCHAR', 'word': 'VARCHAR', 'source_table': 'VARCHAR',
    'specimen': 'VARCHAR', 'items': 'VARCHAR'});

-- unit_conversions: value in to_unit = value in from_unit * factor + shift; where `up_to` is given, a larger value is already
-- in to_unit (an inspired oxygen fraction of 0.4 is 40 %, one of 40 is 40 %).
CREATE TABLE unit_conversions AS
SELECT *
FROM read_csv(getvariable('units_csv'), header = true, delim = ',', quote = '"', auto_detect = false, nullstr = '', columns = {
    'from_unit': 'VARCHAR', 'to_unit': 'VARCHAR', 'factor': 'DOUBLE', 'shift': 'DOUBLE', 'up_to': 'DOUBLE'});

-- antibiotic_names: a drug whose name contains `fragment` is the antibiotic.
CREATE TABLE antibiotic_names AS
FROM read_csv(getvariable('antibiotics_csv'), header = true, delim = ',', auto_detect = false, columns = {
    'fragment': 'VARCHAR', 'antibiotic': 'VARCHAR'});

SET VARIABLE antibiotic_pattern = (SELECT string_agg(fragment, '|' ORDER BY fragment) FROM antibiotic_names);
