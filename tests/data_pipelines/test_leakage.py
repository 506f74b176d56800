"""What a text may know: nothing of the future, no date, no identity, no outcome; and what the files of a store may hold."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_pipelines.extract import extract
from data_pipelines.labels import TASKS
from tests.data_pipelines import hospital as invented
from tests.data_pipelines.hospital import Hospital, write_mimic_iv
from tests.data_pipelines.stores import Store, read_store

SECOND = 1 / 3600
LAST = 5  # the hour whose text must not know what comes after it
HOURS = 12
NOTHING = "nothing more"


@dataclass
class Twins:
    """Patients who are the same but for one event, by name; each is a subject, an admission and a stay of his own."""

    hospital: Hospital = field(default_factory=Hospital)
    stays: dict[str, int] = field(default_factory=dict)
    prescriptions: list[tuple[Any, ...]] = field(default_factory=list)
    cultures: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, name: str, died: float | None = None, dod: float | None = None) -> int:
        """A patient with some readings and treatments; dead in hospital after so many hours, or at home."""
        number = len(self.stays)
        subject, hadm, stay = 71_000_001 + number, 72_000_001 + number, 73_000_001 + number
        intime = datetime(2151, 3, 14, 15, 9, 26)
        death = None if died is None else intime + timedelta(hours=died)
        gone = death or (None if dod is None else intime + timedelta(hours=dod))
        self.hospital.patient(subject, "F", 61, 2151, dod=gone and gone.replace(hour=0, minute=0, second=0))
        self.hospital.admission(subject, hadm, intime - timedelta(hours=3), "WHITE", death)
        self.hospital.stay(subject, hadm, stay, intime, intime + timedelta(hours=HOURS))
        for hour in range(HOURS):
            self.hospital.chart(stay, hour + 0.2, 220045, 80.0 + hour)
            self.hospital.chart(stay, hour + 0.3, 220181, 75.0)
        self.hospital.lab(stay, 0.5, 50912, 1.0, known=2.5)
        self.hospital.infusion(stay, 2.0, 4.5, 221906, 0.05, "mcg/kg/min")
        self.stays[name] = stay
        return stay

    def prescribe(self, stay: int, hour: float) -> None:
        self.prescriptions.append((stay - 2_000_000, self.hospital.time(stay, hour), "MAIN", "Vancomycin", "IV"))

    def culture(self, stay: int, hour: float) -> None:
        time = self.hospital.time(stay, hour)
        self.cultures.append((stay - 2_000_000, len(self.cultures), time, time.replace(hour=0, minute=0, second=0)))

    def write(self, folder: Path) -> Path:
        """MIMIC-IV's layout, with prescriptions and microbiology."""
        write_hospital(self.hospital, folder)
        for name, header, rows in (
            ("prescriptions", ("subject_id", "starttime", "drug_type", "drug", "route"), self.prescriptions),
            ("microbiologyevents", ("subject_id", "micro_specimen_id", "charttime", "chartdate"), self.cultures),
        ):
            with (folder / "hosp" / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([header, *rows])
        return folder


def write_hospital(hospital: Hospital, folder: Path) -> Path:
    """Any hospital, by the writer of the invented ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invented, "_hospital", lambda *_: hospital)
        return write_mimic_iv(folder, fmt="csv")


def _gas(twins: Twins, stay: int, hour: float) -> None:
    twins.hospital.lab(stay, hour, 52033, None, "ART.")
    twins.hospital.lab(stay, hour, 50821, 60.0)
    twins.hospital.lab(stay, hour, 50816, 60.0)


# Events of every kind, at an hour.
EVENTS: dict[str, Callable[[Twins, int, float], None]] = {
    "heart rate": lambda t, stay, hour: t.hospital.chart(stay, hour, 220045, 141.0),
    "heart rhythm": lambda t, stay, hour: t.hospital.chart(stay, hour, 220048, None, "AF (Atrial Fibrillation)"),
    "low pressure": lambda t, stay, hour: t.hospital.chart(stay, hour, 220052, 41.0),
    "coma": lambda t, stay, hour: t.hospital.chart(stay, hour, 220739, 1.0, "None"),
    "intubated": lambda t, stay, hour: t.hospital.chart(stay, hour, 223900, 1.0, "No Response-ETT"),
    "tube": lambda t, stay, hour: t.hospital.chart(stay, hour, 226732, None, "Endotracheal tube"),
    "inspired oxygen": lambda t, stay, hour: t.hospital.chart(stay, hour, 223835, 80.0),
    "weight": lambda t, stay, hour: t.hospital.chart(stay, hour, 224639, 70.0),
    "creatinine": lambda t, stay, hour: t.hospital.lab(stay, hour, 50912, 6.0),
    "platelets": lambda t, stay, hour: t.hospital.lab(stay, hour, 51265, 12.0),
    "blood gas": _gas,
    "urine": lambda t, stay, hour: t.hospital.output(stay, hour, 226559, 5.0),
    "norepinephrine": lambda t, stay, hour: t.hospital.infusion(stay, hour, hour + 2, 221906, 0.4, "mcg/kg/min"),
    "propofol bolus": lambda t, stay, hour: t.hospital.bolus(stay, hour, 222168, 50.0, "mg"),
    "vancomycin": lambda t, stay, hour: t.hospital.bolus(stay, hour, 225798, 1.0, "dose"),
    "ventilation": lambda t, stay, hour: t.hospital.procedure(stay, hour, hour + 3, 225792),
    "dialysis": lambda t, stay, hour: t.hospital.procedure(stay, hour, hour + 2, 225441),
    "extubation": lambda t, stay, hour: t.hospital.procedure(stay, hour, hour + 1 / 60, 227194),
    "prescription": lambda t, stay, hour: t.prescribe(stay, hour),
    "culture": lambda t, stay, hour: t.culture(stay, hour),
}
SILENT = {"culture"}
END = LAST + 1
AFTER = {"at the end of the hour": END, "a second after it": END + SECOND, "an hour later": END + 1}
OUTCOMES: dict[str, dict[str, float]] = {
    "died in the ICU": {"died": HOURS},
    "died in the hour": {"died": LAST + 0.5},
    "died on the ward": {"died": 80},
    "died at home": {"dod": 200},
}


@pytest.fixture(scope="module")
def twins() -> Twins:
    twins = Twins()
    twins.add(NOTHING)
    for event, happen in EVENTS.items():
        for when, hour in {**AFTER, "a second before": END - SECOND}.items():
            happen(twins, twins.add(f"{event} {when}"), hour)
    for name, outcome in OUTCOMES.items():
        twins.add(name, **outcome)
    late = twins.add("result known late")
    twins.hospital.lab(late, 1.5, 51265, 12.0, known=END + SECOND)
    return twins


@pytest.fixture(scope="module")
def folder(twins: Twins, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return twins.write(tmp_path_factory.mktemp("twins"))


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return read_store(extract("mimic_iv", folder, tmp_path_factory.mktemp("store") / "charttime", threads=1))


@pytest.fixture(scope="module")
def late_store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return read_store(extract("mimic_iv", folder, tmp_path_factory.mktemp("store") / "storetime", threads=1, time_policy="storetime"))


def past(store: Store, stay: int, hour: int = LAST) -> list[str]:
    """States and actions up to an hour."""
    return store.states(stay)[: hour + 1] + store.actions(stay)[: hour + 1]


@pytest.mark.parametrize("when", AFTER)
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_after_the_hour_does_not_change_its_text(twins: Twins, store: Store, event: str, when: str) -> None:
    twin, alone = twins.stays[f"{event} {when}"], twins.stays[NOTHING]
    assert past(store, twin) == past(store, alone)
    assert (store.states(twin) + store.actions(twin) == store.states(alone) + store.actions(alone)) == (event in SILENT)


@pytest.mark.parametrize("event", [event for event in EVENTS if event not in SILENT])
def test_an_event_in_the_last_second_of_the_hour_does(twins: Twins, store: Store, event: str) -> None:
    twin, alone = past(store, twins.stays[f"{event} a second before"]), past(store, twins.stays[NOTHING])
    changed = [number for number, (one, other) in enumerate(zip(twin, alone, strict=True)) if one != other]
    assert changed and set(changed) <= {LAST, 2 * LAST + 1}  # its state, its action, or both by way of a score


@pytest.mark.parametrize("event", [*EVENTS])
def test_storetime_does_not_look_ahead_either(twins: Twins, late_store: Store, event: str) -> None:
    assert past(late_store, twins.stays[f"{event} a second after it"]) == past(late_store, twins.stays[NOTHING])


def test_a_result_speaks_when_it_is_known(twins: Twins, store: Store, late_store: Store) -> None:
    """Platelets of 12 drawn at 1.5 h and known a second after hour 5: they and their four SOFA points come with the policy's hour."""
    stay, alone = twins.stays["result known late"], twins.stays[NOTHING]
    assert [hour for hour, text in enumerate(store.states(stay)) if "platelets: 12" in text] == [1]
    assert [hour for hour, text in enumerate(late_store.states(stay)) if "platelets: 12" in text] == [END]
    scores = [re.findall(r"SOFA score: (\d+)", text)[0] for text in late_store.states(stay)]
    assert scores == ["0", "0", "3", "3", "3", "3"] + ["7"] * 6
    assert past(late_store, stay) == past(late_store, alone)


def test_creatinine_of_the_first_hour_speaks_later_by_storetime(twins: Twins, store: Store, late_store: Store) -> None:
    stay = twins.stays[NOTHING]
    assert [[hour for hour, text in enumerate(one.states(stay)) if "creatinine: 1.0" in text] for one in (store, late_store)] == [[0], [2]]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_does_not_change_a_text(twins: Twins, store: Store, outcome: str) -> None:
    twin, alone = twins.stays[outcome], twins.stays[NOTHING]
    assert past(store, twin, HOURS) == past(store, alone, HOURS)
    assert store.stay(twin)["static_text"] == store.stay(alone)["static_text"]
    assert (
        store.values.filter(pl.col("stay_id") == twin)
        .drop("stay_id")
        .equals(store.values.filter(pl.col("stay_id") == alone).drop("stay_id"))
    )


def test_outcomes_do_change_labels(twins: Twins, store: Store) -> None:
    """Else the test above would prove nothing."""
    dead, alone = (store.labels.filter(pl.col("stay_id") == twins.stays[name]) for name in ("died in the ICU", NOTHING))
    assert dead.filter(pl.col("task") == "decompensation")["label"].all() and not alone["label"].any()


def _texts(store: Store) -> list[str]:
    return [*store.hours["state_text"], *store.hours["action_text"], *store.stays["static_text"]]


def test_no_text_names_a_task_or_an_outcome(store: Store) -> None:
    words = "|".join([*TASKS, *(task.replace("_", " ") for task in TASKS), "death", "died", "expired", "deceased", "survived", "mortality"])
    assert not [text for text in _texts(store) if re.search(words, text, re.IGNORECASE)]


COLUMNS = {
    "hours": {"stay_id", "hour", "state_text", "action_text", "n_observations", "n_actions"},
    "values": {"stay_id", "hour", "variable", "mean", "last", "min", "max", "n"},
    "labels": {"stay_id", "hour", "task", "label"},
    "stays": {
        *("stay_id", "subject_id", "split", "n_hours", "age", "sex", "race", "static_text"),
        *("hospital_death", "icu_death", "los_hours", "death_hour", "sepsis3", "sepsis3_onset_hour"),
    },
}


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_of_the_store(store: Store, table: str) -> None:
    """Outcomes are in stays and labels only; subjects in stays only; admissions nowhere."""
    frame: pl.DataFrame = getattr(store, table)
    assert set(frame.columns) == COLUMNS[table]
    assert not [name for name, kind in frame.schema.items() if kind.is_temporal()]


CALENDAR = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?/\d\d?/\d\d(\d\d)?|\d\d:\d\d|\b2151\b|\bMarch\b|\b20\d{6}\b")
IDENTIFIER = re.compile(r"7[123]\d{6}")


@pytest.mark.parametrize("table", COLUMNS)
def test_no_cell_holds_a_date_or_an_identifier(store: Store, table: str) -> None:
    frame: pl.DataFrame = getattr(store, table)
    for name in set(frame.columns) - {"stay_id", "subject_id"}:
        for value in frame[name].unique().drop_nulls().cast(pl.String).to_list():
            assert not CALENDAR.search(value) and not IDENTIFIER.search(value), f"{table}.{name}: {value}"


def test_no_file_holds_a_date_or_an_identifier_in_the_open(store: Store) -> None:
    """Names and descriptions of files, their metadata and statistics; of Parquet, what is not compressed."""
    for file in store.path.rglob("*"):
        assert not CALENDAR.search(str(file.relative_to(store.path))) and not IDENTIFIER.search(file.name)
        if file.is_file():
            content = file.read_bytes().decode("latin-1")
            assert not re.search(r"2151[-/]0?3|Vancomycin|7[123]0000\d\d", content) or file.suffix != ".json", file
            assert "2151-" not in content, file
    assert not CALENDAR.search(json.dumps({k: v for k, v in store.dataset.items() if not k.endswith("_hash")}))


def test_a_date_in_a_worded_finding_is_not_spoken(tmp_path: Path) -> None:
    twins = Twins()
    twins.hospital.chart(twins.add(NOTHING), 2.0, 220048, None, "AF since 2151-03-13 10:15")
    store = read_store(extract("mimic_iv", twins.write(tmp_path / "raw"), tmp_path / "store", threads=1))
    assert not [text for text in _texts(store) if CALENDAR.search(text)]


def test_a_date_in_a_text_of_generic_meds_is_not_spoken(tmp_path: Path) -> None:
    start = datetime(2151, 3, 14, 15)
    events: list[tuple[datetime | None, str, float | None, str | None]] = [
        (start - timedelta(days=20000), "MEDS_BIRTH", None, None),
        (start, "ICU_ADMISSION//MICU", None, None),
        (start + timedelta(hours=1), "HEART_RATE", 80.0, None),
        (start + timedelta(hours=2), "LINE_STATUS", None, "placed 2151-03-13 by 71000001"),
        (start + timedelta(hours=9), "ICU_DISCHARGE//MICU", None, None),
    ]
    schema: dict[str, Any] = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
        "text_value": pl.String,
    }
    for part in ("data", "metadata"):
        (tmp_path / "meds" / part).mkdir(parents=True)
    pl.DataFrame([(71_000_001, *event) for event in events], schema=schema, orient="row").write_parquet(tmp_path / "meds/data/0.parquet")
    (tmp_path / "meds" / "metadata" / "dataset.json").write_text(json.dumps({"dataset_name": "invented", "meds_version": "0.3.3"}))
    store = read_store(extract("meds", tmp_path / "meds", tmp_path / "store", threads=1, meds_codes="generic"))
    assert store.states(int(store.stays["stay_id"][0]))[1] == "t=1h | HEART_RATE: 80"
    assert not [text for text in _texts(store) if CALENDAR.search(text) or IDENTIFIER.search(text)]


def with_another_future(hospital: Hospital, hour: int) -> Hospital:
    """The same hospital up to the end of an hour of each stay; after it every second event is missing and the others differ."""
    other = Hospital()
    intimes = {row[2]: row[4] for row in hospital.tables["icu/icustays"]} | {row[1]: row[4] for row in hospital.tables["icu/icustays"]}
    for name, rows in hospital.tables.items():
        columns = list(invented._COLUMNS[name])
        for number, row in enumerate(rows):
            cells = dict(zip(columns, row, strict=True))
            if name in ("hosp/patients", "hosp/admissions", "icu/icustays"):
                cells |= {} if name != "hosp/admissions" else {"hospital_expire_flag": 1 - cells["hospital_expire_flag"]}
            else:
                end = intimes[cells.get("stay_id") or cells["hadm_id"]] + timedelta(hours=hour + 1)
                if cells.get("charttime", cells.get("starttime")) >= end:
                    if number % 2:
                        continue
                    for column in ("value", "valuenum", "rate"):
                        if isinstance(cells.get(column), float):
                            cells[column] *= 1.01
                elif cells.get("endtime") is not None:
                    cells["endtime"] = min(cells["endtime"], end)
            other.tables[name].append(tuple(cells[column] for column in columns))
    return other


@pytest.mark.parametrize("hour", [9, 24])
def test_a_hospital_with_another_future_has_the_same_past(hour: int, tmp_path: Path) -> None:
    hospital = invented.drifting_hospital(8, seed=5)
    stores = [
        read_store(extract("mimic_iv", write_hospital(one, tmp_path / name), tmp_path / f"{name}_store", threads=1))
        for name, one in (("raw", hospital), ("other", with_another_future(hospital, hour)))
    ]
    past, other_past = (store.hours.filter(pl.col("hour") <= hour) for store in stores)
    assert past.height == 8 * (hour + 1) and past.equals(other_past)
    future, other_future = (store.hours.filter(pl.col("hour") > hour) for store in stores)
    assert not future.equals(other_future)
