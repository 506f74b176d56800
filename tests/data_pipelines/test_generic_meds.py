"""Any MEDS data set: codes speak by their description and value; what is known at discharge only never does."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from clin_jepa.errors import InputError
from data_pipelines.extract import extract
from tests.data_pipelines.stores import Store, read_store

_START = datetime(2031, 5, 4, 10)
_Event = tuple[int, datetime | None, str, float | None, str | None]


def _at(hours: float) -> datetime:
    return _START + timedelta(hours=hours)


_STAY: list[_Event] = [
    (1, datetime(1970, 1, 1), "MEDS_BIRTH", None, None),
    (1, None, "GENDER//F", None, None),
    (1, None, "RACE//ASIAN", None, None),
    (1, _at(0), "ICU_ADMISSION//MICU", None, None),
    (1, _at(0.5), "VITAL//HR", 88.0, None),
    (1, _at(0.6), "VITAL//TEMP", 36.65, None),
    (1, _at(0.7), "LAB//XYZ//mg", 0.1234, None),
    (1, _at(1.5), "NOTE//SKIN", None, "warm; dry"),
    (1, _at(1.6), "ALARM", None, None),
    (1, _at(2.5), "MEDICATION//ASPIRIN", 100.0, None),
    (1, _at(2.6), "PROCEDURE//LINE", None, None),
    (1, _at(3.0), "DIAGNOSIS//ICD//10//A41", None, None),
    (1, _at(3.1), "DRG//871", None, None),
    (1, _at(3.2), "BILLING//X", 5.0, None),
    (1, _at(3.3), "PLANNED_DISCHARGE", None, None),
    (1, _at(8), "ICU_DISCHARGE//MICU", None, None),
    (1, _at(9), "HOSPITAL_DISCHARGE//DIED", None, None),
    (1, _at(9), "MEDS_DEATH", None, None),
]


def write_data_set(root: Path, events: list[_Event], version: str = "0.4.0", columns: dict[str, str] | None = None) -> Path:
    """A MEDS data set of these events, with a description of one code."""
    for part in ("data/train", "metadata"):
        (root / part).mkdir(parents=True)
    schema: dict[str, Any] = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
        "text_value": pl.String,
    }
    pl.DataFrame(events, schema=schema, orient="row").rename(columns or {}).write_parquet(root / "data/train/0.parquet")
    pl.DataFrame({"code": ["VITAL//HR"], "description": ["Heart rate [bpm]: bedside"]}).write_parquet(root / "metadata/codes.parquet")
    (root / "metadata" / "dataset.json").write_text(
        json.dumps({"dataset_name": "elsewhere", "dataset_version": "2", "meds_version": version})
    )
    return root


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The worked stay's store; that its codes are generic is found out."""
    folder = tmp_path_factory.mktemp("generic")
    return read_store(extract("meds", write_data_set(folder / "raw", _STAY), folder / "store", threads=1))


def test_texts(store: Store) -> None:
    """In the order of the codes; digits follow the size of the numbers; an event without a value was recorded, or given."""
    assert store.states(1)[:4] == [
        "t=0h | LAB XYZ mg: 0.123; Heart rate [bpm] bedside: 88; VITAL TEMP: 36.7",
        "t=1h | ALARM: recorded; NOTE SKIN: warm dry",
        "t=2h | no observations recorded",
        "t=3h | no observations recorded",
    ]
    assert store.actions(1)[1:3] == ["t=1h | no interventions recorded", "t=2h | MEDICATION ASPIRIN: 100; PROCEDURE LINE: given"]
    assert store.stay(1)["static_text"] == "age: 61 years; sex: F; race: ASIAN"


def test_values_and_outcomes(store: Store) -> None:
    assert store.value(1, 0, "VITAL//HR") == (88.0, 88.0, 88.0, 88.0, 1)
    assert set(store.values["variable"]) == {"VITAL//HR", "VITAL//TEMP", "LAB//XYZ//mg", "MEDICATION//ASPIRIN"}
    assert (store.stay(1)["hospital_death"], store.stay(1)["icu_death"], store.stay(1)["death_hour"]) == (True, False, 9.0)
    assert store.dataset["source_version"] == "elsewhere 2"


def test_what_is_not_mapped_is_not_made_up(store: Store) -> None:
    """No SOFA of 0 where none of its inputs is known, and no label of a task that needs one."""
    assert store.dataset["tasks"]["circulatory_failure"] == "not available: needs lactate, mbp or mbp_arterial, norepinephrine"
    assert store.dataset["tasks"]["sepsis"] == "not available: needs sepsis-3"
    assert store.stay(1)["sepsis3"] is None
    assert set(store.labels["task"]) == {"decompensation"}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_stays_from_a_file(tmp_path: Path, ending: str) -> None:
    events = [event for event in _STAY if not event[2].startswith("ICU_")]
    stays = pl.DataFrame({"subject_id": [1], "stay_id": [77], "intime": [_at(0)], "outtime": [_at(7)]})
    file = tmp_path / f"stays.{ending}"
    if ending == "csv":
        stays.write_csv(file)
    else:
        stays.write_parquet(file)
    raw = write_data_set(tmp_path / "raw", events, version="0.3.3")
    found = read_store(extract("meds", raw, tmp_path / "store", stays_file=file, threads=1))
    assert found.stays.select("stay_id", "n_hours").rows() == [(77, 7)]
    assert found.states(77)[0] == "t=0h | LAB XYZ mg: 0.123; Heart rate [bpm] bedside: 88; VITAL TEMP: 36.7"


def test_without_deaths(tmp_path: Path) -> None:
    events = [event for event in _STAY if "DEATH" not in event[2] and "DIED" not in event[2]]
    found = read_store(extract("meds", write_data_set(tmp_path / "raw", events), tmp_path / "store", threads=1))
    assert found.labels.is_empty()
    assert found.dataset["tasks"]["decompensation"] == "not available: needs hour of death"


def test_bad_input(tmp_path: Path) -> None:
    without = [event for event in _STAY if not event[2].startswith("ICU_")]
    raw = write_data_set(tmp_path / "raw", without)
    with pytest.raises(InputError, match="has no ICU_ADMISSION and ICU_DISCHARGE codes: give a table of subject_id, intime, outtime"):
        extract("meds", raw, tmp_path / "store", threads=1)
    file = tmp_path / "stays.csv"
    with pytest.raises(InputError, match=r"stays\.csv is missing"):
        extract("meds", raw, tmp_path / "store", stays_file=file, threads=1)
    file.write_text("subject_id,intime\n1,2031-05-04 10:00:00\n")
    with pytest.raises(InputError, match=r"stays\.csv lacks the column\(s\) outtime"):
        extract("meds", raw, tmp_path / "store", stays_file=file, threads=1)
    row = "1,5,2031-05-04 10:00:00,2031-05-04 20:00:00\n"
    file.write_text(f"subject_id,stay_id,intime,outtime\n{row}{row}")
    with pytest.raises(InputError, match=r"stays\.csv names a stay_id more than once"):
        extract("meds", raw, tmp_path / "store", stays_file=file, threads=1)
    other = write_data_set(tmp_path / "other", _STAY, columns={"numeric_value": "number"})
    with pytest.raises(InputError, match=r"lacks the column\(s\) numeric_value"):
        extract("meds", other, tmp_path / "store", threads=1)
    with pytest.raises(InputError, match="stays_file goes with generic MEDS only"):
        extract("meds", raw, tmp_path / "store", meds_codes="mimic", stays_file=file, threads=1)
