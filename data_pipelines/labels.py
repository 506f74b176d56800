"""Labels of the tasks: one SQL file a task. A task whose inputs a data set lacks has no labels, never made-up ones."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from data_pipelines.database import Database

FOLDER = Path(__file__).parent / "tasks"

EARLY_EVENT_TASKS = (
    "circulatory_failure",
    "respiratory_failure",
    "severe_respiratory_failure",
    "kidney_failure",
    "severe_liver_dysfunction",
    "decompensation",
    "icu_mortality_at_24h",
)
BINARY_TASKS = (
    "hospital_mortality",
    "icu_mortality",
    "death_within_7_days",
    "death_within_14_days",
    "death_within_30_days",
    "death_within_90_days",
    "prolonged_stay",
    "sepsis",
)
# Of the 2019 PhysioNet Challenge, which has no other.
SEPSIS_ONSET = "sepsis_onset"
TASKS = (*EARLY_EVENT_TASKS, *BINARY_TASKS, SEPSIS_ONSET)


def needs(task: str) -> list[list[str]]:
    """What a task needs, as its SQL file says: of each inner list, one.

    >>> needs("circulatory_failure")
    [['lactate'], ['mbp', 'mbp_arterial'], ['norepinephrine']]
    """
    found = re.search(r"^-- Needs: (.+)$", (FOLDER / f"{task}.sql").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"tasks/{task}.sql lacks its line '-- Needs: ...'")
    return [need.split(" or ") for need in found.group(1).split(", ")]


def missing_needs(task: str, unavailable: Collection[str]) -> list[str]:
    """What a task needs and a data set lacks, in words."""
    return [" or ".join(either) for either in needs(task) if all(name in unavailable for name in either)]


def create_labels(database: Database, unavailable: Mapping[str, str] | Collection[str]) -> None:
    """Create the view ``labels`` (task, stay_id, hour, label), sorted, of the tasks that the data set can tell.

    Args:
        database: Session of a shard, with its concepts.
        unavailable: Names of variables and outcomes that the data set lacks.
    """
    database.run_file("tasks/early_event_labels.sql")
    selects = ["SELECT '' AS task, 0::BIGINT AS stay_id, 0::INTEGER AS hour, false AS label WHERE false"]
    for task in TASKS:
        if missing_needs(task, unavailable):
            continue
        database.run_file(f"tasks/{task}.sql")
        selects.append(f"SELECT '{task}', stay_id, CAST(hour AS INTEGER), label FROM {task}")
    database.execute(f"CREATE VIEW labels AS {' UNION ALL '.join(selects)} ORDER BY task, stay_id, hour")
