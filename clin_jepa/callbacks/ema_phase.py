"""EMAPhase: what joint refinement and EMA alignment share, a target that follows the online encoder."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from clin_jepa.callbacks.phase import Phase
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA

# As reported for the published model, whose joint refinement has thousands of steps.
_PUBLISHED_TAU = 0.996


class EMAPhase(Phase):
    """A phase in which the target moves towards the online encoder by ``1 - tau`` of the gap after each optimizer step.

    Args:
        steps: Optimizer steps of this phase; a float is a share of total_steps.
        tau: Share of the target that stays at each step; after n steps ``tau ** n`` of a gap is left. By default 0.996, or what suits the
            phase's number of steps where that is less.
        start: Optimizer step, or share of total_steps, at which it starts; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.

    Raises:
        InputError: If tau is not in [0, 1).
    """

    def __init__(self, steps: int | float, tau: float | None = None, start: int | float | None = None, follows: int | None = None) -> None:
        super().__init__(steps, start, follows)
        if tau is not None and not 0.0 <= tau < 1.0:
            raise InputError(f"phase {self.name!r}: tau is {tau}, it must lie in [0, 1)")
        self.tau = tau
        self._updated_at = -1

    def largest_tau(self, steps: int) -> float:
        """The largest tau with which the target still follows within that many steps."""
        raise NotImplementedError

    @override
    def tau_over(self, steps: int) -> float:
        return min(_PUBLISHED_TAU, self.largest_tau(max(steps, 1))) if self.tau is None else self.tau

    @override
    def enter(self, module: ClinJEPA) -> None:
        if module.regime.target != "ema":
            module.target.copy_from_online()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._updated_at = trainer.global_step
        super().on_train_start(trainer, pl_module)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Once for each optimizer step: with gradient accumulation several batches share one.
        stepped, self._updated_at = trainer.global_step != self._updated_at, trainer.global_step
        assert isinstance(pl_module, ClinJEPA)
        if stepped and self.is_active(pl_module):
            pl_module.target.update(self.tau_over(self.span.steps))
            if pl_module.logs_now:
                pl_module.log_scalars({"phase/online_target_gap": pl_module.target.gap()})
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
