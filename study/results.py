"""What the study keeps of each run: its figures in every bootstrap draw, its design and its commit. No row of a patient is among them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.atomic_file import replacing, write_atomically
from clin_jepa.evaluation.arms import Draws, MeasuredRun, auroc_figures, displacement_figures, figures_of_run
from clin_jepa.evaluation.risk_models import BACKBONE, CONTROLS, REPORTED_PROBE, TUNED
from study.design import BASELINE_MEASUREMENT, MEASUREMENT
from study.folds import metrics_within_folds

RESULTS = Path(__file__).parent / "results"
RAW_NUMBERS = "raw numbers"
TUNED_ENCODER = "encoder before the curriculum"
# What the study calls the models that a backbone is held against.
CONTROL_NAMES = {model: TUNED_ENCODER if model == TUNED else model for model in CONTROLS}
# Of whose displacements there is a ratio too, by their column.
UNTRAINED = {RAW_NUMBERS: "distance_raw", TUNED_ENCODER: "distance_tuned"}

Floats = NDArray[np.float64]
_ABOUT = "about"


def save_figures(path: Path, figures: Mapping[str, Floats], about: Mapping[str, Any]) -> None:
    """Write the figures of one run.

    Args:
        path: The file.
        figures: By name, ``[1 + R]``: the figure itself, then its value in every draw.
        about: Design and commit that they were made with, and what else JSON holds.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        kept: dict[str, Any] = {name: value_R.astype(np.float32) for name, value_R in figures.items()}
        kept[_ABOUT] = np.array(json.dumps(dict(about)))
        np.savez_compressed(file, **kept)
    _failure(path).unlink(missing_ok=True)


def read_figures(path: Path) -> dict[str, Floats]:
    """Read the figures that `save_figures` wrote."""
    with np.load(path) as content:
        return {name: content[name].astype(np.float64) for name in content.files if name != _ABOUT}


def read_about(path: Path) -> dict[str, Any]:
    """Read what was written about figures; empty where there is no such file, or nothing in it."""
    if not path.is_file():
        return {}
    with np.load(path) as content:
        return dict(json.loads(str(content[_ABOUT]))) if _ABOUT in content.files else {}


def is_current(path: Path, design: str) -> bool:
    """Whether there are figures of a design, measured as today."""
    return _is_of(path, design, MEASUREMENT)


def are_current_baselines(path: Path, design: str) -> bool:
    """The same of the baselines' figures, which are measured with a run of that design."""
    return _is_of(path, design, baseline_measurement())


def baseline_measurement() -> list[int]:
    """How baselines are measured: what arms share with them, and what is theirs."""
    return [MEASUREMENT, BASELINE_MEASUREMENT]


def save_failure(path: Path, reason: str, about: Mapping[str, Any]) -> None:
    """Write beside where the figures of a run would be why there are none; with figures it goes.

    Args:
        path: Of the figures.
        reason: In a sentence.
        about: Design and commit.
    """
    write_atomically(_failure(path), json.dumps({**about, "reason": reason}, indent=1) + "\n")


def failures(folder: Path) -> dict[str, str]:
    """Why runs of a data set have no figures, by ``ARM_seedN``."""
    found = sorted(folder.glob("*.failed.json"))
    return {path.name.removesuffix(".failed.json"): json.loads(path.read_text(encoding="utf-8"))["reason"] for path in found}


def counts_by_task(predictions: pl.DataFrame) -> dict[str, list[int]]:
    """Rows and events of each task, of the backbone's predictions."""
    counted = predictions.filter(pl.col("model") == BACKBONE).group_by("task").agg(pl.len(), pl.col("label").sum().alias("events"))
    return {task: [rows, events] for task, rows, events in sorted(counted.iter_rows())}


def measured_on(measured: MeasuredRun) -> dict[str, int]:
    """How many windows, days and stays a run's forecasts and displacements are of."""
    days = measured.displacements
    return {
        "windows of forecasts": measured.errors.select("stay_id", "start").n_unique(),
        "stays that they are of": measured.errors["stay_id"].n_unique(),
        "days of deterioration": int(days["is_worse"].sum()),
        "stable days": int((~days["is_worse"]).sum()),
    }


def risk_figures(predictions: Sequence[pl.DataFrame], model: str, draws: Draws) -> dict[str, Floats]:
    """AUROCs of a model and their means, then ``auprc <task>`` and ``brier <task>``, ``[1 + R]`` each.

    Args:
        predictions: Of all models, a fold each.
        model: Which one.
        draws: Of the subjects.
    """
    by_task = metrics_within_folds([table.filter(pl.col("model") == model) for table in predictions], draws)
    others = {f"{name} {task}": of_task[name] for name in ("auprc", "brier") for task, of_task in by_task.items()}
    return auroc_figures(by_task) | others


def figures_of_folds(measured: MeasuredRun, predictions: Sequence[pl.DataFrame], draws: Draws) -> dict[str, Floats]:
    """All figures of a run, ``[1 + R]`` each; of the published probe on its latents the mean AUROCs, the rest is as with any probe.

    Args:
        measured: The folds together.
        predictions: Of all models, a fold each.
        draws: Of the subjects.
    """
    reported = risk_figures(predictions, REPORTED_PROBE, draws)
    of_reported = {f"{name}, reported probe": value_R for name, value_R in reported.items() if name.startswith("mean")}
    return figures_of_run(measured, draws, by_task={}) | risk_figures(predictions, BACKBONE, draws) | of_reported


def baseline_figures(predictions: Sequence[pl.DataFrame], displacements: pl.DataFrame, draws: Draws) -> dict[str, Floats]:
    """What arms are held against, ``[1 + R]`` each, under ``model / figure``.

    Figures of the baselines that a run was evaluated with, as of `risk_figures`, and displacement ratios of `UNTRAINED`.

    Args:
        predictions: Of all models, a fold each.
        displacements: As in ``displacements.parquet``.
        draws: Of the subjects.
    """
    measured = {model for table in predictions for model in table["model"].unique()}
    found = {
        f"{called} / {name}": value_R
        for model, called in CONTROL_NAMES.items()
        if model in measured
        for name, value_R in risk_figures(predictions, model, draws).items()
    }
    for model, column in UNTRAINED.items():
        found |= {f"{model} / {name}": value_R for name, value_R in displacement_figures(displacements, draws, column).items()}
    return found


def _is_of(path: Path, design: str, measurement: int | list[int]) -> bool:
    about = read_about(path)
    return (about.get("design"), about.get("measurement", 1)) == (design, measurement)


def _failure(path: Path) -> Path:
    return path.with_suffix(".failed.json")
