"""The label rule of early event prediction, on hand-made hourly statuses."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_pipelines.database import Database

# One character an hour. Status: e an event, n a non-event, a dot not observed. Labels: T, F, a dot where missing.
SWITCHES = [
    # what, horizon, status, labels
    ("nothing observed", 3, "......", "......"),
    ("t itself is an event", 3, "e.n...", ".F...."),
    ("only non-events ahead", 3, "n.n...", "FF...."),
    ("a non-event at t itself is not ahead", 3, "n.....", "......"),
    ("an event and a non-event ahead", 3, "..en..", "TT...."),
    ("non-event before the event", 3, "...ne.", "FTTT.."),
    ("exactly at t + horizon, and an hour later", 3, "....e.", ".TTT.."),
    ("horizon of one hour", 1, "..e...", ".T...."),
    ("the last hour looks at nothing", 3, "nnnnnn", "FFFFF."),
    ("the last hour is an event", 3, "nnnnne", "FFTTT."),
    ("a failing patient is not asked again", 3, "e..e..", "......"),
    ("a failing patient who recovers: a valid false", 3, "e..n..", ".FF..."),
    ("asked again after a recovery", 3, "e.n.e.", "..TT.."),
    ("recovery and second event both ahead of a failing patient", 3, "e..ne.", "...T.."),
    ("failing, recovery ahead, second event beyond the horizon", 2, "e..n.e", ".FFTT."),
    ("event, gap of nothing observed", 2, "e.....", "......"),
    ("two events side by side", 3, "n.ee..", "TT...."),
    ("before the first status the patient is not failing", 3, "..e...", "TT...."),
    ("event in hour 0", 3, "e.n.n.", ".FFF.."),
]
ALWAYS = [  # the same without switches_only
    ("a failing patient is asked nevertheless", 3, "e..e..", ".TT..."),
    ("t itself is an event", 3, "ee.n..", "..F..."),
    ("failing, recovery and second event ahead", 3, "e..ne.", ".TTT.."),
    ("asked after a recovery", 3, "e.n.e.", ".TTT.."),
    ("nothing observed ahead", 2, "e.....", "......"),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with Database(tmp_path_factory.mktemp("scratch"), threads=1) as session:
        session.execute("CREATE TABLE stay_hours (stay_id BIGINT, hour INTEGER)")
        session.execute("CREATE TABLE status (stay_id BIGINT, hour INTEGER, is_event BOOLEAN)")
        session.run_file("tasks/early_event_labels.sql")
        yield session


def labels(database: Database, lines: list[str], horizon: int, switches_only: bool) -> list[str]:
    """Labels of several stays at once."""
    marks = [(stay, hour, mark) for stay, line in enumerate(lines) for hour, mark in enumerate(line)]
    hours = ", ".join(f"({stay}, {hour})" for stay, hour, _ in marks)
    observed = ", ".join(f"({stay}, {hour}, {mark == 'e'})" for stay, hour, mark in marks if mark != ".")
    database.execute(f"DELETE FROM stay_hours; DELETE FROM status; INSERT INTO stay_hours VALUES {hours}")
    if observed:
        database.execute(f"INSERT INTO status VALUES {observed}")
    found = {
        (stay, hour): "T" if label else "F"
        for stay, hour, label in database.execute(f"FROM early_event_labels('status', {horizon}, {switches_only})")
    }
    return ["".join(found.get((stay, hour), ".") for hour in range(len(line))) for stay, line in enumerate(lines)]


@pytest.mark.parametrize(("horizon", "status", "expected"), [row[1:] for row in SWITCHES], ids=[row[0] for row in SWITCHES])
def test_switches_only(database: Database, horizon: int, status: str, expected: str) -> None:
    assert labels(database, [status], horizon, True) == [expected]


@pytest.mark.parametrize(("horizon", "status", "expected"), [row[1:] for row in ALWAYS], ids=[row[0] for row in ALWAYS])
def test_every_hour(database: Database, horizon: int, status: str, expected: str) -> None:
    assert labels(database, [status], horizon, False) == [expected]


def plainly(line: str, horizon: int, switches_only: bool) -> str:
    """The published rule, word by word."""
    found = ""
    for t, now in enumerate(line):
        ahead = line[t + 1 : t + 1 + horizon]
        known = [mark for mark in line[: t + 1] if mark != "."]
        if now == "e" or set(ahead) <= {"."} or (switches_only and known and known[-1] == "e" and "e" in ahead):
            found += "."
        else:
            found += "T" if "e" in ahead else "F"
    return found


@pytest.mark.parametrize("switches_only", [True, False])
@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_every_status_of_six_hours(database: Database, horizon: int, switches_only: bool) -> None:
    """All 3^6 statuses, side by side."""
    lines = ["".join(marks) for marks in itertools.product("en.", repeat=6)]
    assert labels(database, lines, horizon, switches_only) == [plainly(line, horizon, switches_only) for line in lines]


def test_the_rule_is_the_one_that_is_tested() -> None:
    """Horizon and kind of each task, as its file calls the rule."""
    folder = Path(__file__).parents[3] / "data_pipelines" / "tasks"
    calls = {
        file.stem: file.read_text().split("early_event_labels(")[1].split(")")[0].split(", ")[1:]
        for file in folder.glob("*.sql")
        if "FROM early_event_labels(" in file.read_text()
    }
    assert calls == {
        "circulatory_failure": ["8", "true"],
        "respiratory_failure": ["24", "true"],
        "severe_respiratory_failure": ["24", "true"],
        "kidney_failure": ["48", "true"],
        "severe_liver_dysfunction": ["48", "false"],
    }
