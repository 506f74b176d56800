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

from clin_jepa.evaluation.bootstrap import drawn_times, interval
from clin_jepa.evaluation.classification import METRICS, Scored, metrics_in_draws
from clin_jepa.evaluation.displacement import displacements_of, ratios
from clin_jepa.evaluation.hourly_figures import figures_by_hour, mean_errors
from clin_jepa.evaluation.weighted import number_or_none
from data_pipelines.labels import BINARY_TASKS, EARLY_EVENT_TASKS, TASKS

MEAN_AUROCS = {"early events": EARLY_EVENT_TASKS, "binary": BINARY_TASKS, "all tasks": TASKS}

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

    def columns(self, stay_ids: pl.Series) -> NDArray[np.int64]:
        """Column of each row's subject, ``[N]``."""
        return np.array([self.place[stay] for stay in stay_ids], dtype=np.int64)

    def weights(self, stay_ids: pl.Series) -> Floats:
        """How often each row counts, ``[1 + R, N]``."""
        weights: Floats = self.times_RS[:, self.columns(stay_ids)]
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


def figures_of_run(
    run: MeasuredRun,
    draws: Draws,
    mean_error: Mapping[str, Floats] | None = None,
    by_task: Mapping[str, Mapping[str, Floats]] | None = None,
) -> dict[str, Floats]:
    """Every figure of one run in every draw, ``[1 + R]`` each; NaN where it is undefined.

    ``drift_percent``, ``mase`` and ``skill_vs_mean`` at the last forecast hour, as in ``mase 48 h``, and ``mase 1 h``;
    ``displacement_ratio`` and ``matched_displacement_ratio``; ``auroc <task>`` of each task, and the means over early event tasks, over
    binary ones and over all.

    Args:
        run: The run.
        draws: Of the subjects.
        mean_error: From `mean_errors` of these, where they are there already.
        by_task: From `task_metrics` of these, where they are there already.
    """
    errors = _drift(mean_errors(run.errors, draws.weights) if mean_error is None else mean_error)
    risk = aurocs(run.predictions, draws) if by_task is None else auroc_figures(by_task)
    return {**errors, **displacement_figures(run.displacements, draws), **risk}


def task_metrics(predictions: pl.DataFrame, draws: Draws, names: Sequence[str] = METRICS) -> dict[str, dict[str, Floats]]:
    """Metrics of one model on each task, ``[1 + R]`` each.

    Args:
        predictions: Of one model, as in ``predictions.parquet``.
        draws: Of the subjects.
        names: Which metrics.
    """
    found = {}
    for (task,), part in predictions.group_by("task", maintain_order=True):
        label_N, score_N = part["label"].to_numpy().astype(bool), part["score"].to_numpy()
        found[str(task)] = metrics_in_draws(Scored(label_N, score_N, draws.columns(part["stay_id"])), draws.times_RS, names)
    return found


def aurocs(predictions: pl.DataFrame, draws: Draws) -> dict[str, Floats]:
    """AUROC of one model on each task, and the means over early event tasks, over binary ones and over all, ``[1 + R]`` each.

    Args:
        predictions: Of one model, as in ``predictions.parquet``.
        draws: Of the subjects.
    """
    return auroc_figures(task_metrics(predictions, draws, ("auroc",)))


def auroc_figures(by_task: Mapping[str, Mapping[str, Floats]]) -> dict[str, Floats]:
    """As `aurocs`, from `task_metrics`."""
    found = {f"auroc {task}": of_task["auroc"] for task, of_task in by_task.items()}
    for name, tasks in MEAN_AUROCS.items():
        measured = [by_task[task]["auroc"] for task in tasks if task in by_task]
        if measured:
            found[f"mean auroc, {name}"] = np.mean(measured, axis=0)
    return found


def arms_report(by_arm: Mapping[str, Mapping[int, Mapping[str, Floats]]], reference: str) -> dict[str, Any]:
    """The figures of each arm, and their differences to a reference arm.

    Args:
        by_arm: Figures, ``[1 + R]`` each, of each seed of each arm, all from the same draws.
        reference: An arm.

    Returns:
        By arm: ``seeds``, and by figure what `figure_report` gives.

    Raises:
        ValueError: If no run is of the reference arm.
    """
    if reference not in by_arm:
        raise ValueError(f"no run is of the arm {reference!r}; there are {', '.join(by_arm)}")
    return {
        arm: {"seeds": sorted(of_seeds), "figures": figure_reports(of_seeds, None if arm == reference else by_arm[reference])}
        for arm, of_seeds in by_arm.items()
    }


def figure_reports(
    of_seeds: Mapping[int, Mapping[str, Floats]], reference: Mapping[int, Mapping[str, Floats]] | None = None
) -> dict[str, dict[str, Any]]:
    """What `figure_report` gives for each figure that every seed has.

    Args:
        of_seeds: Figures, ``[1 + R]`` each, by seed.
        reference: Those of the reference arm; a figure that it lacks has no difference. None for the reference itself.
    """
    of_reference = {} if reference is None else _by_figure(reference)
    return {name: figure_report(values, of_reference.get(name)) for name, values in _by_figure(of_seeds).items()}


def figure_report(of_seeds: Mapping[int, Floats], reference: Mapping[int, Floats] | None = None) -> dict[str, Any]:
    """One figure of one arm.

    Trainings with one seed see the same windows in the same order, so arms are held against each other seed by seed, over the seeds that
    both have; over all of either where they share none.

    Args:
        of_seeds: The figure, ``[1 + R]``, by seed.
        reference: That of the reference arm; None for the reference itself.

    Returns:
        ``value`` (mean over seeds), ``ci95`` (over subjects, for these seeds), ``seed_std`` (over seeds, for these subjects; None for a
        single one); ``minus_reference``, its ``minus_reference_ci95`` (over subjects, paired), ``minus_reference_seed_std``, and
        ``minus_reference_seed_ci95``, Student's t interval over the seeds, for these subjects.

    >>> figure_report({0: np.array([1.0, 0.0, 2.0]), 1: np.array([3.0, 2.0, 4.0])})["value"]
    2.0
    >>> figure_report({0: np.array([1.0, 1.0])}, {0: np.array([3.0, 3.0]), 1: np.array([9.0, 9.0])})["minus_reference"]
    -2.0
    """
    value_R = np.mean(list(of_seeds.values()), axis=0)
    report = {"value": number_or_none(value_R[0]), "ci95": interval(value_R[1:]), "seed_std": _seed_std(list(of_seeds.values()))}
    difference_R, spread, of_shared = None, None, None
    if reference is not None:
        shared = [of_seeds[seed] - reference[seed] for seed in of_seeds if seed in reference]
        difference_R = np.mean(shared, axis=0) if shared else value_R - np.mean(list(reference.values()), axis=0)
        spread, of_shared = _seed_std(shared), _seed_interval(shared)
    return report | {
        "minus_reference": None if difference_R is None else number_or_none(difference_R[0]),
        "minus_reference_ci95": None if difference_R is None else interval(difference_R[1:]),
        "minus_reference_seed_std": spread,
        "minus_reference_seed_ci95": of_shared,
    }


def mean_over_seeds(figures: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Of the figures that every seed has."""
    return {name: np.mean(list(values.values()), axis=0) for name, values in _by_figure(dict(enumerate(figures))).items()}


def _by_figure(of_seeds: Mapping[int, Mapping[str, Floats]]) -> dict[str, dict[int, Floats]]:
    """By figure and seed, of the figures that every seed has."""
    first, *others = of_seeds.values()
    names = [name for name in first if all(name in each for each in others)]
    return {name: {seed: each[name] for seed, each in of_seeds.items()} for name in names}


def _seed_std(of_seeds: Sequence[Floats]) -> float | None:
    return number_or_none(float(np.std([float(each[0]) for each in of_seeds], ddof=1))) if len(of_seeds) > 1 else None


def _seed_interval(of_seeds: Sequence[Floats]) -> tuple[float, float] | None:
    """Student's t interval of the mean over seeds; None for a single one, or where one has no figure."""
    spread = _seed_std(of_seeds)
    if spread is None:
        return None
    from scipy.stats import t

    mean = float(np.mean([each[0] for each in of_seeds]))
    half = float(t.ppf(0.975, len(of_seeds) - 1)) * spread / len(of_seeds) ** 0.5
    return mean - half, mean + half


def _drift(mean_error: Mapping[str, Floats]) -> dict[str, Floats]:
    by_hour = figures_by_hour(mean_error)
    last = by_hour["l1"].shape[1]
    at_the_end = {f"{name} {last} h": by_hour[name][:, -1] for name in ("drift_percent", "mase", "skill_vs_mean")}
    return {**at_the_end, "mase 1 h": by_hour["mase"][:, 0]}


def displacement_figures(table: pl.DataFrame, draws: Draws, distance: str = "distance") -> dict[str, Floats]:
    """``displacement_ratio`` and ``matched_displacement_ratio`` in every draw, ``[1 + R]`` each; none where no distance was measured.

    Args:
        table: As in ``displacements.parquet``.
        draws: Of the subjects.
        distance: Which of its columns.
    """
    known = table.drop_nulls(distance)
    if known.is_empty():
        return {}
    plain_R, matched_R = ratios(displacements_of(known, distance), draws.weights(known["stay_id"]))
    return {"displacement_ratio": plain_R, "matched_displacement_ratio": matched_R}
