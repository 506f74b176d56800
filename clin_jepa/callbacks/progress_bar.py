"""CurriculumProgressBar: one bar over the whole curriculum, naming the phase."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from typing_extensions import override

from clin_jepa.module import ClinJEPA


class CurriculumProgressBar(TQDMProgressBar):
    """Counts micro-batches of all phases, since training draws an endless stream and has no epochs of its own.

    Args:
        refresh_rate: Batches between two updates.
    """

    def __init__(self, refresh_rate: int = 10) -> None:
        super().__init__(refresh_rate=refresh_rate, leave=True)

    @property
    def total_train_batches(self) -> int | float:
        """Micro-batches from step 0 to the end of the last phase."""
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches if self.trainer.max_steps > 0 else float("inf")

    @override
    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        super().on_train_epoch_start(trainer)
        done = trainer.global_step * trainer.accumulate_grad_batches
        self.train_progress_bar.initial = self.train_progress_bar.n = done
        self._name_phase(trainer)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._name_phase(trainer)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    @override
    def init_validation_tqdm(self) -> Tqdm:
        bar = super().init_validation_tqdm()
        bar.leave = False
        return bar

    @override
    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics

    def _name_phase(self, trainer: Trainer) -> None:
        if isinstance(trainer.lightning_module, ClinJEPA):
            position = trainer.lightning_module.position
            self.train_progress_bar.set_description(f"phase {position.number} {position.name}" if position.number >= 0 else "train")
