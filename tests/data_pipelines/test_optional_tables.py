"""Prescriptions and cultures: with them sepsis-3 from end to end, without them the store says what it cannot tell."""

import gzip
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from data_pipelines.extract import extract
from tests.data_pipelines.hospital import write_mimic_iv
from tests.data_pipelines.stores import Store, read_store

_PRESCRIPTIONS = "subject_id,hadm_id,starttime,stoptime,drug_type,drug,route\n"
_CULTURES = "subject_id,micro_specimen_id,chartdate,charttime,spec_type_desc\n"
# Stay 301 of the worked hospital is in the ICU from 2140-05-01 22:30 on; its SOFA is 5 from hour 1 on.
_SUBJECT = 101


def _extracted(folder: Path, **tables: str) -> Store:
    raw = write_mimic_iv(folder / "raw")
    for name, text in tables.items():
        (raw / "hosp" / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return read_store(extract("mimic_iv", raw, folder / "store", threads=1))


def _intime(folder: Path) -> str:
    """ICU admission of stay 301, from the worked hospital itself."""
    lines = gzip.decompress((write_mimic_iv(folder / "look") / "icu" / "icustays.csv.gz").read_bytes()).decode().splitlines()
    names = lines[0].split(",")
    row = next(line.split(",") for line in lines if ",301," in line)
    return row[names.index("intime")]


def _plus(time: str, hours: float) -> str:

    return str(datetime.fromisoformat(time) + timedelta(hours=hours))


def test_sepsis_from_end_to_end(tmp_path: Path) -> None:
    """Culture at 2.5 h, vancomycin prescribed at 4.2 h, SOFA of 5: septic, at the culture's hour; an eye drop is no antibiotic."""
    intime = _intime(tmp_path)
    prescriptions = f"{_PRESCRIPTIONS}{_SUBJECT},1,{_plus(intime, 4.2)},,MAIN,Vancomycin,IV\n"
    prescriptions += f"{_SUBJECT},1,{_plus(intime, 5.2)},,MAIN,Ciprofloxacin 0.3% Ophth Soln,BOTH EYES\n"
    cultures = f"{_CULTURES}{_SUBJECT},1,{intime[:10]} 00:00:00,{_plus(intime, 2.5)},BLOOD CULTURE\n"
    store = _extracted(tmp_path, prescriptions=prescriptions, microbiologyevents=cultures)
    assert (store.stay(301)["sepsis3"], store.stay(301)["sepsis3_onset_hour"]) == (True, 2)
    assert store.stays["sepsis3"].sum() == 1
    spoken = [hour for hour, text in enumerate(store.actions(301)) if "antibiotic prescribed" in text]
    assert spoken == [4]
    assert "antibiotic prescribed: vancomycin" in store.actions(301)[4]
    assert store.dataset["row_counts"]["prescriptions"]["dropped"] == {"not_systemic": 1}
    assert store.dataset["tasks"]["sepsis"] == "available"


@pytest.mark.parametrize("table", ["prescriptions", "microbiologyevents"])
def test_without_a_table(tmp_path: Path, table: str) -> None:
    """One of the two is not enough."""
    texts = {"prescriptions": _PRESCRIPTIONS, "microbiologyevents": _CULTURES}
    store = _extracted(tmp_path, **{name: text for name, text in texts.items() if name != table})
    assert store.stays["sepsis3"].null_count() == store.stays.height
    assert store.dataset["tasks"]["sepsis"] == "not available: needs sepsis-3"
    assert store.dataset["unavailable"] == {"sepsis-3": f"hosp/{table} is missing"}
    assert "sepsis" not in set(store.labels["task"])
