"""Means and quotients of bootstrap draws, in which a row counts as often as it was drawn; NaN where a draw holds nothing."""

# Shapes: N rows, R draws.

from math import isfinite

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def quotient(over_R: Floats, under_R: Floats) -> Floats:
    """One by the other, ``[R]``; NaN where the divisor is not above 0.

    >>> quotient(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    return np.divide(over_R, under_R, out=np.full_like(over_R, np.nan), where=under_R > 0)


def weighted_mean(value_N: Floats, weight_RN: Floats) -> Floats:
    """Mean of the rows in each draw, ``[R]``.

    >>> weighted_mean(np.array([1.0, 4.0]), np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]])).tolist()
    [2.5, 4.0, nan]
    """
    return quotient(weight_RN @ value_N, weight_RN.sum(axis=1))


def number_or_none(value: float) -> float | None:
    """A figure as JSON holds it: None where it is undefined."""
    return float(value) if isfinite(value) else None
