-- Actions of a MEDS data set made from MIMIC-IV. It keeps no cultures, so suspected infection, and with it sepsis-3, is not known.
CREATE VIEW actions AS FROM item_actions;
