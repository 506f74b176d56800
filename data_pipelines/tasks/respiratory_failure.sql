-- Respiratory failure within 24 hours, asked every hour.
-- Event: an arterial PaO2/FiO2 below 200 mmHg in the hour. FiO2 is that of the gas, else the last charted one of the 4 hours before;
-- where none is recorded and the patient is not ventilated invasively, room air (0.21).
-- Source: ICareFM early event prediction.
-- Needs: po2_arterial
CREATE VIEW respiratory_failure_status AS
SELECT g.stay_id, g.hour, min(coalesce(g.pao2_fio2, CASE WHEN NOT g.is_ventilated THEN g.po2 / 0.21 END)) < 200 AS is_event
FROM blood_gas g
GROUP BY g.stay_id, g.hour
HAVING min(coalesce(g.pao2_fio2, CASE WHEN NOT g.is_ventilated THEN g.po2 / 0.21 END)) IS NOT NULL;

CREATE VIEW respiratory_failure AS
FROM early_event_labels('respiratory_failure_status', 24, true);
