"""LastCheckpoint: the file that a run goes on from, and its orderly end when a signal asks for it."""

import os
import signal
import subprocess
import sys
import threading
from copy import deepcopy
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.checkpoint import read_checkpoint
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA

LAST_CHECKPOINT = "last.ckpt"

_JOB_KEY = "slurm_job"
# What the user is told, in ascending order of what prevails: a SIGTERM that follows SLURM's SIGUSR1 must not cost the requeue.
_VERBS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGUSR1: "stopped by SIGUSR1"}
_RANKS = {int(number): rank for rank, number in enumerate(_VERBS, start=1)}


class StoppedBySignal(SystemExit):
    """A run that a signal has ended; the exit code is 128 + the signal's number, as a shell has it.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class StopSignals:
    """Notes that SIGTERM, SIGUSR1 or SIGINT (control-C) came; nothing else happens while a signal is handled.

    A control-C on top of an earlier signal raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.received = 0

    def install(self) -> None:
        """Take the signals over; whoever had them before has to restore them. Only a main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in _VERBS:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received:
            raise KeyboardInterrupt
        self.received = max(self.received, number, key=lambda one: _RANKS.get(one, 0))


class LastCheckpoint(Checkpoint):
    """Keeps ``checkpoints/last.ckpt``, and ends a run at the next batch when a signal asks for it.

    The file is written when training starts, every ``every`` optimizer steps, at the end of each phase, and on a signal. It always holds
    the state right after an optimizer step and all that follows it: the move of the target, the end of a phase and, where one is due, the
    validation. A step that was under way, whole or in part, is done again on resume, and so is a validation. Nothing is written when
    training fails: between the optimizer's step and the target's there is no state to go on from.

    On SIGTERM, SIGUSR1 or control-C the processes agree at the end of the batch, save, and raise `StoppedBySignal`. On SIGUSR1 within a
    SLURM job, the job is put back into the queue.

    Args:
        every: Optimizer steps between two writes.

    Raises:
        InputError: If ``every`` is not positive.
    """

    def __init__(self, every: int) -> None:
        if every < 1:
            raise InputError(f"--checkpoint_every {every} must be at least 1")
        self.every = every
        self._signals = StopSignals()
        self._loops: dict[str, Any] | None = None
        self._due = self._saving = self._saved = False

    # ------------------------------------------------------------------ when

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning's own handlers of SIGTERM and, under SLURM, SIGUSR1 act in the middle of a step, one even saves there. It has taken
        # the signals just before and restores all of them when the fit ends, however it ends.
        if trainer.received_sigterm:
            self._signals.received = signal.SIGTERM
        self._signals.install()
        self._keep_loops(trainer)
        if self._last_validation_is_missing(trainer):
            self._due = True
            self._validate(trainer)
        elif not self._is_continued(trainer):
            # Replaces what another run, or a later part of this one, left in the folder.
            self._save(trainer)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrajectoryBatch, batch_idx: int
    ) -> None:
        # Lightning calls checkpoint callbacks last, so the phases have had their turn.
        assert isinstance(pl_module, ClinJEPA)
        if pl_module.completes_step:
            self._keep_loops(trainer)
            self._due = trainer.global_step % self.every == 0 or pl_module.position.finished
        if self._due and not _validates_now(trainer):
            self._save(trainer)
        self._stop_if_asked(trainer)

    @override
    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: TrajectoryBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        assert isinstance(pl_module, ClinJEPA)
        if not pl_module.completes_step:
            # The monitors are about to move on, the weights are not: from here to the step's end there is nothing to go on from.
            self._loops = None
        # All processes validate the same batches, so all of them ask here.
        self._stop_if_asked(trainer)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._loops is None:
            return
        self._keep_loops(trainer)
        if self._due:
            self._save(trainer)
        self._stop_if_asked(trainer)

    # ------------------------------------------------------------------ saving

    def _keep_loops(self, trainer: Trainer) -> None:
        """Remember Lightning's counters as they are now; what is saved before the next optimizer step starts from them."""
        self._loops, self._saved = deepcopy(trainer.fit_loop.state_dict()), False

    def _save(self, trainer: Trainer) -> None:
        self._due, self._saving = False, True
        try:
            trainer.save_checkpoint(_last_checkpoint(trainer), weights_only=False)
        finally:
            self._saving = False
        self._saved = True

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._saving and self._loops is not None:
            checkpoint["loops"]["fit_loop"] = self._loops
        if job := os.environ.get("SLURM_JOB_ID"):
            checkpoint[_JOB_KEY] = job

    # ------------------------------------------------------------------ resuming

    def _is_continued(self, trainer: Trainer) -> bool:
        return trainer.ckpt_path is not None and Path(trainer.ckpt_path).resolve() == _last_checkpoint(trainer).resolve()

    def _last_validation_is_missing(self, trainer: Trainer) -> bool:
        """Whether the checkpoint was written between an optimizer step and the validation that follows it."""
        return trainer.fit_loop.epoch_loop.restarted_on_train_batch_end and _validates_now(trainer)

    def _validate(self, trainer: Trainer) -> None:
        """As the training loop does it after a batch; afterwards that loop takes the checkpoint for one written behind the validation."""
        loop, connector = trainer.fit_loop.epoch_loop, trainer._logger_connector
        loop.batch_progress.increment_completed()
        loop.update_restart_stage()
        first = connector._first_loop_iter
        trainer.validating = True
        loop.val_loop.restarting = False
        loop.val_loop.run()
        trainer.training = True
        connector._first_loop_iter = first

    # ------------------------------------------------------------------ stopping

    def _stop_if_asked(self, trainer: Trainer) -> None:
        """Save and leave if any process was asked to, unless the last step is done and only the end is left."""
        if self._loops is None or trainer.global_step >= trainer.max_steps >= 0:
            return
        number = self._signals.received
        if trainer.world_size > 1:
            asked = torch.tensor(_RANKS.get(number, 0), device=trainer.strategy.root_device)
            number = [0, *map(int, _VERBS)][int(trainer.strategy.reduce(asked, reduce_op="max"))]
        if not number:
            return
        if not self._saved:
            self._save(trainer)
        if trainer.is_global_zero:
            what = f"{_VERBS[signal.Signals(number)]} at step {trainer.global_step}"
            print(f"clinjepa fit: {what}; continue with --ckpt_path {_last_checkpoint(trainer)}", file=sys.stderr)
            if number == signal.SIGUSR1:
                _requeue_job()
        raise StoppedBySignal(number)


def _last_checkpoint(trainer: Trainer) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints" / LAST_CHECKPOINT


def _validates_now(trainer: Trainer) -> bool:
    """Whether a validation follows the batch that is just over."""
    loop = trainer.fit_loop
    return loop._data_fetcher is not None and loop.epoch_loop._should_check_val_fx(loop._data_fetcher)


# ---------------------------------------------------------------------- SLURM


def is_requeued_job() -> bool:
    """Whether SLURM starts this very job not for the first time."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0


def checkpoint_of_requeued_job(run: Path) -> Path | None:
    """The ``last.ckpt`` that this SLURM job left when it ran before.

    Args:
        run: The run folder.

    Returns:
        Its path; None if the job starts for the first time or left none.

    Raises:
        InputError: If there is one that cannot be read.
    """
    last = run / "checkpoints" / LAST_CHECKPOINT
    if not is_requeued_job() or not last.is_file():
        return None
    return last if read_checkpoint(last).get(_JOB_KEY) == os.environ.get("SLURM_JOB_ID") else None


def _requeue_job() -> None:
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID')}" if array else os.environ.get("SLURM_JOB_ID")
    if not job:
        return
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        print(f"clinjepa fit: SLURM job {job} was not requeued ({reason}): submit it again", file=sys.stderr)
    else:
        print(f"clinjepa fit: requeued SLURM job {job}", file=sys.stderr)
