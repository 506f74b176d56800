"""The folds of a cross-validation as one run: each subject is held out in one of them, so their rows are put together."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.evaluation.arms import Draws, MeasuredRun, task_metrics
from clin_jepa.evaluation.displacement import in_median_stable
from clin_jepa.evaluation.model_names import COPY_FORWARD
from clin_jepa.evaluation.weighted import quotient

Floats = NDArray[np.float64]

DISTANCES = ("distance", "distance_tuned", "distance_raw")


def pooled(runs: Sequence[MeasuredRun]) -> MeasuredRun:
    """One run with the rows of all folds, which have shared no latent space.

    Errors are counted in the mean error of copy-forward of their fold, and distances in the median stable one. Scores stay as they are:
    those of several models rank nothing together, which is what `metrics_within_folds` is for. Where a fold lacks a task, its subjects
    have no row of it.

    Args:
        runs: Of the same arm and seed, a fold each.
    """
    if len(runs) == 1:
        return runs[0]
    error = pl.col("l1") / pl.col("l1").filter(pl.col("forecast") == COPY_FORWARD).mean()
    return MeasuredRun(
        runs[0].arm,
        runs[0].seed,
        pl.concat([run.errors.with_columns(error) for run in runs]),
        pl.concat([run.displacements.with_columns(map(in_median_stable, DISTANCES)) for run in runs]),
        pl.concat([run.predictions for run in runs]),
    )


def metrics_within_folds(predictions: Sequence[pl.DataFrame], draws: Draws) -> dict[str, dict[str, Floats]]:
    """``auroc``, ``auprc`` and ``brier`` of one model on each task, ``[1 + R]`` each.

    The scores of two folds come from two trainings, so that an event of one is not held against a non-event of the other. Of the folds'
    figures the mean is taken: an AUROC counts by pairs of an event and a non-event, an AUPRC by events, a Brier score by rows.

    Args:
        predictions: As in ``predictions.parquet``, of the same model, a fold each.
        draws: Of the subjects.
    """
    folds: dict[str, list[tuple[Mapping[str, Floats], Mapping[str, Floats]]]] = {}
    for table in predictions:
        for task, found in task_metrics(table, draws, ("auroc", "auprc", "brier")).items():
            folds.setdefault(task, []).append((found, _counts(table.filter(pl.col("task") == task), draws)))
    return {
        task: {name: _mean([(found[name], counted[name]) for found, counted in parts]) for name in parts[0][0]}
        for task, parts in folds.items()
    }


def _mean(parts: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Mean of some figures by what each counts by, ``[1 + R]``; where one counts nothing, as without an event, it is undefined itself."""
    sums = [np.where(counted_R > 0, value_R * counted_R, 0.0) for value_R, counted_R in parts]
    return quotient(np.sum(sums, axis=0), np.sum([counted_R for _, counted_R in parts], axis=0))


def _counts(rows: pl.DataFrame, draws: Draws) -> Mapping[str, Floats]:
    """What the figures of a fold count by in every draw, ``[1 + R]`` each."""
    column_N, event_N = draws.columns(rows["stay_id"]), rows["label"].to_numpy().astype(np.float64)
    subjects = draws.times_RS.shape[1]
    events_R = draws.times_RS @ np.bincount(column_N, event_N, subjects)
    others_R = draws.times_RS @ np.bincount(column_N, 1 - event_N, subjects)
    return {"auroc": events_R * others_R, "auprc": events_R, "brier": events_R + others_R}
