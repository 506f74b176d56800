"""RolloutMonitor: at every validation, how the forecast error grows with the horizon, on one fixed set of windows."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA

_HORIZONS = (1, 6, 12, 24, 48)


class RolloutMonitor(Callback):
    """Logs ``rollout/l1_h*``, ``rollout/mase_h*`` (against copying the last context state forward) and ``rollout/drift_percent_h*``.

    Every validation window of at least ``context + horizon`` hours takes part at every horizon, so that no figure mixes survivors. Where
    no window is that long, nothing is logged, and a warning says so once.

    Args:
        context: True hours before the forecast.
        horizon: Hours of the forecast.

    Raises:
        InputError: If either is below 1.
    """

    def __init__(self, context: int = 24, horizon: int = 48) -> None:
        if min(context, horizon) < 1:
            raise InputError(f"the rollout monitor needs context and horizon of at least 1, not {context} and {horizon}")
        self.context, self.horizon = context, horizon
        self._model: list[Tensor] = []
        self._copy: list[Tensor] = []
        self._longest = 0
        self._has_warned = False

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._model, self._copy, self._longest = [], [], 0

    @override
    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrajectoryBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._longest = max(self._longest, int(batch.n_hours.max()))
        long_enough_B = batch.n_hours >= self.context + self.horizon
        if not isinstance(pl_module, ClinJEPA) or not bool(long_enough_B.any()):
            return
        latents = outputs["latents"]
        context, end = self.context, self.context + self.horizon
        state_BTD, action_BTD = latents.state_BTD[long_enough_B], latents.action_BTD[long_enough_B]
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            pred_BHD = pl_module.predictor.rollout(latents.static_BD[long_enough_B], state_BTD[:, :context], action_BTD[:, : end - 1])
        true_BHD = state_BTD[:, context:end]
        self._model.append((pred_BHD - true_BHD).abs().mean(dim=-1).cpu())
        self._copy.append((state_BTD[:, context - 1 : context] - true_BHD).abs().mean(dim=-1).cpu())

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        if not self._model:
            self._warn_once()
            return
        error_H, copy_H = torch.cat(self._model).mean(dim=0), torch.cat(self._copy).mean(dim=0)
        for h in sorted({h for h in _HORIZONS if h < self.horizon} | {self.horizon}):
            pl_module.log(f"rollout/l1_h{h}", error_H[h - 1])
            pl_module.log(f"rollout/mase_h{h}", error_H[h - 1] / copy_H[h - 1].clamp(min=1e-12))
            pl_module.log(f"rollout/drift_percent_h{h}", 100 * (error_H[h - 1] / error_H[0].clamp(min=1e-12) - 1))

    def _warn_once(self) -> None:
        if not self._has_warned:
            rank_zero_warn(
                f"no rollout/* figures: no validation window has the {self.context} h of context and {self.horizon} h of horizon, the "
                f"longest has {self._longest} h: lower --rollout_monitor.context or --rollout_monitor.horizon"
            )
        self._has_warned = True
