"""The simple forecasts that a world model has to beat: the last state, the mean of the hour, a straight line."""

# Shapes: N windows, C context hours, H horizon hours, D latent features, M hours valid for training, K hours of stay.

from collections.abc import Iterable

import torch
from torch import Tensor


def copy_forward(context_NCD: Tensor, horizon: int) -> Tensor:
    """The last true state, repeated.

    Args:
        context_NCD: True latents, ``[N, C, D]``.
        horizon: Hours to forecast, H.

    Returns:
        ``[N, H, D]``, a view.

    >>> copy_forward(torch.tensor([[[1.0], [4.0]]]), 3).flatten().tolist()
    [4.0, 4.0, 4.0]
    """
    return context_NCD[:, -1:].expand(-1, horizon, -1)


def linear_extrapolation(context_NCD: Tensor, horizon: int) -> Tensor:
    """A least-squares line through the context, of each feature on its own; a context of one hour is copied forward.

    Args:
        context_NCD: True latents, ``[N, C, D]``.
        horizon: Hours to forecast, H.

    Returns:
        ``[N, H, D]``.

    >>> [round(value, 4) for value in linear_extrapolation(torch.tensor([[[1.0], [2.0], [3.0]]]), 2).flatten().tolist()]
    [4.0, 5.0]
    """
    hours = context_NCD.shape[1]
    hour_C = torch.arange(hours, dtype=torch.double) - (hours - 1) / 2
    hour_H = torch.arange(hours, hours + horizon, dtype=torch.double) - (hours - 1) / 2
    slope_C = hour_C / hour_C.square().sum().clamp(min=1.0)
    weight_HC = 1.0 / hours + hour_H[:, None] * slope_C
    return torch.einsum("hc,ncd->nhd", weight_HC.to(context_NCD), context_NCD)


def mean_by_hour(parts: Iterable[tuple[Tensor, Tensor]], n_hours: int) -> tuple[Tensor, Tensor]:
    """Mean latent of each hour of stay over the training split, for `training_mean`.

    Args:
        parts: Latents of valid hours of training stays, ``[M, D]`` float32, and the hour of stay of each, ``[M]`` int, below ``n_hours``;
            some at a time, since all would take much room, each hour of a stay once.
        n_hours: Hours of the table, K.

    Returns:
        Means ``[K, D]`` float32 (0 where there is none) and counts ``[K]`` int64.

    Raises:
        ValueError: If there is no part.

    >>> parts = [(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 0])), (torch.tensor([[5.0]]), torch.tensor([1]))]
    >>> mean_KD, count_K = mean_by_hour(parts, 3)
    >>> mean_KD.flatten().tolist(), count_K.tolist()
    ([2.0, 5.0, 0.0], [2, 1, 0])
    """
    total_KD, count_K = None, torch.zeros(n_hours, dtype=torch.int64)
    for latents_MD, hour_M in parts:
        if total_KD is None:
            total_KD = torch.zeros(n_hours, latents_MD.shape[1], dtype=torch.double)
        total_KD.index_add_(0, hour_M, latents_MD.double())
        count_K += torch.bincount(hour_M, minlength=n_hours)
    if total_KD is None:
        raise ValueError("a mean of each hour needs latents of some")
    return (total_KD / count_K.clamp(min=1)[:, None]).float(), count_K


def training_mean(mean_KD: Tensor, count_K: Tensor, first_hour_N: Tensor, horizon: int, least_stays: int = 10) -> Tensor:
    """The training split's mean latent of each hour of stay; the mean over all hours where too few stays reach that far.

    A mean of a handful of stays is noise, and a noisy baseline flatters the model that is held against it.

    Args:
        mean_KD: Mean latent of each hour of stay, ``[K, D]``.
        count_K: Training stays behind each mean, ``[K]``.
        first_hour_N: Hour of stay of each window's first forecast hour, ``[N]`` int.
        horizon: Hours to forecast, H.
        least_stays: Stays below which the mean over all hours is taken instead.

    Returns:
        ``[N, H, D]``.

    Raises:
        ValueError: If no stay is behind any mean.

    >>> mean_KD, count_K = torch.tensor([[0.0], [2.0], [8.0]]), torch.tensor([20, 20, 1])
    >>> training_mean(mean_KD, count_K, torch.tensor([0, 1]), horizon=2)[..., 0].tolist()
    [[0.0, 2.0], [2.0, 1.170731782913208]]
    """
    if int(count_K.sum()) == 0:
        raise ValueError("the training mean needs at least one training stay")
    weight_K = count_K.to(mean_KD) / count_K.sum()
    overall_D = weight_K @ mean_KD
    table_KD = torch.where((count_K >= least_stays)[:, None], mean_KD, overall_D)
    table_KD = torch.cat([table_KD, overall_D[None]])
    hour_NH = first_hour_N[:, None] + torch.arange(horizon, device=first_hour_N.device)
    return table_KD[hour_NH.clamp(max=len(mean_KD))]
