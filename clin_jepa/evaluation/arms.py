"""Figures of several runs side by side: what patients' variation and what seeds' variation make of them, apart.

All runs are measured on the same stays. In a bootstrap draw the same subjects are drawn for every run, so that differences are paired.
"""

# Shapes: R draws, S subjects, N rows. Row 0 of every [1 + R] is the figure itself, without a draw.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.evaluation.bootstrap import drawn_times
from clin_jepa.evaluation.classification import auroc, interval
from clin_jepa.evaluation.displacement import Displacements, ratios
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS
from clin_jepa.evaluation.weighted import number_or_none, quotient, weighted_mean
from data_pipelines.labels import BINARY_TASKS, EARLY_EVENT_TASKS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredRun:
    """What `clinjepa evaluate` left of one run.

    Args:
        arm: The arm that it is one seed of.
        seed: Its seed.
        errors: ``rollout_errors.parquet``.
        displacements: ``displacements.parquet``; empty where the store has no cohorts.
        predictions: ``predictions.parquet``, of the backbone.
    """

    arm: str
    seed: int
    errors: pl.DataFrame
    displacements: pl.DataFrame
    predictions: pl.DataFrame


@dataclass(frozen=True)
class Draws:
    """Bootstrap draws of a store's subjects, which all runs share.

    Args:
        place: Column of each subject's stays, by stay.
        times_RS: How often each subject counts, ``[1 + R, S]``; once each in row 0.
    """

    place: Mapping[int, int]
    times_RS: Floats

    def weights(self, stay_ids: pl.Series) -> Floats:
        """How often each row counts, ``[1 + R, N]``."""
        weights: Floats = self.times_RS[:, [self.place[stay] for stay in stay_ids]]
        return weights


def draw_subjects(stays: pl.DataFrame, draws: int, seed: int) -> Draws:
    """Draws over the subjects of some stays.

    Args:
        stays: ``stay_id`` and ``subject_id``.
        draws: Number of draws, R.
        seed: Of the draws.
    """
    subjects = stays["subject_id"].unique().sort().to_list()
    column = {subject: number for number, subject in enumerate(subjects)}
    place = {stay: column[subject] for stay, subject in stays.select("stay_id", "subject_id").iter_rows()}
    times_RS = np.concatenate([np.ones((1, len(subjects))), drawn_times(len(subjects), draws, seed).numpy()])
    return Draws(place, times_RS)


def figures_of_run(run: MeasuredRun, draws: Draws) -> dict[str, Floats]:
    """Every figure of one run in every draw, ``[1 + R]`` each; NaN where it is undefined.

    ``drift_percent``, ``mase`` and ``skill_vs_mean`` at the last forecast hour and ``mase_1h``; ``displacement_ratio``;
    ``auroc <task>`` of each task, and the means over early event tasks and over binary ones.
    """
    return {**_drift(run.errors, draws), **_displacement(run.displacements, draws), **aurocs(run.predictions, draws)}


def aurocs(predictions: pl.DataFrame, draws: Draws) -> dict[str, Floats]:
    """AUROC of one model on each task, and the means over early event tasks and over binary ones, ``[1 + R]`` each.

    Args:
        predictions: Of one model, as in ``predictions.parquet``.
        draws: Of the subjects.
    """
    by_task: dict[str, Floats] = {}
    for (task,), part in predictions.group_by("task", maintain_order=True):
        by_task[str(task)] = auroc(part["label"].to_numpy().astype(bool), part["score"].to_numpy(), draws.weights(part["stay_id"]))
    found = {f"auroc {task}": value_R for task, value_R in by_task.items()}
    for name, tasks in (("early events", EARLY_EVENT_TASKS), ("binary", BINARY_TASKS)):
        measured = [by_task[task] for task in tasks if task in by_task]
        if measured:
            found[f"mean auroc, {name}"] = np.mean(measured, axis=0)
    return found


def compare_arms(runs: Sequence[MeasuredRun], draws: Draws, reference: str) -> dict[str, Any]:
    """The figures of each arm, and their differences to a reference arm.

    Args:
        runs: One or more seeds of each arm.
        draws: Of the subjects.
        reference: An arm.

    Returns:
        By arm: ``seeds``, and by figure ``value`` (mean over seeds), ``ci95`` (over subjects, for these seeds), ``seed_std`` (over seeds,
        for these subjects; None for a single one), ``minus_reference`` and its paired ``minus_reference_ci95``.

    Raises:
        ValueError: If no run is of the reference arm.
    """
    by_arm: dict[str, dict[int, dict[str, Floats]]] = {}
    for run in runs:
        by_arm.setdefault(run.arm, {})[run.seed] = figures_of_run(run, draws)
    return arms_report(by_arm, reference)


def arms_report(by_arm: Mapping[str, Mapping[int, Mapping[str, Floats]]], reference: str) -> dict[str, Any]:
    """As `compare_arms`, from figures that are there already.

    Args:
        by_arm: Figures, ``[1 + R]`` each, of each seed of each arm, all from the same draws.
        reference: An arm.
    """
    if reference not in by_arm:
        raise ValueError(f"no run is of the arm {reference!r}; there are {', '.join(by_arm)}")
    means = {arm: _mean_over_seeds(list(figures.values())) for arm, figures in by_arm.items()}
    report: dict[str, Any] = {}
    for arm, figures in means.items():
        of_figure: dict[str, Any] = {}
        for name, value_R in figures.items():
            of_seeds = [float(each[name][0]) for each in by_arm[arm].values()]
            other_R = means[reference].get(name)
            difference_R = None if other_R is None or arm == reference else value_R - other_R
            of_figure[name] = {
                "value": number_or_none(value_R[0]),
                "ci95": interval(value_R[1:]),
                "seed_std": number_or_none(float(np.std(of_seeds, ddof=1))) if len(of_seeds) > 1 else None,
                "minus_reference": None if difference_R is None else number_or_none(difference_R[0]),
                "minus_reference_ci95": None if difference_R is None else interval(difference_R[1:]),
            }
        report[arm] = {"seeds": sorted(by_arm[arm]), "figures": of_figure}
    return report


def _mean_over_seeds(figures: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Of the figures that every seed has."""
    names = [name for name in figures[0] if all(name in each for each in figures)]
    return {name: np.mean([each[name] for each in figures], axis=0) for name in names}


def _drift(errors: pl.DataFrame, draws: Draws) -> dict[str, Floats]:
    last = int(errors["hour"].max() or 1)  # type: ignore[arg-type]
    # The windows are the same for every forecast and hour.
    ordered = errors.filter(pl.col("hour").is_in([1, last])).sort("forecast", "hour", "stay_id", "start")
    parts = ordered.partition_by("forecast", "hour", as_dict=True)
    weight_RN = draws.weights(parts[TRUE_ACTIONS, last]["stay_id"])

    def mean(forecast: str, hour: int) -> Floats:
        return weighted_mean(parts[forecast, hour]["l1"].to_numpy().astype(np.float64), weight_RN)

    first_R, last_R, copied_R = mean(TRUE_ACTIONS, 1), mean(TRUE_ACTIONS, last), mean(COPY_FORWARD, last)
    return {
        f"drift_percent {last} h": 100 * (quotient(last_R, first_R) - 1),
        f"mase {last} h": quotient(last_R, copied_R),
        f"skill_vs_mean {last} h": 1 - quotient(last_R, mean(TRAINING_MEAN, last)),
        "mase 1 h": quotient(first_R, mean(COPY_FORWARD, 1)),
    }


def _displacement(table: pl.DataFrame, draws: Draws) -> dict[str, Floats]:
    if table.is_empty():
        return {}
    found = Displacements(
        table["distance"].to_numpy().astype(np.float64),
        table["is_worse"].to_numpy().astype(bool),
        table["stay_id"].to_numpy().astype(np.int64),
        table["measured"].to_numpy().astype(np.int64),
    )
    plain_R, matched_R = ratios(found, draws.weights(table["stay_id"]))
    return {"displacement_ratio": plain_R, "matched_displacement_ratio": matched_R}
