"""The training objective: teacher forcing plus a short rollout, both L1 in latent space. Pure functions of tensors."""

# Shapes: B windows, T hours, D latent features.

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["mean", "sum"]


def masked_l1(pred_BTD: Tensor, target_BTD: Tensor, valid_BT: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Absolute error, mean over valid hours, and over features the mean or the sum.

    Args:
        pred_BTD: Predictions, ``[B, T, D]``.
        target_BTD: Targets, ``[B, T, D]``, no gradient flows into them.
        valid_BT: True where both exist, ``[B, T]`` bool.
        reduction: ``mean`` over features (as V-JEPA 2-AC, arXiv 2506.09985), or ``sum``.

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
    error_BTD = (pred_BTD - target_BTD.detach()).abs()
    error_BT = error_BTD.mean(dim=-1) if reduction == "mean" else error_BTD.sum(dim=-1)
    return error_BT[valid_BT].mean()


def teacher_forced_loss(pred_BTD: Tensor, target_BTD: Tensor, mask_BT: Tensor, reduction: Reduction = "mean") -> Tensor:
    """L1 error of the next-hour latent over every hour that has a next one.

    Args:
        pred_BTD: At hour k the prediction of hour k+1, ``[B, T, D]``.
        target_BTD: Target latents, at hour k that of hour k, ``[B, T, D]``.
        mask_BT: True at real hours, ``[B, T]`` bool.
        reduction: Over features.

    Returns:
        Scalar.

    Raises:
        ValueError: If no window has two hours.
    """
    return masked_l1(pred_BTD[:, :-1], target_BTD[:, 1:], mask_BT[:, 1:], reduction)


def draw_rollout_starts(n_hours_B: Tensor, horizon: int) -> Tensor:
    """A random last true hour in each window, such that ``horizon`` more hours follow.

    Args:
        n_hours_B: Real hours of each window, ``[B]`` int64.
        horizon: Steps of the rollout.

    Returns:
        Index of the start hour, ``[B]`` int64; -1 where the window is too short. Drawn from torch's CPU generator, so that it is the
        same on every device.
    """
    room_B = (n_hours_B - horizon).cpu()
    start_B = (torch.rand(len(room_B)) * room_B.clamp(min=1)).long()
    return torch.where(room_B > 0, start_B, -1).to(n_hours_B.device)


def rollout_loss(
    predict: Callable[[Tensor], Tensor],
    pred_BTD: Tensor,
    state_BTD: Tensor,
    target_BTD: Tensor,
    start_B: Tensor,
    horizon: int,
    chained: bool,
    reduction: Reduction = "mean",
) -> Tensor:
    """L1 error of a rollout from one start in each window, mean over its steps.

    Args:
        predict: The predictor as a function of the states alone: ``[B, T, D]`` to ``[B, T, D]``.
        pred_BTD: Its predictions on the true states, at hour k that of hour k+1.
        state_BTD: Input latents of the states.
        target_BTD: Target latents, at hour k that of hour k.
        start_B: Last true hour of each window, -1 where the window takes no part, ``[B]`` int64.
        horizon: Steps; step j predicts hour start + j.
        chained: Whether step j consumes the prediction of step j-1 (gradient flows through it) instead of the true state.
        reduction: Over features.

    Returns:
        Scalar; 0 (with a graph) where every window is too short.
    """
    taking_part_B = start_B >= 0
    if not bool(taking_part_B.any()):
        return pred_BTD.sum() * 0.0
    row_B = torch.arange(len(start_B), device=start_B.device)[taking_part_B]
    hour_B = start_B[taking_part_B]
    losses: list[Tensor] = []
    for _ in range(horizon):
        step_BD, wanted_BD = pred_BTD[row_B, hour_B], target_BTD[row_B, hour_B + 1].detach()
        error_BD = (step_BD - wanted_BD).abs()
        losses.append(error_BD.mean() if reduction == "mean" else error_BD.sum(dim=-1).mean())
        hour_B = hour_B + 1
        if chained and len(losses) < horizon:
            state_BTD = state_BTD.index_put((row_B, hour_B), step_BD.to(state_BTD.dtype))
            pred_BTD = predict(state_BTD)
    return torch.stack(losses).mean()
