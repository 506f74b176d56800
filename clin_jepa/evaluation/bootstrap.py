"""Bootstrap by stay: the windows of a stay are no independent evidence, so whole stays are drawn."""

# Shapes: N windows, H hours, S stays, R draws.

from collections.abc import Callable, Mapping
from math import isnan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def drawn_times(count: int, draws: int, seed: int) -> Tensor:
    """How often each of some stays or subjects is in each bootstrap sample, ``[R, count]`` double; every row adds up to ``count``.

    >>> drawn_times(4, draws=100, seed=0).sum(dim=1).unique().tolist()
    [4.0]
    """
    drawn_RS = torch.randint(count, (draws, count), generator=torch.Generator().manual_seed(seed))
    return torch.zeros(draws, count, dtype=torch.double).scatter_add_(1, drawn_RS, torch.ones_like(drawn_RS, dtype=torch.double))


def resampled_means(curves: Mapping[str, Tensor], stay_N: Tensor, draws: int = 500, seed: int = 0) -> dict[str, Tensor]:
    """Mean curves of bootstrap samples; each draws as many stays as there are, with replacement, with all their windows.

    All curves share the draws, so that figures of two models in one draw are paired.

    Args:
        curves: A value for each window and hour by name, ``[N, H]`` each.
        stay_N: Stay of each window, ``[N]`` int, in any order.
        draws: Number of samples, R.
        seed: Seed of the draws.

    Returns:
        The mean over the windows of each sample by name, ``[R, H]`` double.

    >>> curves = {"a": torch.tensor([[1.0], [1.0], [4.0]])}
    >>> sorted(set(resampled_means(curves, torch.tensor([5, 5, 9]))["a"].flatten().tolist()))
    [1.0, 2.0, 4.0]
    """
    stays, row_N, windows_S = torch.unique(stay_N.cpu(), return_inverse=True, return_counts=True)
    times_RS = drawn_times(len(stays), draws, seed)
    windows_R1 = times_RS @ windows_S.double()[:, None]
    return {name: times_RS @ _sum_by_stay(curve_NH, row_N, len(stays)) / windows_R1 for name, curve_NH in curves.items()}


def interval_95(values_RH: Tensor) -> Tensor:
    """The 2.5th and 97.5th percentile over the draws in which a figure is defined, ``[H, 2]``; NaN where fewer than half of them are.

    >>> interval_95(torch.arange(101.0)[:, None]).tolist()
    [[2.5, 97.5]]
    """
    defined_RH = values_RH.isfinite()
    levels = torch.tensor([0.025, 0.975], dtype=values_RH.dtype)
    bounds_H2 = values_RH.where(defined_RH, torch.nan).nanquantile(levels, dim=0).T
    return bounds_H2.where(2 * defined_RH.sum(dim=0)[:, None] >= len(values_RH), torch.nan)


def interval(value_R: NDArray[np.float64]) -> tuple[float, float] | None:
    """`interval_95` of a single figure; None where it is undefined.

    >>> interval(np.arange(101.0))
    (2.5, 97.5)
    """
    if not len(value_R):
        return None
    low, high = interval_95(torch.from_numpy(value_R)[:, None])[0].tolist()
    return None if isnan(low) else (low, high)


def bootstrap_by_stay(
    curves: Mapping[str, Tensor],
    stay_N: Tensor,
    statistic: Callable[[Mapping[str, Tensor]], Tensor],
    draws: int = 500,
    seed: int = 0,
) -> Tensor:
    """95 % interval of a figure of mean curves, computed anew in each draw.

    Args:
        curves: A value for each window and hour by name, ``[N, H]`` each.
        stay_N: Stay of each window, ``[N]`` int.
        statistic: From mean curves by name, ``[R, H]`` each, to the figure, ``[R, H]``.
        draws: Number of samples, R.
        seed: Seed of the draws.

    Returns:
        Lower and upper bound of each hour, ``[H, 2]`` double.

    >>> curves = {"a": torch.tensor([[1.0], [2.0]]), "b": torch.tensor([[2.0], [4.0]])}
    >>> bootstrap_by_stay(curves, torch.tensor([0, 1]), lambda mean: mean["a"] / mean["b"]).tolist()
    [[0.5, 0.5]]
    """
    return interval_95(statistic(resampled_means(curves, stay_N, draws, seed)))


def _sum_by_stay(curve_NH: Tensor, row_N: Tensor, n_stays: int) -> Tensor:
    total_SH = torch.zeros(n_stays, curve_NH.shape[1], dtype=torch.double)
    return total_SH.index_add_(0, row_N, curve_NH.detach().cpu().double())
