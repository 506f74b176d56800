"""ROC, precision-recall and reliability curves of risk scores, as points."""

# Shapes: N rows, G groups of equal scores, P points of a curve, K bins of rows.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BINS = 10

Floats = NDArray[np.float64]

# Where curves are read that are averaged.
FALSE_ALARMS_P = np.linspace(0, 1, 101)
RECALL_P = np.linspace(0.01, 1, 100)


@dataclass(frozen=True)
class RiskCurves:
    """Curves of one model on one task, at points that all models share.

    Args:
        sensitivity_P: ROC curve at `FALSE_ALARMS_P`.
        precision_P: Precision-recall curve at `RECALL_P`.
        predicted_K: Mean predicted risk of tenths of the rows, by risk.
        observed_K: Their rates of events.
    """

    sensitivity_P: Floats
    precision_P: Floats
    predicted_K: Floats
    observed_K: Floats


def risk_curves(label_N: NDArray[np.bool_], score_N: Floats) -> RiskCurves:
    """The curves of a model.

    Args:
        label_N: Whether the event happened, ``[N]`` bool, both among them.
        score_N: Predicted probabilities, ``[N]``.
    """
    false_alarms, sensitivity = roc_points(label_N, score_N)
    recall, precision = precision_recall_points(label_N, score_N)
    # Precision of the highest threshold that finds so much: what average precision is a mean of.
    precision_P = precision[np.searchsorted(recall, RECALL_P - 1e-9)]
    return RiskCurves(np.interp(FALSE_ALARMS_P, false_alarms, sensitivity), precision_P, *reliability_points(label_N, score_N))


def mean_curves(curves: Sequence[RiskCurves]) -> RiskCurves:
    """The mean over seeds, point by point: its areas are the mean areas."""
    columns = zip(*((each.sensitivity_P, each.precision_P, each.predicted_K, each.observed_K) for each in curves), strict=True)
    return RiskCurves(*(np.mean(column, axis=0) for column in columns))


def roc_points(label_N: NDArray[np.bool_], score_N: Floats) -> tuple[Floats, Floats]:
    """False alarm rate and sensitivity at each distinct score, from the highest; (0, 0) first.

    >>> [points.tolist() for points in roc_points(np.array([False, True, True]), np.array([0.2, 0.2, 0.9]))]
    [[0.0, 0.0, 1.0], [0.0, 0.5, 1.0]]
    """
    found, named = _counts(label_N, score_N)
    return (named - found) / max((~label_N).sum(), 1), found / max(label_N.sum(), 1)


def precision_recall_points(label_N: NDArray[np.bool_], score_N: Floats) -> tuple[Floats, Floats]:
    """Recall and precision at each distinct score, from the highest.

    >>> [points.tolist() for points in precision_recall_points(np.array([False, True]), np.array([0.2, 0.9]))]
    [[1.0, 1.0], [1.0, 0.5]]
    """
    found, named = _counts(label_N, score_N)
    return found[1:] / max(label_N.sum(), 1), found[1:] / named[1:]


def reliability_points(label_N: NDArray[np.bool_], score_N: Floats) -> tuple[Floats, Floats]:
    """Mean score and rate of events in tenths of the rows, by score.

    >>> [points.tolist() for points in reliability_points(np.array([False, True]), np.array([0.25, 0.75]))]
    [[0.25, 0.75], [0.0, 1.0]]
    """
    parts = [part for part in np.array_split(np.argsort(score_N, kind="stable"), _BINS) if len(part)]
    return np.array([score_N[part].mean() for part in parts]), np.array([label_N[part].mean() for part in parts])


def _counts(label_N: NDArray[np.bool_], score_N: Floats) -> tuple[Floats, Floats]:
    """Events found and rows named at each distinct score, from the highest; none of either first."""
    order_N = np.argsort(-score_N, kind="stable")
    last_G = np.flatnonzero(np.diff(score_N[order_N], append=np.nan) != 0)
    found = np.concatenate([[0.0], np.cumsum(label_N[order_N])[last_G]])
    return found, np.concatenate([[0.0], last_G + 1.0])
