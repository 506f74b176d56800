"""Types and small vector operations that every table needs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MISSING = np.iinfo(np.int64).min
"""A time that is not there."""

HOUR, DAY = 3600, 86400


def pick(rng: np.random.Generator, weights: Sequence[float] | Numbers, n: int) -> Ints:
    """Draw ``n`` indexes with the given weights.

    >>> pick(np.random.default_rng(0), [0, 1], 3)
    array([1, 1, 1])
    """
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.asarray(np.searchsorted(edges, rng.random(n) * edges[-1], side="right"), dtype=np.int64)


def running_sum(values: Numbers, group: Ints) -> Numbers:
    """Sum of the earlier values of the same group; groups lie one after the other.

    >>> running_sum(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1]))
    array([0., 1., 0., 3.])
    """
    before = np.cumsum(values) - values
    return np.asarray(before - before[first_of_group(group)])


def first_of_group(group: Ints) -> Ints:
    """Index of the first member of each one's group; groups lie one after the other.

    >>> first_of_group(np.array([5, 5, 7]))
    array([0, 0, 2])
    """
    starts = np.concatenate(([True], group[1:] != group[:-1]))[: len(group)]
    return np.maximum.accumulate(np.where(starts, np.arange(len(group)), 0))


def is_last_of_group(group: Ints) -> Flags:
    """Whether each is the last of its group; groups lie one after the other.

    >>> is_last_of_group(np.array([5, 5, 7]))
    array([False,  True,  True])
    """
    return np.concatenate((group[1:] != group[:-1], [True]))[: len(group)]


def expand(counts: Ints) -> tuple[Ints, Ints]:
    """Repeat each index ``counts`` times, and number the repeats.

    >>> expand(np.array([2, 0, 1]))
    (array([0, 0, 2]), array([0, 1, 0]))
    """
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)


def sigmoid(x: NDArray[np.floating[Any]]) -> Numbers:
    """Logistic function."""
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float64)
