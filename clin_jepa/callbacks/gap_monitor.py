"""GapMonitor: at every validation, how far the target encoder is from the online one."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.module import ClinJEPA


class GapMonitor(Callback):
    """Logs ``collapse/gap_parameters`` and ``collapse/gap_latents``: norm of the difference over norm of the online ones.

    Latents are those of the validation states. Where the parameters are equal their gap is 0 and nothing is encoded; otherwise each
    validation encodes its states once more, with the target. Online latents from a bfloat16 cache add its rounding, about 0.2 %.
    """

    def __init__(self) -> None:
        self._parameters = 0.0
        self._squares: Tensor | None = None

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if isinstance(pl_module, ClinJEPA):
            self._parameters = pl_module.target.gap()
            self._squares = torch.zeros(2, dtype=torch.double, device=pl_module.device)

    @override
    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrajectoryBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if self._squares is None or not isinstance(pl_module, ClinJEPA) or self._parameters == 0.0:
            return
        with trainer.precision_plugin.val_step_context():
            target_BTD = pl_module.encoded_by_target(batch)
        online_ND = outputs["latents"].state_BTD[batch.mask_BT].double()
        difference_ND = online_ND - target_BTD[batch.mask_BT].double()
        self._squares += torch.stack([difference_ND.square().sum(), online_ND.square().sum()])

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or self._squares is None:
            return
        squares: Any = trainer.strategy.reduce(self._squares, reduce_op="sum")
        difference, norm = squares.tolist()
        pl_module.log("collapse/gap_parameters", self._parameters)
        pl_module.log("collapse/gap_latents", (difference / norm) ** 0.5 if norm else 0.0)
