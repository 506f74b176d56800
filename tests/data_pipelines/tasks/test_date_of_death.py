"""Where only the date of a death is known, the hour of death is not earlier than the patient was last seen alive."""

from datetime import datetime
from pathlib import Path

from data_pipelines.extract import extract
from tests.data_pipelines.hospital import Hospital
from tests.data_pipelines.stores import read_store
from tests.data_pipelines.test_leakage import write_hospital


def test_a_patient_who_dies_on_the_day_of_discharge_was_alive_at_discharge(tmp_path: Path) -> None:
    """ICU 06:00 to 12:00 of the next day, 30 hours; discharged alive at 14:00 and dead the same day: not before hour 30."""
    hospital = Hospital()
    hospital.patient(1, "F", 80, 2151, dod=datetime(2151, 3, 2))
    hospital.tables["hosp/admissions"].append((1, 2, datetime(2151, 3, 1), datetime(2151, 3, 2, 14), None, "WHITE", 0))
    hospital.stay(1, 2, 3, datetime(2151, 3, 1, 6), datetime(2151, 3, 2, 12))
    hospital.chart(3, 1.0, 220045, 80.0)
    store = read_store(extract("mimic_iv", write_hospital(hospital, tmp_path / "raw"), tmp_path / "store", threads=1))
    labels = {task: label for task, hour, label in store.labels.select("task", "hour", "label").rows() if hour == 23}
    assert store.stay(3)["death_hour"] >= 30.0
    assert labels["death_within_7_days"] is True and labels["hospital_mortality"] is False
