-- Invasive mechanical ventilation per hour: a tube or an invasive ventilator mode was charted last, or the procedure is ongoing.
-- A charted oxygen device or ventilator mode holds until the next one, at most 14 hours. Non-invasive modes and masks are not
-- invasive; a tracheostomy counts where an invasive mode is charted with it.
-- Source: oxygen devices and ventilator modes of the MIMIC-IV concept "ventilation" (items 226732, 223849, 229314), joined by the
-- procedure "Invasive Ventilation" (item 225792). Unlike that concept nothing here looks ahead of the hour.
CREATE TABLE charted_ventilation AS
SELECT stay_id, second, bool_or(is_invasive) AS is_invasive
FROM (
    SELECT stay_id, second, CASE
        WHEN variable = 'oxygen_device' THEN text = 'Endotracheal tube'
        ELSE text IN ('(S) CMV', 'APRV', 'APRV/Biphasic+ApnPress', 'APRV/Biphasic+ApnVol', 'APV (cmv)', 'APV (simv)', 'ASV', 'Ambient',
            'Apnea Ventilation', 'CMV', 'CMV/ASSIST', 'CMV/ASSIST/AutoFlow', 'CMV/AutoFlow', 'CPAP/PPS', 'CPAP/PSV', 'CPAP/PSV+Apn TCPL',
            'CPAP/PSV+ApnPres', 'CPAP/PSV+ApnVol', 'MMV', 'MMV/AutoFlow', 'MMV/PSV', 'MMV/PSV/AutoFlow', 'P-CMV', 'P-SIMV', 'PCV+',
            'PCV+/PSV', 'PCV+Assist', 'PRES/AC', 'PRVC/AC', 'PRVC/SIMV', 'PSV/SBT', 'SIMV', 'SIMV/AutoFlow', 'SIMV/PRES', 'SIMV/PSV',
            'SIMV/PSV/AutoFlow', 'SIMV/VOL', 'SYNCHRON MASTER', 'SYNCHRON SLAVE', 'VOL/AC', 'VS')
        END AS is_invasive
    FROM treatments
    WHERE variable IN ('oxygen_device', 'ventilator_mode') AND text IS NOT NULL
        -- modes that say nothing of the airway
        AND NOT (variable = 'ventilator_mode' AND text IN ('Standby', 'SPONT', 'Other'))
        AND NOT (variable = 'oxygen_device' AND text IN ('Other', 'Tracheostomy tube', 'T-piece'))
)
GROUP BY stay_id, second;

CREATE TABLE invasive_ventilation AS
SELECT h.stay_id, h.hour
FROM stay_hours h
ASOF JOIN charted_ventilation c ON c.stay_id = h.stay_id AND c.second < (h.hour + 1) * 3600
WHERE c.is_invasive AND c.second >= (h.hour - 14) * 3600
UNION
SELECT stay_id, hour FROM charted_ventilation, LATERAL (SELECT CAST(second // 3600 AS INTEGER) AS hour) WHERE is_invasive
UNION
SELECT stay_id, hour FROM treatments WHERE variable = 'invasive_ventilation';
