"""The yardstick of training: every text of every window encoded with padding, a full copy as target, rollouts recomputed."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from benchmarks.plain.padded_encoder import PaddedEncoder, texts_of_windows
from benchmarks.plain.rollout import recomputed_rollouts_of_a_step
from clin_jepa.batch import TrajectoryBatch
from clin_jepa.module import ClinJEPA
from clin_jepa.objective import hours_from, rollout_loss, rollout_starts, rollout_steps, teacher_forced_loss
from clin_jepa.regime import Regime


class PlainTraining:
    """Training steps on copies of a module's weights.

    Args:
        module: A built module, trained in full.
        tau: Share of the target that stays at each step.
    """

    def __init__(self, module: ClinJEPA, tau: float = 0.996) -> None:
        self.encoder = PaddedEncoder(module.encoder.causal_lm.config, module.encoder.causal_lm.state_dict())
        self.target = copy.deepcopy(self.encoder).requires_grad_(False)
        self.predictor = copy.deepcopy(module.predictor)
        self.tau, self.horizon = tau, module.horizon
        self.optimizer = AdamW([*self.encoder.parameters(), *self.predictor.parameters()], lr=1e-6)

    def step(self, batch: TrajectoryBatch, regime: Regime) -> float:
        """One optimizer step; returns the loss."""
        texts = texts_of_windows(batch)
        with torch.set_grad_enabled(regime.train_encoder):
            static_BD, state_BTD, action_BTD = _by_hour(self.encoder(texts), batch)
        target_BTD = state_BTD.detach()
        if regime.target == "ema":
            with torch.no_grad():
                target_BTD = nn.utils.rnn.pad_sequence(self.target(texts[1::3]).split(batch.n_hours.tolist()), batch_first=True)
        start_B = rollout_starts(batch.n_hours, self.horizon, torch.full((batch.n_windows,), 0.5))
        steps_B = rollout_steps(batch.n_hours, self.horizon)
        if regime.rollout == "chained":
            pred_BTD, rolled_BRD = recomputed_rollouts_of_a_step(self.predictor, static_BD, state_BTD, action_BTD, start_B, self.horizon)
        else:
            pred_BTD = self.predictor(static_BD, state_BTD, action_BTD)
            rolled_BRD = hours_from(pred_BTD, start_B, self.horizon)
        wanted_BRD = hours_from(target_BTD, start_B + 1, self.horizon)
        loss = teacher_forced_loss(pred_BTD, target_BTD, batch.mask_BT) + rollout_loss(rolled_BRD, wanted_BRD, steps_B)
        self.optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_([*self.encoder.parameters(), *self.predictor.parameters()], 1.0)
        self.optimizer.step()
        if regime.target == "ema":
            with torch.no_grad():
                for target, online in zip(self.target.parameters(), self.encoder.parameters(), strict=True):
                    target.lerp_(online, 1 - self.tau)
        return float(loss.detach())


def _by_hour(latent_ND: Tensor, batch: TrajectoryBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Latents of `texts_of_windows` by window and hour: static ``[B, D]``, states and actions ``[B, T, D]``."""
    hours = batch.n_hours.tolist()
    pieces = latent_ND.split([count for n in hours for count in (1, n, n)])
    state_BTD, action_BTD = (nn.utils.rnn.pad_sequence(pieces[first::3], batch_first=True) for first in (1, 2))
    return torch.cat(pieces[0::3]), state_BTD, action_BTD
