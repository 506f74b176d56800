"""How far latents travel within a day, for patients who get worse and for those who stay as they are.

The displacement of a window is the distance between the mean latent of its last six hours and that of its first six, in the full latent
space. Cohorts come from the data, never from the latents (see `cohorts`).
"""

# Shapes: N windows, T hours, D features, R draws, G strata.

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.evaluation.bootstrap import drawn_times, interval
from clin_jepa.evaluation.weighted import number_or_none, quotient, weighted_mean

EDGE_HOURS = 6
# What tables call the displacement of the numbers themselves.
RAW_NUMBERS = "raw_numbers"
# First hours of a stay at which a stratum of windows ends: whose edge meets admission, whose does not on the first day, and all others.
_STARTS = (EDGE_HOURS, 24)
_COUNTS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Displacements:
    """Displacements of the windows of two cohorts.

    Args:
        distance_N: Displacement of each window, ``[N]``.
        is_worse_N: Whether the patient deteriorates; else stays stable, ``[N]`` bool.
        stay_N: Stay of each window, ``[N]`` int.
        start_N: Hour of its stay that each window begins at, ``[N]`` int.
        measured_N: Measurements in each window, ``[N]`` int.
    """

    distance_N: Floats
    is_worse_N: NDArray[np.bool_]
    stay_N: NDArray[np.int64]
    start_N: NDArray[np.int64]
    measured_N: NDArray[np.int64]


def displacements_of(table: pl.DataFrame, distance: str = "distance") -> Displacements:
    """From a table as in ``displacements.parquet``.

    Args:
        table: It.
        distance: Which of its columns is the distance.
    """
    stay_N, start_N, measured_N = (table[name].to_numpy().astype(np.int64) for name in ("stay_id", "start", "measured"))
    return Displacements(
        table[distance].to_numpy().astype(np.float64), table["is_worse"].to_numpy().astype(bool), stay_N, start_N, measured_N
    )


def in_median_stable(distance: str) -> pl.Expr:
    """A column of distances in the median of the stable windows: so distances of latent spaces that share no scale are put together."""
    return pl.col(distance) / pl.col(distance).filter(~pl.col("is_worse")).median()


def edge_means(latent_NTD: NDArray[np.floating[Any]]) -> tuple[Floats, Floats]:
    """Mean of the first six hours and of the last six, ``[N, D]`` each.

    Args:
        latent_NTD: Latents of windows of at least twelve hours, ``[N, T, D]``.

    Raises:
        ValueError: If the windows are shorter.
    """
    if latent_NTD.shape[1] < 2 * EDGE_HOURS:
        raise ValueError(f"windows of {latent_NTD.shape[1]} hours have no {EDGE_HOURS} first and {EDGE_HOURS} other last hours")
    first_ND, last_ND = latent_NTD[:, :EDGE_HOURS], latent_NTD[:, -EDGE_HOURS:]
    return first_ND.mean(axis=1, dtype=np.float64), last_ND.mean(axis=1, dtype=np.float64)


def displacement(latent_NTD: NDArray[np.floating[Any]]) -> Floats:
    """Distance between the mean of the last six hours and that of the first six, ``[N]``; arguments and errors as of `edge_means`.

    >>> displacement(np.arange(24.0).reshape(1, 12, 2)).round(4).tolist()
    [16.9706]
    """
    return distance(*edge_means(latent_NTD))


def distance(first_ND: Floats, last_ND: Floats) -> Floats:
    """Euclidean distance of each window's two means, ``[N]``."""
    distance_N: Floats = np.linalg.norm(last_ND - first_ND, axis=1)
    return distance_N


def displacement_report(found: Displacements, draws: int = 500, seed: int = 0) -> dict[str, Any]:
    """Ratio of mean displacements, deteriorating over stable, with its bootstrap by stay, a matched ratio and a null.

    - ``ratio``: of plain means.
    - ``matched_ratio``: of means within strata of the hour that a window begins at (the first six hours of a stay, the rest of its first
      day, later) and, within these, of fifths of measurement counts, weighted as the deteriorating windows lie in them. How much is
      known of a patient moves latents by itself. And after admission SOFA rises because organs are measured at last, one without data
      counting 0: most first days are among the deteriorating, and the first hours of a stay move latents of any patient.
    - ``null_ratio`` and ``matched_null_ratio``: the ratios with cohorts shuffled over whole stays, mean and 95 % interval over as many
      shuffles as draws.

    Args:
        found: Displacements.
        draws: Bootstrap draws, and shuffles.
        seed: Of both.

    Returns:
        The figures with ``ci95``, ``n_deteriorating`` and ``n_stable`` (windows) and ``n_stays``; None where a cohort is empty.
    """
    ones_1N = np.ones((1, len(found.distance_N)))
    stays, stay_N = np.unique(found.stay_N, return_inverse=True)
    drawn_RN = drawn_times(max(len(stays), 1), draws, seed).numpy()[:, stay_N]
    shuffled = [replace(found, is_worse_N=is_worse_N) for is_worse_N in _shuffles(found.is_worse_N, stay_N, draws, seed)]
    null_R, matched_null_R = np.array([[ratio_1[0] for ratio_1 in ratios(each, ones_1N)] for each in shuffled]).reshape(-1, 2).T
    (ratio_1, matched_1), (ratio_R, matched_R) = ratios(found, ones_1N), ratios(found, drawn_RN)
    return {
        "ratio": number_or_none(ratio_1[0]),
        "matched_ratio": number_or_none(matched_1[0]),
        "null_ratio": _mean(null_R),
        "matched_null_ratio": _mean(matched_null_R),
        "ci95": {
            "ratio": interval(ratio_R),
            "matched_ratio": interval(matched_R),
            "null_ratio": interval(null_R),
            "matched_null_ratio": interval(matched_null_R),
        },
        "n_deteriorating": int(found.is_worse_N.sum()),
        "n_stable": int((~found.is_worse_N).sum()),
        "n_stays": len(stays),
        "draws": draws,
    }


def ratios(found: Displacements, weight_RN: Floats) -> tuple[Floats, Floats]:
    """Plain and matched ratio for each row of weights, ``[R]`` each; NaN where a cohort has no weight.

    Args:
        found: Displacements.
        weight_RN: How often each window counts, ``[R, N]``.
    """
    return _ratio(found.distance_N, found.is_worse_N, weight_RN), _matched_ratio(found, _strata(found), weight_RN)


def _ratio(distance_N: Floats, is_worse_N: NDArray[np.bool_], weight_RN: Floats) -> Floats:
    return quotient(weighted_mean(distance_N, weight_RN * is_worse_N), weighted_mean(distance_N, weight_RN * ~is_worse_N))


def _matched_ratio(found: Displacements, stratum_N: NDArray[np.int64], weight_RN: Floats) -> Floats:
    """Strata without a stable window are left out on both sides."""
    total_R, over_R, under_R = (np.zeros(len(weight_RN)) for _ in range(3))
    for stratum in np.unique(stratum_N[found.is_worse_N]):
        within_RN = weight_RN * (stratum_N == stratum)
        worse_RN, stable_RN = within_RN * found.is_worse_N, within_RN * ~found.is_worse_N
        counts_R = worse_RN.sum(axis=1) * (stable_RN.sum(axis=1) > 0)
        total_R += counts_R
        over_R += counts_R * np.nan_to_num(weighted_mean(found.distance_N, worse_RN))
        under_R += counts_R * np.nan_to_num(weighted_mean(found.distance_N, stable_RN))
    return quotient(quotient(over_R, total_R), quotient(under_R, total_R))


def _strata(found: Displacements) -> NDArray[np.int64]:
    """Strata of starts; in each, fifths of the deteriorating windows by measurement count, and the stable ones between the same counts."""
    of_start_N = np.searchsorted(_STARTS, found.start_N, side="right")
    stratum_N = of_start_N * _COUNTS
    for of_start in np.unique(of_start_N[found.is_worse_N]):
        is_within_N = of_start_N == of_start
        counts = found.measured_N[is_within_N & found.is_worse_N]
        edges = np.quantile(counts, np.linspace(0, 1, _COUNTS + 1)[1:-1])
        stratum_N[is_within_N] += np.searchsorted(edges, found.measured_N[is_within_N], side="left")
    return stratum_N.astype(np.int64)


def _mean(value_R: Floats) -> float | None:
    """Over the shuffles in which it is defined."""
    known_R = value_R[np.isfinite(value_R)]
    return float(known_R.mean()) if len(known_R) else None


def _shuffles(is_worse_N: NDArray[np.bool_], stay_N: NDArray[np.int64], draws: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """The cohorts of stays drawn in a random order, given to the windows stay by stay: those of a stay, which are alike, stay together."""
    random, stays = np.random.default_rng(seed), stay_N.max(initial=-1) + 1
    by_stay_N = np.argsort(stay_N, kind="stable")
    for _ in range(draws):
        shuffled_N = np.empty_like(is_worse_N)
        shuffled_N[by_stay_N] = is_worse_N[np.argsort(random.permutation(stays)[stay_N], kind="stable")]
        yield shuffled_N
