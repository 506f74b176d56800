"""Phase: the base of the curriculum's callbacks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from typing_extensions import override

from clin_jepa.callbacks.phase_chain import PhaseChain, PhaseSpan, PlannedPhase
from clin_jepa.checkpoint import CHECKPOINT_KEY
from clin_jepa.module import ClinJEPA, PhasePosition
from clin_jepa.regime import Regime

# Number of the curriculum's last phase.
_LAST_NUMBER = 5


class Phase(PlannedPhase):
    """A phase of the curriculum: enters once, sets the regime, ends after its optimizer steps and leaves a checkpoint.

    Args:
        steps: Optimizer steps of this phase; a float is a share of total_steps.
        start: Optimizer step, or share of total_steps, at which it starts; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.

    Raises:
        InputError: If a number is negative, or a share above 1.
    """

    def __init__(self, steps: int | float, start: int | float | None = None, follows: int | None = None) -> None:
        super().__init__(steps, start, follows)
        self._span: PhaseSpan | None = None

    def regime(self, module: ClinJEPA) -> Regime:
        """The regime of this phase on a given module; by default the planned one."""
        return self.planned_regime()

    def enter(self, module: ClinJEPA) -> None:
        """What happens once, at the beginning; by default nothing beyond setting the regime."""

    def leave(self, module: ClinJEPA) -> None:
        """What happens once, at the end; by default nothing."""

    def has_reached_its_aim(self, module: ClinJEPA) -> bool:
        """Whether this phase may end before its last step; by default never. Asked after each optimizer step, on every process."""
        return False

    def is_active(self, module: ClinJEPA) -> bool:
        """Whether this phase has been entered and has not ended."""
        return module.position.number == self.number and not module.position.finished

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        chain = PhaseChain.of_trainer(trainer)
        self._span = chain.span_of(self)
        if self is chain.spans[0].phase:
            chain.attach(trainer, _clin_jepa(pl_module))

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        chain = PhaseChain.of_trainer(trainer)
        if self._span is not None and self is chain.spans[0].phase:
            position = PhasePosition(**checkpoint[CHECKPOINT_KEY]["position"])
            chain.check_start(int(checkpoint["global_step"]), position)
            chain.limit(trainer, position)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.ckpt_path is None and self is PhaseChain.of_trainer(trainer).spans[0].phase:
            PhaseChain.of_trainer(trainer).check_start(0, PhasePosition())

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = _clin_jepa(pl_module)
        if self.is_active(module):  # resumed within this phase
            module.regime = self.regime(module)
            self._remove_checkpoints(trainer)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        module = _clin_jepa(pl_module)
        if self.span.steps == 0:
            self._finish(trainer, module)
        else:
            self._begin(trainer, module)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._finish(trainer, _clin_jepa(pl_module))

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A chain without steps, such as hard sync alone, never enters the training loop.
        self._finish(trainer, _clin_jepa(pl_module))

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The validation at this phase's edge belongs to it, and so do the figures that the monitors keep of it.
        position = _clin_jepa(pl_module).position
        ended_here = self._span is not None and trainer.global_step + position.skipped == self._span.end
        if ended_here and position.finished and position.number == self.number and not trainer.sanity_checking:
            self._save(trainer)

    @property
    def span(self) -> PhaseSpan:
        """The steps of this phase in the run's chain, known from `setup` on."""
        assert self._span is not None
        return self._span

    def _begin(self, trainer: Trainer, module: ClinJEPA) -> None:
        """Enter at the first batch, so that a validation at the edge still belongs to the phase before."""
        position = module.position
        if position.number < self.number and position.finished and trainer.global_step + position.skipped >= self.span.start:
            self.enter(module)
            module.regime = self.regime(module)
            module.position = replace(position, number=self.number, name=self.name, finished=False)
            self._remove_checkpoints(trainer)

    def _finish(self, trainer: Trainer, module: ClinJEPA) -> None:
        """End after the last step; a phase without steps begins and ends right behind the phase before."""
        if self.span.steps == 0:
            self._begin(trainer, module)
        if not self.is_active(module):
            return
        left = self.span.end - trainer.global_step - module.position.skipped
        if left <= 0 or (module.completes_step and self.has_reached_its_aim(module)):
            self.leave(module)
            skipped = module.position.skipped + max(left, 0)
            module.position = replace(module.position, finished=True, skipped=skipped)
            if left > 0:
                rank_zero_info(f"phase {self.number} {self.name} ends at step {trainer.global_step}, {left} steps early: {self.ends}")
                PhaseChain.of_trainer(trainer).limit(trainer, module.position)
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(_checkpoint_path(trainer, self.number), weights_only=False)

    def _remove_checkpoints(self, trainer: Trainer) -> None:
        """Where an earlier phase of a finished run is trained again, what followed from its old weights goes."""
        if trainer.is_global_zero:
            for number in range(self.number, _LAST_NUMBER + 1):
                _checkpoint_path(trainer, number).unlink(missing_ok=True)


def _checkpoint_path(trainer: Trainer, number: int) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints" / f"phase{number}.ckpt"


def _clin_jepa(module: LightningModule) -> ClinJEPA:
    if not isinstance(module, ClinJEPA):
        raise TypeError(f"the phases of the curriculum train a ClinJEPA, not a {type(module).__name__}")
    return module
