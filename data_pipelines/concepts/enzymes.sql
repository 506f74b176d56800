-- Liver and heart enzymes per hour: the worst value of the hour, that is the highest.
-- Source: MIMIC-IV concepts "enzyme" and "cardiac_marker" (items 50861-50956, 51003). Units: variables.csv.
CREATE VIEW enzymes AS
SELECT stay_id, hour,
    max(max) FILTER (variable = 'alt') AS alt,
    max(max) FILTER (variable = 'ast') AS ast,
    max(max) FILTER (variable = 'alp') AS alp,
    max(max) FILTER (variable = 'bilirubin_total') AS bilirubin_total,
    max(max) FILTER (variable = 'bilirubin_direct') AS bilirubin_direct,
    max(max) FILTER (variable = 'ck') AS ck,
    max(max) FILTER (variable = 'ck_mb') AS ck_mb,
    max(max) FILTER (variable = 'ldh') AS ldh,
    max(max) FILTER (variable = 'lipase') AS lipase,
    max(max) FILTER (variable = 'troponin_t') AS troponin_t
FROM measured_values
GROUP BY stay_id, hour;
