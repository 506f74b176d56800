"""CollapseMonitor: watches, at every validation, whether the latents still tell patients and hours apart."""

from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.callbacks.predictor_warmup import PredictorWarmup
from clin_jepa.evaluation.collapse import CollapseThresholds, collapse_measures, collapse_verdict
from clin_jepa.module import ClinJEPA


class CollapseMonitor(Callback):
    """Logs collapse figures of the validation latents as ``collapse/*`` and compares them with those at the end of phase 1.

    Padding never counts, and an hour that lies in two windows counts once. ``collapse/l1_over_mad`` is the one-hour error (``val/loss``, a
    mean over windows) in units of the latents' mean absolute deviation: unlike the error, it does not fall when latents contract.

    Args:
        thresholds: When a figure counts as collapse, relative to the reference.
        action: ``warn``, or ``stop`` the run after the validation that found it.
    """

    def __init__(self, thresholds: CollapseThresholds | None = None, action: Literal["warn", "stop"] = "warn") -> None:
        self.thresholds = thresholds or CollapseThresholds()
        self.action = action
        self.reference: dict[str, float] | None = None
        self.history: list[dict[str, Any]] = []
        self._rows: dict[tuple[int, int], Tensor] = {}
        self._l1: list[Tensor] = []

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"reference": self.reference, "history": self.history}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.reference, self.history = state_dict["reference"], state_dict["history"]

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._rows, self._l1 = {}, []

    @override
    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrajectoryBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._l1.append(outputs["l1_B"].detach().float().cpu())
        latent_ND = outputs["latents"].state_BTD[batch.mask_BT].detach().float().cpu()
        stay_N = batch.stay_id_B[:, None].expand_as(batch.mask_BT)[batch.mask_BT].tolist()
        hour_N = batch.hour_BT[batch.mask_BT].tolist()
        self._rows.update(zip(zip(stay_N, hour_N, strict=True), latent_ND, strict=True))

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not self._rows or not isinstance(pl_module, ClinJEPA):
            return
        stay_N = torch.tensor([stay for stay, _ in self._rows])
        measures = collapse_measures(torch.stack(list(self._rows.values())), stay_N)
        self._rows = {}
        position = pl_module.position
        self.history.append({"step": trainer.global_step, "phase": f"{position.number} {position.name}", "measures": measures})
        pl_module.log_dict({f"collapse/{name}": value for name, value in measures.items()})
        pl_module.log("collapse/l1_over_mad", float(torch.cat(self._l1).mean()) / max(measures["mean_absolute_deviation"], 1e-12))
        if position.number <= PredictorWarmup.number or self.reference is None:
            self.reference = measures
        findings = collapse_verdict(measures, self.reference, self.thresholds)
        pl_module.log("collapse/findings", float(len(findings)))
        if findings:
            rank_zero_warn(f"collapse at step {trainer.global_step}, phase {position.number} {position.name}: {'; '.join(findings)}")
            trainer.should_stop = trainer.should_stop or self.action == "stop"
