"""AUROC, AUPRC, Brier score and calibration error of risk scores, with bootstraps by subject.

Every metric takes weights: in a bootstrap draw a subject counts as often as it was drawn. So the scores are sorted once for all draws.
"""

# Shapes: N rows, R draws, G groups of equal scores, K bins of probability.

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clin_jepa.evaluation.bootstrap import drawn_times
from clin_jepa.evaluation.weighted import quotient, weighted_mean

METRICS = ("auroc", "auprc", "brier", "ece")
_BINS = 10
# Numbers of weights and their sums that are held at a time.
_VALUES = 1 << 24

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Risk scores of one model on the rows of a task.

    Args:
        label_N: Whether the event happened, ``[N]`` bool.
        score_N: Predicted probabilities, ``[N]``, between 0 and 1.
        subject_N: The subject of each row, ``[N]`` int.

    Raises:
        ValueError: If shapes differ, or a score is not finite or no probability.
    """

    label_N: NDArray[np.bool_]
    score_N: Floats
    subject_N: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not self.label_N.shape == self.score_N.shape == self.subject_N.shape or self.label_N.ndim != 1:
            raise ValueError("labels, scores and subjects must be [N] each")
        if not np.isfinite(self.score_N).all() or (len(self.score_N) and not 0 <= self.score_N.min() <= self.score_N.max() <= 1):
            raise ValueError("scores must be finite and lie between 0 and 1")


def auroc(label_N: NDArray[np.bool_], score_N: Floats, weight_RN: Floats) -> Floats:
    """Probability that an event's score is above a non-event's, ties counted half; NaN where one class has no weight.

    >>> auroc(np.array([False, True, True]), np.array([0.2, 0.2, 0.9]), np.ones((1, 3))).tolist()
    [0.75]
    """
    event_RG, other_RG = _by_score(label_N, score_N, weight_RN)
    below_RG = np.cumsum(other_RG, axis=1) - other_RG
    ahead_R = (event_RG * (below_RG + 0.5 * other_RG)).sum(axis=1)
    return quotient(ahead_R, event_RG.sum(axis=1) * other_RG.sum(axis=1))


def auprc(label_N: NDArray[np.bool_], score_N: Floats, weight_RN: Floats) -> Floats:
    """Average precision: precision at each distinct score, weighted by the recall it adds; NaN where no event has weight.

    >>> auprc(np.array([False, True, True]), np.array([0.5, 0.2, 0.9]), np.ones((1, 3))).round(4).tolist()
    [0.8333]
    """
    event_RG, other_RG = (part_RG[:, ::-1] for part_RG in _by_score(label_N, score_N, weight_RN))
    found_RG = np.cumsum(event_RG, axis=1)
    named_RG = found_RG + np.cumsum(other_RG, axis=1)
    precision_RG = np.divide(found_RG, named_RG, out=np.zeros_like(found_RG), where=named_RG > 0)
    return quotient((event_RG * precision_RG).sum(axis=1), event_RG.sum(axis=1))


def brier(label_N: NDArray[np.bool_], score_N: Floats, weight_RN: Floats) -> Floats:
    """Mean squared difference of probability and outcome.

    >>> brier(np.array([True, False]), np.array([0.5, 0.0]), np.ones((1, 2))).tolist()
    [0.125]
    """
    return weighted_mean((score_N - label_N) ** 2, weight_RN)


def expected_calibration_error(label_N: NDArray[np.bool_], score_N: Floats, weight_RN: Floats) -> Floats:
    """Mean over rows of the gap between mean probability and event rate of a row's bin; ten bins of equal width (Guo et al. 2017).

    >>> expected_calibration_error(np.array([True, False]), np.array([0.6, 0.62]), np.ones((1, 2))).round(4).tolist()
    [0.11]
    """
    bin_N = np.minimum((score_N * _BINS).astype(np.int64), _BINS - 1)
    of_bin_NK = np.eye(_BINS)[bin_N]
    gap_RK = weight_RN @ (of_bin_NK * (score_N - label_N)[:, None])
    return quotient(np.abs(gap_RK).sum(axis=1), weight_RN.sum(axis=1))


def metrics(scored: Scored) -> dict[str, float]:
    """Each of `METRICS`; NaN where it is undefined.

    >>> scored = Scored(np.array([False, True]), np.array([0.0, 1.0]), np.array([1, 2]))
    >>> metrics(scored)
    {'auroc': 1.0, 'auprc': 1.0, 'brier': 0.0, 'ece': 0.0}
    """
    return {name: float(value_R[0]) for name, value_R in _metrics(scored, np.ones((1, len(scored.label_N)))).items()}


def drawn_metrics(scored: Scored, draws: int = 500, seed: int = 0) -> dict[str, Floats]:
    """Each of `METRICS` in bootstrap draws of whole subjects, ``[R]``; the same seed draws the same subjects for every model.

    Args:
        scored: Rows and scores.
        draws: Number of draws, R.
        seed: Seed of the draws.
    """
    subjects, subject_N = np.unique(scored.subject_N, return_inverse=True)
    times_RS = drawn_times(len(subjects), draws, seed).numpy()
    at_once = max(1, _VALUES // max(1, len(subject_N)))
    parts = [_metrics(scored, times_RS[first : first + at_once][:, subject_N]) for first in range(0, draws, at_once)]
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


def interval(value_R: Floats) -> tuple[float, float] | None:
    """The 2.5th and 97.5th percentile of the draws in which a figure is defined; None where it is in fewer than half of them.

    >>> interval(np.arange(101.0))
    (2.5, 97.5)
    """
    defined = value_R[np.isfinite(value_R)]
    if not len(value_R) or len(defined) < len(value_R) / 2:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def paired_differences(drawn: Mapping[str, Floats], other: Mapping[str, Floats]) -> dict[str, tuple[float, float] | None]:
    """Intervals of one model's metrics minus another's, on the same rows, subjects drawn for both alike.

    Args:
        drawn: From `drawn_metrics`.
        other: The other model's, with the same rows, draws and seed.
    """
    return {name: interval(drawn[name] - other[name]) for name in METRICS}


def _metrics(scored: Scored, weight_RN: Floats) -> dict[str, Floats]:
    given = (scored.label_N, scored.score_N, weight_RN)
    return {"auroc": auroc(*given), "auprc": auprc(*given), "brier": brier(*given), "ece": expected_calibration_error(*given)}


def _by_score(label_N: NDArray[np.bool_], score_N: Floats, weight_RN: Floats) -> tuple[Floats, Floats]:
    """Weight of events and of other rows at each distinct score, ascending, ``[R, G]`` each."""
    order_N = np.argsort(score_N, kind="stable")
    first_G = np.flatnonzero(np.diff(score_N[order_N], prepend=np.nan) != 0)
    weight_RN, label_N = weight_RN[:, order_N], label_N[order_N]
    if not len(first_G):
        return np.zeros((len(weight_RN), 0)), np.zeros((len(weight_RN), 0))
    event_RG = np.add.reduceat(weight_RN * label_N, first_G, axis=1)
    return event_RG, np.add.reduceat(weight_RN, first_G, axis=1) - event_RG
