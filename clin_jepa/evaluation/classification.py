"""AUROC, AUPRC, Brier score and calibration error of risk scores, with bootstraps by subject.

Every metric takes weights: in a bootstrap draw a subject counts as often as it was drawn. So the scores are sorted once for all draws.
"""

# Shapes: N rows, M events, R draws, S subjects, G groups of equal scores, K bins of probability.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clin_jepa.evaluation.bootstrap import drawn_times, interval
from clin_jepa.evaluation.weighted import quotient

METRICS = ("auroc", "auprc", "brier", "ece")
_BINS = 10
# Numbers of weights and their sums that are held at a time; few enough for a cache.
_VALUES = 1 << 20

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


def metrics(scored: Scored) -> dict[str, float]:
    """Each of `METRICS`; NaN where it is undefined.

    ``auroc``: probability that an event's score is above a non-event's, ties counted half. ``auprc``: average precision, the precision at
    each distinct score weighted by the recall it adds. ``brier``: mean squared difference of probability and outcome. ``ece``: mean over
    rows of the gap between mean probability and event rate of a row's bin, ten bins of equal width (Guo et al. 2017).

    >>> metrics(Scored(np.array([False, True, True]), np.array([0.2, 0.2, 0.5]), np.array([1, 2, 3])))["auroc"]
    0.75
    """
    alone = replace(scored, subject_N=np.zeros_like(scored.subject_N))
    return {name: float(value_R[0]) for name, value_R in metrics_in_draws(alone, np.ones((1, 1))).items()}


def drawn_metrics(scored: Scored, draws: int = 500, seed: int = 0) -> dict[str, Floats]:
    """Each of `METRICS` in bootstrap draws of whole subjects, ``[R]``; the same seed draws the same subjects for every model.

    Args:
        scored: Rows and scores.
        draws: Number of draws, R.
        seed: Seed of the draws.
    """
    subjects, column_N = np.unique(scored.subject_N, return_inverse=True)
    return metrics_in_draws(replace(scored, subject_N=column_N), drawn_times(len(subjects), draws, seed).numpy())


def metrics_in_draws(scored: Scored, times_RS: Floats, names: Sequence[str] = METRICS) -> dict[str, Floats]:
    """Metrics in draws that are there already, ``[R]`` each; NaN where a metric is undefined.

    Args:
        scored: Rows and scores; ``subject_N`` are columns of the draws.
        times_RS: How often each subject counts, ``[R, S]``.
        names: Which of `METRICS`.

    >>> scored = Scored(np.array([False, True, True]), np.array([0.2, 0.2, 0.9]), np.array([0, 1, 2]))
    >>> metrics_in_draws(scored, np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 0.0]]), ["auroc"])["auroc"].tolist()
    [0.75, 0.5]
    """
    found: dict[str, Floats] = {}
    if {"auroc", "auprc"} & set(names):
        ranked = _ranked(scored.label_N, scored.score_N)
        column_N = scored.subject_N[ranked.order_N]
        at_once = max(1, _VALUES // max(1, len(column_N)))
        parts = [_areas(ranked, times_RS[first : first + at_once][:, column_N]) for first in range(0, len(times_RS), at_once)]
        found["auroc"], found["auprc"] = (np.concatenate(area) for area in zip(*parts, strict=True))
    # What is a sum over rows is a sum over subjects too.
    n_subjects = times_RS.shape[1]
    rows_R = times_RS @ np.bincount(scored.subject_N, minlength=n_subjects).astype(np.float64)
    if "brier" in names:
        found["brier"] = quotient(times_RS @ np.bincount(scored.subject_N, (scored.score_N - scored.label_N) ** 2, n_subjects), rows_R)
    if "ece" in names:
        bin_N = scored.subject_N * _BINS + _bins(scored.score_N)
        gap_SK = np.bincount(bin_N, scored.score_N - scored.label_N, n_subjects * _BINS).reshape(n_subjects, _BINS)
        found["ece"] = quotient(np.abs(times_RS @ gap_SK).sum(axis=1), rows_R)
    return {name: found[name] for name in names}


def drawn_prevalence(scored: Scored, draws: int = 500, seed: int = 0) -> Floats:
    """Share of events among the rows in the draws of `drawn_metrics`, ``[R]``; arguments as there."""
    subjects, subject_N = np.unique(scored.subject_N, return_inverse=True)
    times_RS = drawn_times(len(subjects), draws, seed).numpy()
    events_S, rows_S = np.bincount(subject_N, weights=scored.label_N), np.bincount(subject_N).astype(np.float64)
    return quotient(times_RS @ events_S, times_RS @ rows_S)


def paired_differences(drawn: Mapping[str, Floats], other: Mapping[str, Floats]) -> dict[str, tuple[float, float] | None]:
    """Intervals of one model's metrics minus another's, on the same rows, subjects drawn for both alike.

    Args:
        drawn: From `drawn_metrics`.
        other: The other model's, with the same rows, draws and seed.
    """
    return {name: interval(drawn[name] - other[name]) for name in METRICS}


def _bins(score_N: Floats) -> NDArray[np.int64]:
    return np.minimum((score_N * _BINS).astype(np.int64), _BINS - 1)


@dataclass(frozen=True)
class _Ranked:
    """Rows by ascending score, and the groups of equal scores that hold an event.

    Args:
        order_N: The rows in this order.
        event_M: Places of the events in it, M of them.
        group_G: Where the events of each group begin among the events.
        first_G: Place of each group's first row.
        last_G: Place of its last row.
    """

    order_N: NDArray[np.int64]
    event_M: NDArray[np.int64]
    group_G: NDArray[np.int64]
    first_G: NDArray[np.int64]
    last_G: NDArray[np.int64]


def _ranked(label_N: NDArray[np.bool_], score_N: Floats) -> _Ranked:
    order_N = np.argsort(score_N, kind="stable")
    begins_N = np.diff(score_N[order_N], prepend=np.nan) != 0
    first, event_M = np.flatnonzero(begins_N), np.flatnonzero(label_N[order_N])
    group_M = np.cumsum(begins_N)[event_M] - 1
    group, first_event = np.unique(group_M, return_index=True)
    return _Ranked(order_N, event_M, first_event, first[group], np.append(first, len(order_N))[group + 1] - 1)


def _areas(ranked: _Ranked, weight_RN: Floats) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision, ``[R]`` each, of rows by ascending score.

    Only at scores of events does either area grow, so only there are sums taken apart.
    """
    if not len(ranked.event_M):
        nothing_R = np.full(len(weight_RN), np.nan)
        return nothing_R, nothing_R
    event_RG = np.add.reduceat(weight_RN[:, ranked.event_M], ranked.group_G, axis=1)
    total_RN = np.cumsum(weight_RN, axis=1)
    up_to_RG = total_RN[:, ranked.last_G]
    below_RG = total_RN[:, ranked.first_G] - weight_RN[:, ranked.first_G]
    event_below_RG = np.cumsum(event_RG, axis=1) - event_RG
    other_below_RG, other_RG = below_RG - event_below_RG, up_to_RG - below_RG - event_RG
    event_R, all_R = event_RG.sum(axis=1), total_RN[:, -1]
    ahead_R = (event_RG * (other_below_RG + 0.5 * other_RG)).sum(axis=1)
    found_RG, named_RG = event_R[:, None] - event_below_RG, all_R[:, None] - below_RG
    precision_RG = np.divide(found_RG, named_RG, out=np.zeros_like(found_RG), where=named_RG > 0)
    return quotient(ahead_R, event_R * (all_R - event_R)), quotient((event_RG * precision_RG).sum(axis=1), event_R)
