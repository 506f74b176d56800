"""Throughput: what the device does - tokens and patient hours a second, memory, cache fill."""

import resource
import sys
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.module import ClinJEPA

# ru_maxrss is in kilobytes on Linux, in bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Throughput(Callback):
    """Logs ``device/*`` every ``log_every_n_steps`` optimizer steps, as means since the last time.

    Tokens and hours are those of all processes together, memory is the first one's.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._since = time.perf_counter()
        self._tokens = self._hours = self._references = self._unique = self._batches = 0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reset()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrajectoryBatch, batch_idx: int
    ) -> None:
        hours = int(batch.mask_BT.sum())
        self._tokens += len(batch.token_N)
        self._hours += hours
        self._references += 2 * hours + batch.n_windows
        self._unique += len(batch.text_id_U)
        self._batches += 1
        if not isinstance(pl_module, ClinJEPA) or not pl_module.logs_now:
            return
        seconds = time.perf_counter() - self._since
        counts = torch.tensor([self._tokens, self._hours, self._unique, self._references], device=pl_module.device)
        summed: Any = trainer.strategy.reduce(counts, reduce_op="sum")
        tokens, hours, unique, references = summed.tolist()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
        figures = {
            "tokens_per_s": tokens / seconds,
            "patient_hours_per_s": hours / seconds,
            "step_ms": 1000 * seconds / self._batches,
            "unique_text_share": unique / references,
            "peak_memory_gb": (torch.cuda.max_memory_allocated() if pl_module.device.type == "cuda" else peak) / 2**30,
        }
        pl_module.log_scalars({f"device/{name}": value for name, value in figures.items()})
        self._reset()

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reset()  # validation time is no training time
