"""The folds of a cross-validation as one run: each subject is held out in one of them, so their rows are put together."""

from collections.abc import Sequence

import polars as pl

from clin_jepa.evaluation.arms import MeasuredRun
from clin_jepa.evaluation.displacement import in_median_stable
from clin_jepa.evaluation.model_names import COPY_FORWARD

DISTANCES = ("distance", "distance_tuned", "distance_raw")


def pooled(runs: Sequence[MeasuredRun]) -> MeasuredRun:
    """One run with the rows of all folds, which have shared no latent space.

    Errors are counted in the mean error of copy-forward of their fold, and distances in the median stable one; scores are probabilities and
    stay as they are. Where a fold lacks a task, its subjects have no row of it.

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
