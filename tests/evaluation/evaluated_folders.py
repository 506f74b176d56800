"""Folders of runs as ``clinjepa evaluate`` leaves them, written from numbers that are known."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.evaluation.displacement import displacement_report, displacements_of
from clin_jepa.evaluation.drift import drift_report
from clin_jepa.evaluation.geometry import SCHEMA as DISPLACEMENTS
from clin_jepa.evaluation.metrics_file import write_metrics
from clin_jepa.evaluation.model_names import COPY_FORWARD, LAST_ACTION, LINEAR, NO_ACTION, TRAINING_MEAN, TRUE_ACTIONS
from clin_jepa.evaluation.predictions_file import SCHEMA, write_predictions
from clin_jepa.evaluation.risk_models import BACKBONE, BOOSTED, LOGISTIC, PREVALENCE, REPORTED_PROBE
from clin_jepa.evaluation.risk_tasks import task_report
from clin_jepa.evaluation.windows import EvaluationWindows
from tests.evaluation.written_store import WrittenStay, write_store

CONTEXT, HORIZON, SPREAD = 6, 12, 0.4
STAYS = 60
TASKS = {"hospital_mortality": (23,), "decompensation": (5, 11, 17)}
BASELINES = (LOGISTIC, BOOSTED, PREVALENCE)
# Of the stays that an extraction met; the store has 60 in its splits.
STAY_COUNTS = {"in": 90, "kept": 70, "dropped": {"younger_than_18": 5, "shorter_than_6_hours": 15}}


def hospital(folder: Path) -> TrajectoryStore:
    """Sixty stays, half of them held out, with labels of two tasks."""
    random = np.random.default_rng(0)
    stays = []
    for number in range(STAYS):
        ill = bool(random.random() < 0.4)
        labels = {task: {hour: bool(random.random() < (0.7 if ill else 0.2)) for hour in hours} for task, hours in TASKS.items()}
        stays.append(WrittenStay(1000 + number, 24, "held_out" if number % 2 else "train", {"heart_rate": {0: 80.0}}, labels=labels))
    return write_store(folder, stays)


def write_run(
    folder: Path, store: TrajectoryStore, seed: int = 0, drift: float = 1.5, skill: float = 1.0, baselines: bool = False, horizon: int = 2
) -> Path:
    """An evaluated run.

    Args:
        folder: Where it goes.
        store: From `hospital`.
        seed: Of the run, and of its noise.
        drift: Error of its last forecast hour over that of the first.
        skill: How much of a label its scores hold.
        baselines: Whether baselines were scored too.
        horizon: A setting.
    """
    random = np.random.default_rng(seed)
    stay_ids = store.stays.filter(pl.col("split") == "held_out")["stay_id"].to_numpy()
    config = {"seed_everything": seed, "run": str(folder), "model": {"horizon": horizon}, "data": {"store": str(store.path)}}
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    output = folder / "evaluation"
    output.mkdir()

    errors, windows = _errors(stay_ids, drift, random)
    _errors_table(errors, stay_ids).write_parquet(output / "rollout_errors.parquet")
    displacements = _displacements(stay_ids, random)
    displacements.write_parquet(output / "displacements.parquet")
    by_task = {task: _scores(store, task, skill, baselines, random) for task in TASKS}
    write_predictions(list(by_task.values()), output / "predictions.parquet")
    opened: Any = SimpleNamespace(data=SimpleNamespace(store=store))
    splits = {split: {"stays": STAYS // 2, "windows": 40, "hours": 24 * STAYS // 2} for split in ("held_out", "train")}
    write_metrics(
        {
            "dataset": {"source": "by hand", "content_hash": store.dataset["content_hash"], "stay_counts": STAY_COUNTS, "splits": splits},
            "encoder": {"base": "tiny", "trained_parameters": 1000, "fingerprint": "5f2e8c1ab34d90e7"},
            "run": {"name": folder.name, "split": "held_out", "settings": config, "versions": {"torch": "2.13.0"}},
            "drift": drift_report(errors, windows, SPREAD, draws=20),
            "collapse": {"phases": [{"phase": "evaluation", "measures": {"mean_absolute_deviation": SPREAD}}]},
            "geometry": displacement_report(displacements_of(displacements), draws=20),
            **task_report(by_task, {"sepsis": "not available: needs sepsis-3"}, opened, draws=20, seed=0),
        },
        output / "metrics.json",
    )
    return folder


def _errors(stay_ids: np.ndarray, drift: float, random: np.random.Generator) -> tuple[dict[str, torch.Tensor], EvaluationWindows]:
    """Errors of a window a stay; some stays are harder than others for every forecast."""
    level_N1 = torch.from_numpy(1 + 0.3 * np.sin(np.arange(len(stay_ids))))[:, None]
    shapes = {
        TRUE_ACTIONS: torch.linspace(0.2, 0.2 * drift, HORIZON),
        LAST_ACTION: torch.linspace(0.21, 0.22 * drift, HORIZON),
        NO_ACTION: torch.linspace(0.22, 0.24 * drift, HORIZON),
        COPY_FORWARD: torch.linspace(0.3, 0.5, HORIZON),
        TRAINING_MEAN: torch.full((HORIZON,), 0.4),
        LINEAR: torch.linspace(0.35, 2.0, HORIZON),
    }
    noise = {name: torch.from_numpy(1 + 0.05 * random.normal(size=(len(stay_ids), HORIZON))) for name in shapes}
    errors = {name: (level_N1 * shape_H * noise[name]).float() for name, shape_H in shapes.items()}
    numbers = np.arange(len(stay_ids))
    return errors, EvaluationWindows(CONTEXT, HORIZON, numbers, np.zeros_like(numbers), False, "")


def _errors_table(errors: dict[str, torch.Tensor], stay_ids: np.ndarray) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame(
            {
                "forecast": name,
                "stay_id": np.repeat(stay_ids, HORIZON),
                "start": np.zeros(len(stay_ids) * HORIZON, dtype=np.int32),
                "hour": np.tile(np.arange(1, HORIZON + 1, dtype=np.int32), len(stay_ids)),
                "l1": error_NH.flatten().numpy(),
            }
        )
        for name, error_NH in errors.items()
    )


def _displacements(stay_ids: np.ndarray, random: np.random.Generator) -> pl.DataFrame:
    is_worse_N = np.arange(len(stay_ids)) % 3 == 0
    distance_N = random.gamma(4.0, 0.25, len(stay_ids)) * np.where(is_worse_N, 1.5, 1.0)
    columns = {"stay_id": stay_ids, "start": 0, "is_worse": is_worse_N, "measured": np.arange(len(stay_ids)) % 9, "distance": distance_N}
    untrained = {"distance_tuned": None, "distance_raw": random.gamma(4.0, 0.25, len(stay_ids))}
    return pl.DataFrame({**columns, **untrained}).cast(DISPLACEMENTS)  # type: ignore[arg-type]


def _scores(store: TrajectoryStore, task: str, skill: float, baselines: bool, random: np.random.Generator) -> pl.DataFrame:
    labels = pl.read_parquet(store.path / "labels" / "*.parquet").filter(pl.col("task") == task)
    held_out = store.stays.filter(pl.col("split") == "held_out").select("stay_id")
    rows = labels.join(held_out, on="stay_id").sort("stay_id", "hour")
    tables = []
    for model in (BACKBONE, REPORTED_PROBE, *(BASELINES if baselines else ())):
        noise_N = random.normal(size=len(rows))
        risk_N = 1 / (1 + np.exp(1 - (skill if model == BACKBONE else 1.0) * rows["label"].to_numpy() - noise_N))
        score_N = np.full(len(rows), 0.35) if model == PREVALENCE else risk_N
        tables.append(rows.with_columns(model=pl.lit(model), score=pl.Series(score_N)).select(*SCHEMA).cast(SCHEMA))  # type: ignore[arg-type]
    return pl.concat(tables)
