"""CollapseMonitor: watches, at every validation, whether the latents still tell patients and hours apart."""

from itertools import islice
from math import ceil
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.callbacks.next_token_tuning import NextTokenTuning
from clin_jepa.callbacks.predictor_warmup import PredictorWarmup
from clin_jepa.errors import InputError
from clin_jepa.evaluation.collapse import CollapseThresholds, collapse_measures, collapse_verdict
from clin_jepa.module import ClinJEPA


class StoppedByCollapse(SystemExit):
    """A run that its collapse monitor has stopped; the exit code is 3."""

    def __init__(self) -> None:
        super().__init__(3)


class CollapseMonitor(Callback):
    """Logs collapse figures of the validation latents as ``collapse/*`` and compares them with those at the end of phase 1.

    Where no validation falls into phase 1, and where there is no phase 1, the reference is measured before the first step of the encoder
    towards predicted latents. Padding never counts, and an hour that lies in two windows counts once. ``collapse/l1_over_mad`` is the
    one-hour error (``val/loss``, a mean over windows) in units of the latents' mean absolute deviation: unlike the error, it does not fall
    when latents contract. The first process measures, and all go by what it found.

    Args:
        thresholds: When a figure counts as collapse, relative to the reference.
        action: ``warn``, or ``stop`` the run after the validation that found it; such a run leaves ``last.ckpt`` and exit code 3.
        most_hours: Hours whose latents are kept for a measurement, the first ones of the validation: 16,384 of 4096 features are 270 MB.

    Raises:
        InputError: If fewer than two hours are to be kept.
    """

    def __init__(
        self, thresholds: CollapseThresholds | None = None, action: Literal["warn", "stop"] = "warn", most_hours: int = 16_384
    ) -> None:
        if most_hours < 2:
            raise InputError(f"--collapse_monitor.most_hours {most_hours} must be at least 2")
        self.thresholds = thresholds or CollapseThresholds()
        self.action, self.most_hours = action, most_hours
        self.has_stopped = False
        self.reference: dict[str, float] | None = None
        self.reference_phase: int | None = None
        self.history: list[dict[str, Any]] = []
        self._rows: dict[tuple[int, int], Tensor] = {}
        self._l1: list[Tensor] = []

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"reference": self.reference, "reference_phase": self.reference_phase, "history": self.history}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.reference, self.history = state_dict["reference"], state_dict["history"]
        self.reference_phase = state_dict["reference_phase"]

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: TrajectoryBatch, batch_idx: int) -> None:
        # The phases come first in the list of callbacks: the regime of this batch is set, its step is not taken.
        if not isinstance(pl_module, ClinJEPA) or not pl_module.regime.train_encoder or pl_module.regime.objective != "jepa":
            return
        if self.reference is not None and self.reference_phase != NextTokenTuning.number:
            return
        if (measures := self._measure_apart(trainer, pl_module)) is not None:
            self.reference, self.reference_phase = measures, PredictorWarmup.number

    def _measure_apart(self, trainer: Trainer, module: ClinJEPA) -> dict[str, float] | None:
        """The figures of the windows that a validation measures, outside of one; None where the run has no validation of its own data."""
        limit, data = trainer.limit_val_batches, getattr(trainer, "datamodule", None)
        if data is None:
            return None
        loader = data.val_dataloader()
        rows: dict[tuple[int, int], Tensor] = {}
        with torch.no_grad():
            for batch in islice(loader, limit if isinstance(limit, int) else ceil(limit * len(loader))):
                moved = batch.to(module.device)
                with trainer.precision_plugin.forward_context():
                    state_BTD = module.arrange(module.online_latents(moved), moved).state_BTD  # by all processes, in step
                if trainer.is_global_zero:
                    self._keep(rows, moved, state_BTD)
        return self._measured(trainer, rows) if limit else None

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._rows, self._l1 = {}, []

    @override
    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrajectoryBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._l1.append(outputs["l1_B"].detach().float().cpu())
        if trainer.is_global_zero:
            self._keep(self._rows, batch, outputs["latents"].state_BTD)

    def _keep(self, rows: dict[tuple[int, int], Tensor], batch: TrajectoryBatch, state_BTD: Tensor) -> None:
        """Add a batch's hours, by stay and hour, as far as there is room."""
        latent_ND = state_BTD[batch.mask_BT].detach().float().cpu()
        stay_N = batch.stay_id_B[:, None].expand_as(batch.mask_BT)[batch.mask_BT].tolist()
        hour_N = batch.hour_BT[batch.mask_BT].tolist()
        for place, latent_D in zip(zip(stay_N, hour_N, strict=True), latent_ND, strict=True):
            if place in rows or len(rows) < self.most_hours:
                rows[place] = latent_D

    def _measured(self, trainer: Trainer, rows: dict[tuple[int, int], Tensor]) -> dict[str, float]:
        """The first process's figures, on every process."""
        stay_N = torch.tensor([stay for stay, _ in rows])
        measures = collapse_measures(torch.stack(list(rows.values())), stay_N) if trainer.is_global_zero else None
        shared: Any = trainer.strategy.broadcast(measures or {})
        return dict(shared)

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not self._l1 or not isinstance(pl_module, ClinJEPA):
            return
        measures = self._measured(trainer, self._rows)
        self._rows = {}
        position = pl_module.position
        self.history.append({"step": trainer.global_step, "phase": f"{position.number} {position.name}", "measures": measures})
        pl_module.log_dict({f"collapse/{name}": value for name, value in measures.items()})
        pl_module.log("collapse/l1_over_mad", float(torch.cat(self._l1).mean()) / max(measures["mean_absolute_deviation"], 1e-12))
        if position.number <= PredictorWarmup.number or self.reference is None:
            self.reference, self.reference_phase = measures, position.number
        findings = collapse_verdict(measures, self.reference, self.thresholds)
        pl_module.log("collapse/findings", float(len(findings)))
        if findings:
            rank_zero_warn(f"collapse at step {trainer.global_step}, phase {position.number} {position.name}: {'; '.join(findings)}")
            if self.action == "stop" and trainer.state.fn == TrainerFn.FITTING:
                self.has_stopped = trainer.should_stop = True
