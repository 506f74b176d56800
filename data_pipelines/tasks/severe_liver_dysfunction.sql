-- Severe liver dysfunction within 48 hours, asked every hour.
-- Event: MELD of 30 or more (concepts/meld.sql). A patient whose last known status is an event is asked nevertheless.
-- Source: ICareFM early event prediction.
-- Needs: bilirubin_total, inr, creatinine
CREATE VIEW severe_liver_dysfunction_status AS
SELECT stay_id, hour, meld >= 30 AS is_event FROM meld;

CREATE VIEW severe_liver_dysfunction AS
FROM early_event_labels('severe_liver_dysfunction_status', 48, false);
