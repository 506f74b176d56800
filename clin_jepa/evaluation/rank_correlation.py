"""Spearman's rank correlation in bootstrap draws, in which a row counts as often as it was drawn."""

# Shapes: M rows, R draws, G groups of equal values.

import numpy as np
from numpy.typing import NDArray

from clin_jepa.evaluation.weighted import quotient

Floats = NDArray[np.float64]


def rank_correlations(one_M: Floats, other_M: Floats, weight_RM: Floats) -> Floats:
    """Rank correlation of two columns in each draw, ``[R]``; equal values share their mean rank; NaN where a column does not vary.

    Args:
        one_M: A column, ``[M]``.
        other_M: The other one.
        weight_RM: How often each row counts, ``[R, M]``.

    >>> rank_correlations(np.array([1.0, 2.0, 9.0]), np.array([3.0, 1.0, 4.0]), np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])).tolist()
    [0.5, 1.0]
    """
    one_RM, other_RM = (_centred(_ranks(column_M, weight_RM), weight_RM) for column_M in (one_M, other_M))
    together_R, one_R, other_R = ((weight_RM * product_RM).sum(axis=1) for product_RM in (one_RM * other_RM, one_RM**2, other_RM**2))
    return quotient(together_R, np.sqrt(one_R * other_R))


def _ranks(value_M: Floats, weight_RM: Floats) -> Floats:
    """Mean rank of each row's value in each draw, ``[R, M]``."""
    values, group_M = np.unique(value_M, return_inverse=True)
    order_M = np.argsort(group_M, kind="stable")
    first_G = np.searchsorted(group_M[order_M], np.arange(len(values)))
    weight_RG = np.add.reduceat(weight_RM[:, order_M], first_G, axis=1)
    rank_RG = np.cumsum(weight_RG, axis=1) - (weight_RG - 1) / 2
    ranks_RM: Floats = rank_RG[:, group_M]
    return ranks_RM


def _centred(rank_RM: Floats, weight_RM: Floats) -> Floats:
    mean_R = quotient((weight_RM * rank_RM).sum(axis=1), weight_RM.sum(axis=1))
    return rank_RM - mean_R[:, None]
