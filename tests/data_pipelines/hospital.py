"""An invented hospital, written in MIMIC-IV's original layout and as MEDS, for tests that need raw data or a store.

``write_mimic_iv(folder)`` and ``write_meds(folder)`` write the *worked* hospital: a handful of patients whose every event is listed
in :func:`worked_hospital`, so that tests can state the expected texts by hand. With ``n_subjects`` they write a *drifting* hospital
instead: that many stays of 30 to 120 hours with moving vital signs, the same for the same seed.
"""

import csv
import gzip
import io
import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import polars as pl

Row = tuple[Any, ...]

_COLUMNS: dict[str, dict[str, Any]] = {
    "hosp/patients": {"subject_id": int, "gender": str, "anchor_age": int, "anchor_year": int, "dod": datetime},
    "hosp/admissions": {
        "subject_id": int,
        "hadm_id": int,
        "admittime": datetime,
        "dischtime": datetime,
        "deathtime": datetime,
        "race": str,
        "hospital_expire_flag": int,
    },
    "icu/icustays": {"subject_id": int, "hadm_id": int, "stay_id": int, "first_careunit": str, "intime": datetime, "outtime": datetime},
    "icu/chartevents": {
        "subject_id": int,
        "hadm_id": int,
        "stay_id": int,
        "charttime": datetime,
        "storetime": datetime,
        "itemid": int,
        "value": str,
        "valuenum": float,
        "valueuom": str,
    },
    "hosp/labevents": {
        "subject_id": int,
        "hadm_id": int,
        "itemid": int,
        "charttime": datetime,
        "storetime": datetime,
        "value": str,
        "valuenum": float,
        "comments": str,
    },
    "icu/outputevents": {
        "subject_id": int,
        "hadm_id": int,
        "stay_id": int,
        "charttime": datetime,
        "storetime": datetime,
        "itemid": int,
        "value": float,
    },
    "icu/inputevents": {
        "subject_id": int,
        "hadm_id": int,
        "stay_id": int,
        "starttime": datetime,
        "endtime": datetime,
        "itemid": int,
        "amount": float,
        "amountuom": str,
        "rate": float,
        "rateuom": str,
        "orderid": int,
        "ordercategorydescription": str,
    },
    "icu/procedureevents": {
        "subject_id": int,
        "hadm_id": int,
        "stay_id": int,
        "starttime": datetime,
        "endtime": datetime,
        "itemid": int,
        "ORIGINALRATE": float,
    },
}
_POLARS = {int: pl.Int64, float: pl.Float64, str: pl.String, datetime: pl.Datetime("us")}


class Hospital:
    """Rows of the MIMIC-IV tables, added a stay and an event at a time."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {name: [] for name in _COLUMNS}
        self._stays: dict[int, tuple[int, int, datetime]] = {}

    def patient(self, subject_id: int, sex: str, age: int, year: int, dod: datetime | None = None) -> None:
        """A patient who is ``age`` years old in the calendar year ``year``."""
        self.tables["hosp/patients"].append((subject_id, sex, age, year, dod))

    def admission(self, subject_id: int, hadm_id: int, admitted: datetime, race: str, died: datetime | None = None) -> None:
        """A hospital admission of 30 days, or until death."""
        discharged = died or admitted + timedelta(days=30)
        self.tables["hosp/admissions"].append((subject_id, hadm_id, admitted, discharged, died, race, int(died is not None)))

    def stay(self, subject_id: int, hadm_id: int, stay_id: int, intime: datetime, outtime: datetime | None) -> None:
        """An ICU stay."""
        self.tables["icu/icustays"].append((subject_id, hadm_id, stay_id, "Medical ICU", intime, outtime))
        self._stays[stay_id] = (subject_id, hadm_id, intime)

    def time(self, stay_id: int, hours: float) -> datetime:
        """Calendar time at so many hours after the stay's ICU admission, to the second."""
        return self._stays[stay_id][2] + timedelta(seconds=round(hours * 3600))

    def chart(self, stay_id: int, hours: float, itemid: int, value: float | None, text: str | None = None) -> None:
        """A charted reading, so many hours after ICU admission."""
        subject, hadm, _ = self._stays[stay_id]
        time = self.time(stay_id, hours)
        written = text if text is not None else repr(value)
        self.tables["icu/chartevents"].append((subject, hadm, stay_id, time, None, itemid, written, value, None))

    def lab(
        self, stay_id: int, hours: float, itemid: int, value: float | None, text: str | None = None, known: float | None = None
    ) -> None:
        """A laboratory result, known after ``known`` hours; MIMIC-IV gives it no ICU stay."""
        subject, hadm, _ = self._stays[stay_id]
        stored = self.time(stay_id, hours if known is None else known)
        row = (subject, hadm, itemid, self.time(stay_id, hours), stored, text if text is not None else repr(value), value, "___")
        self.tables["hosp/labevents"].append(row)

    def output(self, stay_id: int, hours: float, itemid: int, value: float) -> None:
        """A fluid that left the patient."""
        subject, hadm, _ = self._stays[stay_id]
        time = self.time(stay_id, hours)
        self.tables["icu/outputevents"].append((subject, hadm, stay_id, time, time, itemid, value))

    def infusion(self, stay_id: int, start: float, end: float, itemid: int, rate: float, unit: str, order: str = "Continuous Med") -> None:
        """A continuous infusion from ``start`` to ``end`` hours."""
        self._input(stay_id, start, end, (itemid, rate * (end - start), "mg", rate, unit), order)

    def bolus(self, stay_id: int, start: float, itemid: int, amount: float, unit: str, order: str = "Drug Push") -> None:
        """A dose at one moment; MIMIC-IV gives it a minute."""
        self._input(stay_id, start, start + 1 / 60, (itemid, amount, unit, None, None), order)

    def _input(self, stay_id: int, start: float, end: float, what: Row, order: str) -> None:
        subject, hadm, _ = self._stays[stay_id]
        rows = self.tables["icu/inputevents"]
        rows.append((subject, hadm, stay_id, self.time(stay_id, start), self.time(stay_id, end), *what, 9000 + len(rows), order))

    def procedure(self, stay_id: int, start: float, end: float, itemid: int) -> None:
        """A procedure from ``start`` to ``end`` hours."""
        subject, hadm, _ = self._stays[stay_id]
        row = (subject, hadm, stay_id, self.time(stay_id, start), self.time(stay_id, end), itemid, 1.0)
        self.tables["icu/procedureevents"].append(row)


def worked_hospital() -> Hospital:
    """Two full stays (301, 302) whose texts the tests state by hand, and a stay for and against each cohort rule."""
    hospital = Hospital()
    hospital.patient(101, "F", 66, 2149)
    hospital.admission(101, 201, datetime(2150, 2, 27, 8), "WHITE")
    hospital.stay(101, 201, 301, datetime(2150, 3, 1, 10, 15), datetime(2150, 3, 1, 18, 0))  # 7.75 h: 8 hours
    _readings_of_301(hospital)
    _treatments_of_301(hospital)

    died = datetime(2160, 1, 5, 11, 30)
    hospital.patient(102, "M", 80, 2160, dod=datetime(2160, 1, 5))
    hospital.admission(102, 202, datetime(2160, 1, 4), "BLACK/CAPE VERDEAN", died)
    hospital.stay(102, 202, 302, datetime(2160, 1, 5), datetime(2160, 1, 5, 12))  # 12 h to the second
    hospital.chart(302, 0.5, 220179, 95.0)
    hospital.chart(302, 0.5, 220181, 61.0)
    hospital.chart(302, 0.25, 220045, 110.0)
    hospital.lab(302, 3.0, 50813, 4.25)
    hospital.infusion(302, 1.0, 2.0, 221906, 8.0, "mcg/min")  # no conversion without a weight: speaks without its number
    hospital.infusion(302, 4.0, 5.0, 225942, 75000.0, "mcg/hour")  # implausible: speaks without its number
    hospital.infusion(302, 6.0, 7.5, 229420, 0.7, "mcg/kg/hour")
    hospital.procedure(302, 2.0, 2 + 1 / 60, 224385)
    hospital.procedure(302, 8.0, 9.0, 225441)  # two sessions of one item
    hospital.procedure(302, 3.25, 3.5, 225441)

    def small(number: int, hours: float, age: int = 50, sign: bool = True) -> None:
        subject, hadm, stay = 100 + number, 200 + number, 300 + number
        hospital.patient(subject, "M", age, 2140)
        hospital.admission(subject, hadm, datetime(2140, 5, 31, 23), "ASIAN")
        hospital.stay(subject, hadm, stay, datetime(2140, 6, 1), datetime(2140, 6, 1) + timedelta(hours=hours))
        hospital.lab(stay, 0.5, 50983, 140.0)
        if sign:
            hospital.chart(stay, 1.0, 220045, 80.0)

    small(3, 8, age=17)  # one year too young
    small(4, 6, age=18)  # just old enough and just long enough
    hospital.stay(104, 204, 314, datetime(2140, 6, 2), datetime(2140, 6, 3))  # a second ICU stay of the admission
    hospital.chart(314, 1.0, 220045, 80.0)
    small(5, 5.999)  # a few seconds too short
    small(6, -1)  # leaves before it arrives
    small(7, 24, sign=False)  # laboratory only
    small(8, 24, sign=False)
    hospital.chart(308, 2.0, 220045, 999.0)  # its only vital sign is implausible
    small(9, 400)  # longer than 336 hours
    hospital.chart(309, 335.99, 220045, 81.0)
    hospital.chart(309, 336.0, 220045, 82.0)
    hospital.admission(104, 224, datetime(2141, 5, 31), "OTHER")  # a new admission of 104, with its own first stay
    hospital.stay(104, 224, 324, datetime(2141, 6, 1), datetime(2141, 6, 1, 7))
    hospital.chart(324, 0.0, 220045, 77.0)
    return hospital


def _readings_of_301(hospital: Hospital) -> None:
    second = 1 / 3600
    for hours, value in ((-second, 70.0), (0, 88.0), (0.25, 88.0), (1 - second, 91.0), (1, 90.0), (7.75 - second, 98.0), (7.75, 99.0)):
        hospital.chart(301, hours, 220045, value)
    hospital.chart(301, 0, 220045, 88.0)  # the same row twice
    hospital.chart(301, 0.1, 220048, None, "ST (Sinus Tachycardia) ")
    hospital.chart(301, 0.25, 223761, 98.6)
    hospital.chart(301, 0.5, 223762, 38.2)
    hospital.chart(301, 0.75, 223761, 37.0)  # Celsius charted as Fahrenheit: 2.8 degC is implausible
    hospital.chart(301, 0.5, 226531, 150.0)
    hospital.chart(301, 0.5, 223900, 1.0, "No Response-ETT")
    hospital.chart(301, 0.5, 220001, None, "Jane Roe, seen 2150-03-01")  # an item of no variable
    hospital.lab(301, 0.1, 50912, 1.26, known=2.1)
    hospital.lab(301, -2.0, 50983, 139.0, known=0.2)  # drawn before the ICU, known in it
    hospital.lab(301, 1.25, 52033, None, "ART.")
    hospital.lab(301, 1.25, 50820, 7.305)
    hospital.lab(301, 1.25, 50802, -0.3)
    hospital.lab(301, 2.25, 52033, None, "VEN.")
    hospital.lab(301, 2.25, 50820, 7.25)
    hospital.lab(301, 2.25, 50813, 2.3)
    hospital.lab(301, 3.25, 50820, 7.31)  # no specimen stated
    hospital.lab(301, 3.25, 50971, None, "HEMOLYZED")
    hospital.output(301, 2.1, 226559, 60.0)
    hospital.output(301, 2.5, 226560, 60.0)
    hospital.output(301, 2.6, 226559, 35.0)


def _treatments_of_301(hospital: Hospital) -> None:
    hospital.infusion(301, 1.5, 3.0, 221906, 0.1249, "mcg/kg/min")  # ends on the edge of hour 3
    hospital.infusion(301, 1.75, 2.25, 222315, 2.4, "units/hour")
    hospital.infusion(301, 1.5, 3.0, 225158, 15.0, "mL/hour")  # carries the norepinephrine
    hospital.infusion(301, -1.25, 0.5, 225828, 100.0, "mL/hour", "Continuous IV")  # began before the ICU
    hospital.infusion(301, -3.0, 0.0, 225823, 80.0, "mL/hour", "Continuous IV")  # ended at ICU admission
    hospital.infusion(301, 5.0, 6.0, 223258, 0.0, "units/hour")  # not running
    hospital.bolus(301, 3.25, 222168, 50.0, "mg")
    hospital.bolus(301, 3.99, 225158, 500.0, "ml", "Bolus")
    hospital.bolus(301, 4.1, 225798, 1.0, "dose")
    hospital.procedure(301, 2.0, 8.75, 225792)  # goes on after the ICU
    hospital.chart(301, 2.0, 223835, 0.4)
    hospital.chart(301, 2.5, 223835, 50.0)
    hospital.chart(301, 2.75, 223835, 5.0)  # implausible
    hospital.chart(301, 2.5, 223849, 11.0, "CPAP/PSV ")
    hospital.chart(301, 2.5, 226732, None, "Endotracheal tube; left | 22")


def drifting_hospital(n_subjects: int, seed: int = 0) -> Hospital:
    """One stay of 30 to 120 hours a subject; vital signs drift, sicker patients get norepinephrine and die more often.

    Args:
        n_subjects: Number of subjects.
        seed: The same seed gives the same hospital.
    """
    random_ = random.Random(seed)
    hospital = Hospital()
    for number in range(n_subjects):
        subject, hadm, stay = 1000 + number, 2000 + number, 3000 + number
        hours, severity = random_.randint(30, 120), random_.random()
        intime = datetime(2120, 1, 1) + timedelta(minutes=random_.randrange(60 * 24 * 3650))
        outtime = intime + timedelta(hours=hours, minutes=-random_.randrange(60))
        died = outtime - timedelta(minutes=20) if random_.random() < 0.4 * severity else None
        hospital.patient(subject, random_.choice("FM"), random_.randint(20, 90), intime.year, died)
        hospital.admission(subject, hadm, intime - timedelta(hours=5), random_.choice(["WHITE", "ASIAN", "OTHER"]), died)
        hospital.stay(subject, hadm, stay, intime, outtime)
        _drift(hospital, stay, hours, severity, random_)
    return hospital


def _drift(hospital: Hospital, stay: int, hours: int, severity: float, random_: random.Random) -> None:
    heart, pressure, saturation = 75 + 40 * severity, 85 - 25 * severity, 98 - 5 * severity
    for hour in range(hours - 1):
        at = hour + random_.random()
        heart = min(170.0, max(45.0, heart + random_.gauss(0, 3)))
        pressure = min(120.0, max(40.0, pressure + random_.gauss(0, 2)))
        saturation = min(100.0, max(80.0, saturation + random_.gauss(0, 0.5)))
        breaths, temperature = 14 + heart / 20, 97 + 2 * severity
        signs = {220045: heart, 220181: pressure, 220179: pressure * 1.4, 220277: saturation, 220210: breaths, 223761: temperature}
        for itemid, value in signs.items():
            hospital.chart(stay, at, itemid, float(round(value)))
        hospital.output(stay, at, 226559, float(random_.randrange(0, 150, 5)))
        if hour % 6 == 0:
            hospital.lab(stay, at, 50813, round(0.8 + 4 * severity * random_.random(), 1), known=at + 0.5)
            hospital.lab(stay, at, 50912, round(0.7 + 2 * severity, 1), known=at + 1)
            hospital.lab(stay, at, 51301, round(random_.uniform(4, 20), 1), known=at + 1)
        if pressure < 65:
            hospital.infusion(stay, hour, hour + 1, 221906, round((70 - pressure) / 100, 3), "mcg/kg/min")
        if hour % 12 == 3 and severity > 0.5:
            hospital.bolus(stay, at, 225798, 1.0, "dose")
    if severity > 0.6:
        hospital.procedure(stay, 1.0, hours / 2, 225792)


def _hospital(n_subjects: int | None, seed: int) -> Hospital:
    return worked_hospital() if n_subjects is None else drifting_hospital(n_subjects, seed)


def write_mimic_iv(folder: Path, fmt: Literal["csv.gz", "csv", "parquet"] = "csv.gz", n_subjects: int | None = None, seed: int = 0) -> Path:
    """Write a hospital in MIMIC-IV's original layout.

    Args:
        folder: Folder that gets ``hosp/`` and ``icu/``.
        fmt: Format of the tables.
        n_subjects: Subjects of the drifting hospital; the worked hospital where None.
        seed: Seed of the drifting hospital.

    Returns:
        The folder.
    """
    for name, rows in _hospital(n_subjects, seed).tables.items():
        file = folder / f"{name}.{fmt}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if fmt == "parquet":
            schema = {column: _POLARS[kind] for column, kind in _COLUMNS[name].items()}
            pl.DataFrame(rows, schema=schema, orient="row").write_parquet(file)
        else:
            text = _csv([tuple(_COLUMNS[name]), *rows])
            file.write_bytes(gzip.compress(text.encode(), mtime=0) if fmt == "csv.gz" else text.encode())
    return folder


def _csv(rows: list[Row]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def write_meds(
    folder: Path,
    n_subjects: int | None = None,
    seed: int = 0,
    meds_version: str = "0.3.3",
    splits: dict[int, str] | None = None,
) -> Path:
    """Write the same hospital as a MEDS data set, with the codes of the public MIMIC-IV conversion.

    Args:
        folder: Folder that gets ``data/`` and ``metadata/``.
        n_subjects: Subjects of the drifting hospital; the worked hospital where None.
        seed: Seed of the drifting hospital.
        meds_version: Version that ``metadata/dataset.json`` states.
        splits: Split of each subject, written as ``subject_splits.parquet``; none is written where None.

    Returns:
        The folder.
    """
    schema = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
        "text_value": pl.String,
        "hadm_id": pl.Int64,
        "icustay_id": pl.Int64,
        "order_id": pl.Int64,
        "unit": pl.String,
        "ordercategorydescription": pl.String,
        "race": pl.String,
    }
    events = pl.DataFrame(_meds_events(_hospital(n_subjects, seed)), schema=schema).sort("subject_id", "time", nulls_last=False)
    for number in range(2):  # two shards
        file = folder / "data" / f"{number}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        events.filter(pl.col("subject_id") % 2 == number).write_parquet(file)
    (folder / "metadata").mkdir(exist_ok=True)
    metadata = {"dataset_name": "invented", "dataset_version": "1.0", "meds_version": meds_version}
    (folder / "metadata" / "dataset.json").write_text(json.dumps(metadata))
    if splits is not None:
        pl.DataFrame({"subject_id": list(splits), "split": list(splits.values())}).write_parquet(
            folder / "metadata" / "subject_splits.parquet"
        )
    return folder


def _meds_events(hospital: Hospital) -> list[dict[str, Any]]:
    tables = {name: [dict(zip(_COLUMNS[name], row, strict=True)) for row in rows] for name, rows in hospital.tables.items()}
    events: list[dict[str, Any]] = []

    def add(row: dict[str, Any], code: str, time: datetime | None, **more: object) -> None:
        events.append({"subject_id": row["subject_id"], "code": code, "time": time, "hadm_id": row.get("hadm_id"), **more})

    deaths = {row["subject_id"]: row["deathtime"] for row in tables["hosp/admissions"] if row["deathtime"]}
    for row in tables["hosp/patients"]:
        add(row, "MEDS_BIRTH", datetime(row["anchor_year"] - row["anchor_age"], 1, 1))
        add(row, f"GENDER//{row['gender']}", None)
        if row["dod"]:
            add(row, "MEDS_DEATH", deaths.get(row["subject_id"], row["dod"]))
    for row in tables["hosp/admissions"]:
        add(row, "HOSPITAL_ADMISSION//URGENT//PACU", row["admittime"], race=row["race"])
        add(row, f"HOSPITAL_DISCHARGE//{'DIED' if row['hospital_expire_flag'] else 'HOME'}", row["dischtime"])
    for row in tables["icu/icustays"]:
        add(row, "ICU_ADMISSION//Medical ICU", row["intime"], icustay_id=row["stay_id"])
        add(row, "ICU_DISCHARGE//Medical ICU", row["outtime"], icustay_id=row["stay_id"])
    for row in tables["icu/chartevents"] + tables["hosp/labevents"]:
        text = None if row["valuenum"] is not None and row["value"] == repr(row["valuenum"]) else row["value"]
        code = f"LAB//{row['itemid']}//UNK"
        add(row, code, row["charttime"], numeric_value=row["valuenum"], text_value=text, icustay_id=row.get("stay_id"))
    for row in tables["icu/outputevents"]:
        add(row, f"SUBJECT_FLUID_OUTPUT//{row['itemid']}//ml", row["charttime"], numeric_value=row["value"], icustay_id=row["stay_id"])
    for row in tables["icu/inputevents"]:
        order = {"icustay_id": row["stay_id"], "order_id": row["orderid"], "ordercategorydescription": row["ordercategorydescription"]}
        add(row, f"INFUSION_START//{row['itemid']}", row["starttime"], numeric_value=row["rate"], unit=row["rateuom"], **order)
        add(row, f"INFUSION_END//{row['itemid']}", row["endtime"], numeric_value=row["amount"], unit=row["amountuom"], **order)
    for row in tables["icu/procedureevents"]:
        add(row, f"PROCEDURE//START//{row['itemid']}", row["starttime"], icustay_id=row["stay_id"])
        add(row, f"PROCEDURE//END//{row['itemid']}", row["endtime"], icustay_id=row["stay_id"])
    return events
