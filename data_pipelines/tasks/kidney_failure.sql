-- Kidney failure within 48 hours, asked every hour.
-- Event: KDIGO stage 3 (concepts/kdigo.sql): creatinine of 3 times its lowest of the last 7 days, or 4.0 mg/dl with an acute rise,
-- or urine below 0.3 ml/kg/h through 24 hours, or none in 12 hours, or renal replacement.
-- Source: ICareFM early event prediction.
-- Needs: creatinine or urine_output
CREATE VIEW kidney_failure_status AS
SELECT stay_id, hour, kdigo_stage = 3 AS is_event FROM kdigo;

CREATE VIEW kidney_failure AS
FROM early_event_labels('kidney_failure_status', 48, true);
