"""The training objective: teacher forcing plus a short rollout, both L1 in latent space. Pure functions of tensors."""

# Shapes: B windows, T hours, R steps of a rollout, D latent features.

from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["mean", "sum"]


def masked_l1(pred_BTD: Tensor, target_BTD: Tensor, valid_BT: Tensor, reduction: Reduction = "mean", total: int | None = None) -> Tensor:
    """Absolute error, mean over valid hours, and over features the mean or the sum.

    Args:
        pred_BTD: Predictions, ``[B, T, D]``.
        target_BTD: Targets, ``[B, T, D]``; detach them where no gradient is to flow into them.
        valid_BT: True where both exist, ``[B, T]`` bool.
        reduction: ``mean`` over features (as V-JEPA 2-AC, arXiv 2506.09985), or ``sum``.
        total: Hours that the sum is divided by; by default the valid ones here. Where a batch is one part of a larger one, the valid hours
            of the larger one: the parts then add up to its mean.

    Returns:
        Scalar.

    Raises:
        ValueError: If no hour is valid.

    >>> pred, target = torch.zeros(1, 2, 2), torch.tensor([[[1.0, 3.0], [9.0, 9.0]]])
    >>> masked_l1(pred, target, torch.tensor([[True, False]])).item()
    2.0
    """
    if not bool(valid_BT.any()):
        raise ValueError("no hour of the batch has a next hour")
    error_BT = _over_features((pred_BTD - target_BTD).abs(), reduction)
    return error_BT[valid_BT].mean() if total is None else error_BT[valid_BT].sum() / total


def _over_features(error_D: Tensor, reduction: Reduction) -> Tensor:
    return error_D.mean(dim=-1) if reduction == "mean" else error_D.sum(dim=-1)


def teacher_forced_loss(
    pred_BTD: Tensor, target_BTD: Tensor, mask_BT: Tensor, reduction: Reduction = "mean", total: int | None = None
) -> Tensor:
    """L1 error of the next-hour latent over every hour that has a next one.

    Args:
        pred_BTD: At hour k the prediction of hour k+1, ``[B, T, D]``.
        target_BTD: Target latents, at hour k that of hour k, ``[B, T, D]``.
        mask_BT: True at real hours, ``[B, T]`` bool.
        reduction: Over features.
        total: As in `masked_l1`.

    Returns:
        Scalar.

    Raises:
        ValueError: If no window has two hours.
    """
    return masked_l1(pred_BTD[:, :-1], target_BTD[:, 1:], mask_BT[:, 1:], reduction, total)


def rollout_steps(n_hours_B: Tensor, horizon: int) -> Tensor:
    """Steps of the rollout of each window: the horizon, or in a shorter window all hours after its first.

    >>> rollout_steps(torch.tensor([9, 4, 2, 1]), horizon=3).tolist()
    [3, 3, 1, 0]
    """
    return (n_hours_B - 1).clamp(max=horizon)


def longest_rollout(hours: int, horizon: int) -> int:
    """Steps that a batch whose longest window has so many hours is rolled out; at least one.

    >>> [longest_rollout(hours, horizon=24) for hours in (48, 10, 1)]
    [24, 9, 1]
    """
    return max(min(horizon, hours - 1), 1)


def rollout_starts(n_hours_B: Tensor, horizon: int, uniform_B: Tensor) -> Tensor:
    """The last true hour of a rollout in each window, such that all of its `rollout_steps` follow.

    Args:
        n_hours_B: Real hours of each window, ``[B]`` int64.
        horizon: Steps of the rollout.
        uniform_B: Random numbers in [0, 1), ``[B]``, which choose among the hours that leave room.

    Returns:
        Index of the start hour, ``[B]`` int64.

    >>> rollout_starts(torch.tensor([4, 4, 2]), horizon=2, uniform_B=torch.tensor([0.0, 0.99, 0.5])).tolist()
    [0, 1, 0]
    """
    room_B = n_hours_B - rollout_steps(n_hours_B, horizon)
    return (uniform_B.to(n_hours_B.device) * room_B).long()


def hours_from(x_BTD: Tensor, first_B: Tensor, hours: int) -> Tensor:
    """A run of hours of each window, from an hour of its own.

    Args:
        x_BTD: Values by hour, ``[B, T, D]``.
        first_B: First hour of each window's run, ``[B]`` int64, not negative.
        hours: Length of the runs, R; hours beyond the last one repeat it.

    Returns:
        ``[B, R, D]``.

    >>> hours_from(torch.arange(8.0).reshape(2, 4, 1), torch.tensor([0, 2]), 3).squeeze(-1).tolist()
    [[0.0, 1.0, 2.0], [6.0, 7.0, 7.0]]
    """
    hour_BR = first_B[:, None] + torch.arange(hours, device=first_B.device)
    return x_BTD[torch.arange(len(first_B), device=first_B.device)[:, None], hour_BR.clamp(max=x_BTD.shape[1] - 1)]


def rollout_loss(
    rolled_BRD: Tensor, target_BRD: Tensor, steps_B: Tensor, reduction: Reduction = "mean", total: int | None = None
) -> Tensor:
    """L1 error of a rollout from one start in each window, mean over the steps of all rollouts.

    Args:
        rolled_BRD: Predictions of the R hours after the start, ``[B, R, D]``: chained, each made from the one before, or teacher-forced.
        target_BRD: Target latents of these hours, ``[B, R, D]``.
        steps_B: Steps of each rollout, ``[B]`` int64; what is beyond them does not count.
        reduction: Over features.
        total: Steps that the sum is divided by; by default those here. As in `masked_l1`.

    Returns:
        Scalar; 0 (with a graph) where no window has two hours.
    """
    divisor = max(int(steps_B.sum()) if total is None else total, 1)
    error_BR = _over_features((rolled_BRD - target_BRD).abs(), reduction)
    counts_BR = torch.arange(error_BR.shape[1], device=steps_B.device) < steps_B[:, None]
    return torch.where(counts_BR, error_BR, 0.0).sum().div(divisor)
