"""The yardstick of rollouts: a pass over the whole sequence for each predicted hour."""

import torch
from torch import Tensor

from clin_jepa.predictor import LatentTrajectoryPredictor


def recomputed_rollout(model: LatentTrajectoryPredictor, static_BD: Tensor, state_BCD: Tensor, action_BKD: Tensor) -> Tensor:
    """As `LatentTrajectoryPredictor.rollout`, without keeping keys and values."""
    grown_BTD = state_BCD
    for hour in range(state_BCD.shape[1], action_BKD.shape[1] + 1):
        grown_BTD = torch.cat([grown_BTD, model(static_BD, grown_BTD, action_BKD[:, :hour])[:, -1:]], dim=1)
    return grown_BTD[:, state_BCD.shape[1] :]


def recomputed_rollouts_of_a_step(
    model: LatentTrajectoryPredictor, static_BD: Tensor, state_BTD: Tensor, action_BTD: Tensor, start_B: Tensor, horizon: int
) -> tuple[Tensor, Tensor]:
    """As `LatentTrajectoryPredictor.forward_with_rollouts`, with a pass over the whole sequence for each step."""
    row_B, last = torch.arange(len(start_B)), state_BTD.shape[1] - 1
    forced_BTD = predicted_BTD = model(static_BD, state_BTD, action_BTD)
    rolled = [forced_BTD[row_B, start_B]]
    for step in range(1, horizon):
        state_BTD = state_BTD.index_put((row_B, (start_B + step).clamp(max=last)), rolled[-1])
        predicted_BTD = model(static_BD, state_BTD, action_BTD)
        rolled.append(predicted_BTD[row_B, (start_B + step).clamp(max=last)])
    return forced_BTD, torch.stack(rolled, dim=1)
