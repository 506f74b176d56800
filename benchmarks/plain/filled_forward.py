"""The numbers of all stays carried forward and standardised at once, as whole tables."""

import numpy as np
from numpy.typing import NDArray

from clin_jepa.evaluation.numeric_grid import NumericGrid

Floats = NDArray[np.float32]


def whole_grid_filled_forward(grid: NumericGrid, is_train_S: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Values, whether measured, and days since the last measurement before, ``[H, V]`` each.

    Args:
        grid: The numbers.
        is_train_S: Which stays are of the training split.
    """
    hours_S = np.diff(grid.first_S)
    row_H1 = np.arange(len(grid.value_HV), dtype=np.int32)[:, None]
    begin_H1 = np.repeat(grid.first_S[:-1], hours_S).astype(np.int32)[:, None]
    newest_HV = np.where(np.isfinite(grid.value_HV), row_H1, np.int32(-1))
    np.maximum.accumulate(newest_HV, axis=0, out=newest_HV)
    newest_HV[newest_HV < begin_H1] = -1
    train_HV = grid.value_HV[np.repeat(is_train_S, hours_S)]
    mean_V, std_V = np.nanmean(train_HV, axis=0), np.nanstd(train_HV, axis=0)
    last_HV = np.take_along_axis(grid.value_HV, np.maximum(newest_HV, 0), axis=0)
    value_HV = np.where(newest_HV >= 0, np.clip((last_HV - mean_V) / std_V, -10, 10), 0.0).astype(np.float32)
    before_HV = np.concatenate([np.full((1, newest_HV.shape[1]), -1, dtype=np.int32), newest_HV[:-1]])
    since_HV = (row_H1 - np.maximum(before_HV, begin_H1)).astype(np.float32) / 24
    return value_HV, np.isfinite(grid.value_HV).astype(np.float32), since_HV
