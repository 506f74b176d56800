"""Callbacks that end their own process, or disturb it, at a chosen moment."""

import os
import signal
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer

Hook = Literal["train_batch_start", "backward", "before_optimizer_step", "train_batch_end", "validation_batch_start", "validation_end"]
Moment = Literal["half written", "before the rename", "after the rename"]


class SignalAt(Callback):
    """Sends a signal to its own process, once, in a hook of the batch that begins or ends at an optimizer step.

    Listed before the phases it strikes before they act: at ``train_batch_end``, between the optimizer's step and the target's.

    Args:
        name: The signal, such as ``SIGKILL``; ``error`` raises a RuntimeError instead.
        step: Optimizer steps done so far.
        hook: Where in the batch.
        rank: The one process that strikes; by default each.
    """

    def __init__(self, name: str, step: int, hook: Hook, rank: int | None = None) -> None:
        self.name, self.step, self.hook, self.rank = name, step, hook, rank
        self._struck = False

    def _reached(self, hook: Hook, trainer: Trainer) -> None:
        if self._struck or hook != self.hook or trainer.global_step != self.step or self.rank not in (None, trainer.global_rank):
            return
        self._struck = True
        if self.name == "error":
            raise RuntimeError(f"struck at step {self.step}")
        os.kill(os.getpid(), signal.Signals[self.name])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._reached("train_batch_start", trainer)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reached("backward", trainer)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self._reached("before_optimizer_step", trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._reached("train_batch_end", trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx == 1:
            self._reached("validation_batch_start", trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reached("validation_end", trainer)


class KillInSave(Callback):
    """Kills its own process while a checkpoint is being written.

    Args:
        file: Name of the checkpoint, such as ``last.ckpt``.
        step: Optimizer steps done so far.
        moment: With half of the file written, with all of it, or right after it has got its name.
    """

    def __init__(self, file: str, step: int, moment: Moment) -> None:
        self.file, self.step, self.moment = file, step, moment

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        sync, partial = os.fsync, f".{self.file}.partial"
        seen: list[str] = []

        def fsync(number: int) -> None:
            sync(number)
            if trainer.global_step != self.step:
                return
            path = Path(f"/proc/self/fd/{number}").readlink()
            is_folder_after = path.is_dir() and seen[-1:] == [partial]
            seen.append(path.name)
            if self.moment == "after the rename" and is_folder_after:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.moment != "after the rename" and path.name == partial:
                if self.moment == "half written":
                    os.truncate(number, path.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        os.fsync = fsync


class StepFile(Callback):
    """Keeps the number of optimizer steps done in a file, for whoever watches from outside.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.path.write_text(str(trainer.global_step))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.path.write_text(str(trainer.global_step))
