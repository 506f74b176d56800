"""Flaws of real records: implausible values and rows that stand twice."""

import numpy as np

from data_pipelines.synthetic.arrays import Ints, Numbers

IMPLAUSIBLE = 0.0005
DUPLICATES = 0.0003
_TYPING_ERRORS = np.array([0.0, -1.0, 10.0, 100.0, np.nan])  # Times the value; NaN stands for the placeholder below.
_PLACEHOLDER = 999_999.0


def with_implausible(rng: np.random.Generator, values: Numbers) -> Numbers:
    """Spoil a few numbers, in place: zero, a wrong sign, a lost decimal point or a placeholder.

    Args:
        rng: Stream of chance.
        values: Numbers, NaN where there is none.

    Returns:
        The same array.
    """
    hit = np.flatnonzero((rng.random(len(values), dtype=np.float32) < IMPLAUSIBLE) & ~np.isnan(values))
    factor = _TYPING_ERRORS[rng.integers(0, len(_TYPING_ERRORS), len(hit))]
    values[hit] = np.where(np.isnan(factor), _PLACEHOLDER, np.round(values[hit] * factor, 2))
    return values


def some_twice(rng: np.random.Generator, order: Ints) -> Ints:
    """Repeat a few rows of an order of rows, each beside itself."""
    return np.repeat(order, 1 + (rng.random(len(order), dtype=np.float32) < DUPLICATES))
