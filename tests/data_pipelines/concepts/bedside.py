"""Hand-made stays: written as observations and actions, then placed and run through every concept and label, as a shard is.

A stay is written in hours since its ICU admission::

    stay = Stay(30).read(0.5, "platelets", 149).give(2, "norepinephrine", 0.1, until=3.5)
    with ward({"a stay": stay}) as run:
        run.line("sofa", "coagulation", "a stay")  # one character an hour: "111..."
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from _pytest.mark import ParameterSet

from data_pipelines.database import Database
from data_pipelines.labels import create_labels
from data_pipelines.plan import ExtractionPlan
from data_pipelines.shard import _PLACING, CONCEPTS

SECOND = 1 / 3600
_EPOCH = datetime(2150, 1, 1)


@dataclass
class Stay:
    """An ICU stay and all that happened in it; every time is in hours since its ICU admission.

    Attributes:
        hours: Length of stay; at least 6, as the cohort asks.
        subject: Patient; each stay has its own where empty.
        admitted: ICU admission, in hours since the first day of the invented hospital, at midnight.
        death: Hour of death.
        died_in_hospital: Whether the patient died in this hospital stay; None where the data set does not tell.
        charted: Whether a heart rate at admission makes the stay part of the cohort.
    """

    hours: float = 48
    subject: str = ""
    admitted: float = 24 * 30
    death: float | None = None
    died_in_hospital: bool | None = False
    charted: bool = True
    readings: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    antibiotics: list[float] = field(default_factory=list)
    cultures: list[tuple[float | None, float | None]] = field(default_factory=list)
    given_sepsis: int | None = None

    def read(self, hour: float, variable: str, value: float | str | None, known: float | None = None, unit: str | None = None) -> Self:
        """A reading, or a worded finding, known at once unless ``known`` says when."""
        number, text = (None, value) if isinstance(value, str) else (value, None)
        known = hour if known is None else known
        self.readings.append({"hour": hour, "known": known, "variable": variable, "value": number, "text": text, "unit": unit})
        return self

    def series(self, hours: Iterable[float], variable: str, value: float) -> Self:
        """The same reading again and again."""
        for hour in hours:
            self.read(hour, variable, value)
        return self

    def give(self, hour: float, variable: str, value: float | str | None = None, until: float | None = None, unit: str = "") -> Self:
        """A treatment or a setting, at one moment or until an hour, in the variable's own unit unless ``unit`` names another."""
        number, text = (None, value) if isinstance(value, str) else (value, None)
        until = hour if until is None else until
        self.actions.append({"hour": hour, "until": until, "variable": variable, "value": number, "text": text, "unit": unit or None})
        return self

    def infected(self, antibiotics: Iterable[float] = (), cultures: Iterable[float] = (), dates: Iterable[float] = ()) -> Self:
        """Starts of systemic antibiotics, cultures of a known time, and cultures of which the beginning of the day is known."""
        self.antibiotics += antibiotics
        self.cultures += [(time, None) for time in cultures] + [(None, date) for date in dates]
        return self

    def time(self, hour: float) -> datetime:
        """Calendar time of an hour, to the second."""
        return _EPOCH + timedelta(seconds=round((self.admitted + hour) * 3600))


@dataclass
class Case:
    """A stay and what is expected of it.

    Attributes:
        name: What the case is about.
        stay: The stay.
        expected: What the test compares with.
    """

    name: str
    stay: Stay
    expected: Any


def each(cases: Iterable[Case]) -> list[ParameterSet]:
    """Test parameters, a case each, named after it."""
    return [pytest.param(case, id=case.name) for case in cases]


class Ward:
    """A session in which every concept and label of some stays was run."""

    def __init__(self, database: Database, ids: Mapping[str, int], lengths: Mapping[str, int]) -> None:
        self.database = database
        self.ids = ids
        self.lengths = lengths

    def rows(self, relation: str, name: str, *columns: str) -> list[tuple[Any, ...]]:
        """Rows of a stay, sorted."""
        return self.database.execute(f"SELECT {', '.join(columns)} FROM {relation} WHERE stay_id = {self.ids[name]} ORDER BY ALL")

    def by_hour(self, relation: str, column: str, name: str) -> dict[int, Any]:
        """A column of a stay by hour where it has a value, rounded to 4 digits; an hour has at most one row."""
        rows = self.rows(relation, name, "hour", column)
        found = {int(hour): round(value, 4) if isinstance(value, float) else value for hour, value in rows}
        assert len(found) == len(rows), f"{relation} has an hour twice"
        return {hour: value for hour, value in found.items() if value is not None}

    def line(self, relation: str, column: str, name: str) -> str:
        """A column of a stay with one character an hour: a digit, T or F, or a dot where there is no row or no value."""
        found = self.by_hour(relation, column, name)
        assert not set(found) - set(range(self.lengths[name])), f"{relation} has hours outside the stay"
        return "".join(_character(found.get(hour)) for hour in range(self.lengths[name]))

    def present(self, relation: str, name: str) -> str:
        """A relation with a row an hour: an x where there is one, else a dot."""
        found = {int(row[0]) for row in self.rows(relation, name, "hour")}
        assert not found - set(range(self.lengths[name])), f"{relation} has hours outside the stay"
        return "".join("x" if hour in found else "." for hour in range(self.lengths[name]))

    def labels(self, task: str, name: str) -> str:
        """Labels of a task with one character an hour: T, F, or a dot where it is missing."""
        return self.line(f"(FROM labels WHERE task = '{task}')", "label", name)


def _character(value: Any) -> str:
    if value is None:
        return "."
    if isinstance(value, bool):
        return "T" if value else "F"
    assert 0 <= value <= 9 and value == int(value), value
    return str(int(value))


@contextmanager
def ward(stays: Mapping[str, Stay] | Iterable[Case], unavailable: Iterable[str] = (), **settings: str | bool) -> Iterator[Ward]:
    """Run every concept and label over stays.

    Args:
        stays: The stays by name, or cases.
        unavailable: What the data set lacks.
        settings: Settings of the extraction other than those of MIMIC-IV by charttime.
    """
    named = dict(stays) if isinstance(stays, Mapping) else {case.name: case.stay for case in stays}
    known = {"knows_sepsis": True, "knows_icu_death": True, "knows_scores": True}
    settings = {"time_policy": "charttime", "hour_stamp": True, **known, **settings}
    folder = Path(tempfile.gettempdir()) / "clinjepa_bedside"  # DuckDB makes it only if it must spill
    plan = ExtractionPlan("mimic_iv", folder, folder, settings, threads=1, shards=1)
    with plan.connect(0) as database:
        database.run_file("trajectories/listed_variables.sql")
        database.run_file("trajectories/variables.sql")
        ids = {name: 1000 + number for number, name in enumerate(named)}
        _admit(database, named, ids)
        for step in _PLACING:
            database.run_file(f"trajectories/{step}.sql")
        assert database.execute("SELECT count(*) FROM cohort") == [(len(named),)], "a stay did not make the cohort"
        for concept in CONCEPTS:
            database.run_file(f"concepts/{concept}.sql")
        for view in ("hours", "hourly_values", "shard_stays"):
            database.run_file(f"trajectories/{view}.sql")
        create_labels(database, list(unavailable))
        yield Ward(database, ids, {name: min(336, -int(-stay.hours // 1)) for name, stay in named.items()})


def _admit(database: Database, stays: Mapping[str, Stay], ids: Mapping[str, int]) -> None:
    subjects: dict[str, int] = {}
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
    for name, stay in stays.items():
        stay_id, subject = ids[name], subjects.setdefault(stay.subject or name, 1 + len(subjects))
        death = None if stay.death is None else stay.time(stay.death)
        rows["stays"].append(
            (stay_id, subject, stay_id, stay.time(0), stay.time(stay.hours), 60, "F", "WHITE", death, stay.died_in_hospital)
        )
        heart = [{"hour": 0, "known": 0, "variable": "heart_rate", "value": 80, "text": None, "unit": None}] if stay.charted else []
        for r in heart + stay.readings:
            row = (stay_id, subject, stay.time(r["hour"]), stay.time(r["known"]), r["variable"], r["value"], r["text"], r["unit"])
            rows["given_observations"].append(row)
        for a in stay.actions:
            row = (stay_id, subject, stay.time(a["hour"]), stay.time(a["until"]), a["variable"], a["value"], a["text"], a["unit"])
            rows["given_actions"].append(row)
        rows["antibiotics"] += [(subject, stay.time(hour), "vancomycin") for hour in stay.antibiotics]
        for time, date in stay.cultures:
            moment = None if time is None else stay.time(time)
            day = stay.time(date or 0) if moment is None else moment.replace(hour=0, minute=0, second=0)
            rows["cultures"].append((subject, len(rows["cultures"]), moment, day))
        if stay.given_sepsis is not None:
            rows["given_sepsis"].append((stay_id, stay.given_sepsis))
    for table, columns in _TABLES.items():
        database.execute(f"CREATE TABLE {table} ({columns})")
        if rows[table]:
            values = ", ".join("(" + ", ".join(map(_literal, row)) + ")" for row in rows[table])
            database.execute(f"INSERT INTO {table} VALUES {values}")
    for file in ("candidates", "candidate_stays"):
        database.run_file(f"trajectories/{file}.sql")
    database.execute(_VIEWS)


_TABLES = {
    "stays": "stay_id BIGINT, subject_id BIGINT, hadm_id BIGINT, intime TIMESTAMP, outtime TIMESTAMP, age BIGINT, sex VARCHAR, "
    "race VARCHAR, death_time TIMESTAMP, hospital_expire_flag BOOLEAN",
    "given_observations": "stay_id BIGINT, subject_id BIGINT, time TIMESTAMP, known_time TIMESTAMP, variable variable_name, value FLOAT, "
    "text VARCHAR, unit VARCHAR",
    "given_actions": "stay_id BIGINT, subject_id BIGINT, start_time TIMESTAMP, end_time TIMESTAMP, variable variable_name, value FLOAT, "
    "text VARCHAR, unit VARCHAR",
    "antibiotics": "subject_id BIGINT, start_time TIMESTAMP, antibiotic VARCHAR",
    "cultures": "subject_id BIGINT, specimen_id BIGINT, time TIMESTAMP, date TIMESTAMP",
    "given_sepsis": "stay_id BIGINT, onset_hour INTEGER",
}
# As the sources do: laboratory rows belong to no ICU stay; a dose is recorded with its unit.
_VIEWS = """
CREATE VIEW observations AS
SELECT CASE WHEN v.source_table = 'labevents' THEN NULL ELSE o.stay_id END AS stay_id, o.* EXCLUDE (stay_id)
FROM given_observations o JOIN variables v USING (variable);

CREATE VIEW actions AS
SELECT a.* REPLACE (coalesce(a.unit, v.unit) AS unit), false AS is_carrier
FROM given_actions a JOIN variables v USING (variable);
"""


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
