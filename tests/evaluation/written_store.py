"""A trajectory store written by hand, row by row."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from clin_jepa.data.trajectory_store import TrajectoryStore

_STAY = {"stay_id": pl.Int64, "subject_id": pl.Int64, "split": pl.String, "n_hours": pl.Int32, "age": pl.Int32, "sex": pl.String,
         "static_text": pl.String, "death_hour": pl.Float64}  # fmt: skip
_HOUR = {"stay_id": pl.Int64, "hour": pl.Int32, "state_text": pl.String, "action_text": pl.String, "n_observations": pl.Int32}
_VALUE = {"stay_id": pl.Int64, "hour": pl.Int32, "variable": pl.String, "mean": pl.Float32, "last": pl.Float32, "min": pl.Float32,
          "max": pl.Float32, "n": pl.Int32}  # fmt: skip
_LABEL = {"task": pl.String, "stay_id": pl.Int64, "hour": pl.Int32, "label": pl.Boolean}


@dataclass
class WrittenStay:
    """A stay.

    Args:
        stay_id: Its number; its subject's is the same.
        n_hours: Hours.
        split: Train, tuning or held_out.
        values: Values by variable and hour; a state text says them, too.
        actions: Treatments by hour, as an action text says them after the stamp.
        told: What a state text says beside the values, by hour.
        death_hour: Hour of death.
        labels: Labels by task and hour.
        age: Years; the static text says them.
        sex: M or F.
    """

    stay_id: int
    n_hours: int
    split: str = "train"
    values: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    actions: Mapping[int, str] = field(default_factory=dict)
    told: Mapping[int, str] = field(default_factory=dict)
    death_hour: float | None = None
    labels: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)
    age: int = 60
    sex: str = "M"


def write_store(folder: Path, stays: Sequence[WrittenStay]) -> TrajectoryStore:
    """Write the tables and open them."""
    stay_rows = [(s.stay_id, s.stay_id, s.split, s.n_hours, s.age, s.sex, f"age: {s.age} years", s.death_hour) for s in stays]
    hour_rows = [
        (s.stay_id, hour, _state_text(s, hour), f"t={hour}h | {s.actions.get(hour, 'no interventions recorded')}",
         sum(hour in by_hour for by_hour in s.values.values()))
        for s in stays for hour in range(s.n_hours)
    ]  # fmt: skip
    value_rows = [
        (s.stay_id, hour, variable, value, value, value, value, 1)
        for s in stays for variable, by_hour in s.values.items() for hour, value in by_hour.items()
    ]  # fmt: skip
    label_rows = [(task, s.stay_id, hour, label) for s in stays for task, by_hour in s.labels.items() for hour, label in by_hour.items()]
    folder.mkdir(parents=True)
    pl.DataFrame(stay_rows, schema=_STAY, orient="row").write_parquet(folder / "stays.parquet")
    for name, rows, schema in (("hours", hour_rows, _HOUR), ("values", value_rows, _VALUE), ("labels", label_rows, _LABEL)):
        (folder / name).mkdir()
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / name / "00000.parquet")
    variables = sorted({row[2] for row in value_rows})
    tasks = {row[0]: "available" for row in label_rows}
    content_hash = hashlib.sha256(repr((stay_rows, hour_rows, value_rows, label_rows)).encode()).hexdigest()
    about = {"schema_version": 1, "content_hash": content_hash, "variables": variables, "unavailable": {}, "tasks": tasks}
    (folder / "dataset.json").write_text(json.dumps(about))
    return TrajectoryStore(folder)


def _state_text(stay: WrittenStay, hour: int) -> str:
    said = [f"{variable}: {by_hour[hour]:g}" for variable, by_hour in stay.values.items() if hour in by_hour]
    told = [stay.told[hour]] if hour in stay.told else []
    return f"t={hour}h | {'; '.join([*said, *told, f'n: {hour}'])}"
