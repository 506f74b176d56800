"""Rollout figures at every forecast hour, in bootstrap draws that several runs share."""

# Shapes: R draws, N windows, H horizon hours. Row 0 of every [1 + R] is the figure itself, without a draw.

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from clin_jepa.evaluation.drift import drift_percent, mase, skill_vs_mean
from clin_jepa.evaluation.model_names import COPY_FORWARD, FORECASTS, TRAINING_MEAN, TRUE_ACTIONS
from clin_jepa.evaluation.weighted import quotient

_NEEDED = (TRUE_ACTIONS, COPY_FORWARD, TRAINING_MEAN)

Floats = NDArray[np.float64]


def mean_errors(errors: pl.DataFrame, weights: Callable[[pl.Series], Floats]) -> dict[str, Floats]:
    """Mean error over the windows of each forecast at each hour, ``[1 + R, H]``.

    Args:
        errors: As in ``rollout_errors.parquet``; the true actions, copy-forward and the training mean have to be there.
        weights: From the stays of some rows to how often each row counts, ``[1 + R, N]``.

    Raises:
        ValueError: If a forecast lacks a window or an hour.
    """
    parts = errors.sort("forecast", "stay_id", "start", "hour").partition_by("forecast", as_dict=True)
    names = [name for name in FORECASTS if name in _NEEDED or (name,) in parts]
    hours = int(errors["hour"].max() or 1)  # type: ignore[arg-type]
    for name in names:
        if (name,) not in parts or len(parts[name,]) != len(parts[TRUE_ACTIONS,]) or len(parts[name,]) % hours:
            raise ValueError(f"the errors of the forecast {name} are not there for every window and hour")
    # The windows are the same for every forecast and hour.
    weight_RN = weights(parts[TRUE_ACTIONS,].filter(pl.col("hour") == hours)["stay_id"])
    total_R = weight_RN.sum(axis=1)

    def mean_RH(name: str) -> Floats:
        error_NH = parts[name,]["l1"].to_numpy().astype(np.float64).reshape(-1, hours)
        sum_RH = weight_RN @ error_NH
        return quotient(sum_RH, np.broadcast_to(total_R[:, None], sum_RH.shape))

    return {name: mean_RH(name) for name in names}


def figures_by_hour(mean_error: Mapping[str, Floats], forecast: str = TRUE_ACTIONS) -> dict[str, Floats]:
    """``l1``, ``drift_percent``, ``mase`` and ``skill_vs_mean`` of a forecast, ``[1 + R, H]`` each; not finite where undefined.

    Args:
        mean_error: From `mean_errors`.
        forecast: One of them.

    >>> errors = {TRUE_ACTIONS: np.array([[1.0, 1.5]]), COPY_FORWARD: np.array([[2.0, 2.0]]), TRAINING_MEAN: np.array([[3.0, 3.0]])}
    >>> {name: value.tolist() for name, value in figures_by_hour(errors).items()}
    {'l1': [[1.0, 1.5]], 'drift_percent': [[0.0, 50.0]], 'mase': [[0.5, 0.75]], 'skill_vs_mean': [[0.6666666666666667, 0.5]]}
    """
    error_RH, copy_RH, mean_RH = (torch.from_numpy(mean_error[name]) for name in (forecast, COPY_FORWARD, TRAINING_MEAN))
    return {
        "l1": mean_error[forecast],
        "drift_percent": drift_percent(error_RH).numpy(),
        "mase": mase(error_RH, copy_RH).numpy(),
        "skill_vs_mean": skill_vs_mean(error_RH, mean_RH).numpy(),
    }
