"""Throughput: what the device does - tokens and patient hours a second, useful operations, padding, cache hits, memory."""

import time
from typing import Any

import torch
from lightning.fabric.utilities.throughput import get_available_flops
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.operations import step_operations
from clin_jepa.planning.process_memory import most_resident_bytes


class Throughput(Callback):
    """Logs ``device/*`` every ``log_every_n_steps`` optimizer steps, as means since the last time.

    Tokens and hours are those of all processes together, memory is the first one's.

    - ``tokens_per_s``: of the unique texts of the batches, whether they were encoded or came from the cache.
    - ``useful_token_share``: positions that hold a token among those that the encoder computed; not where all came from the cache.
    - ``unique_text_share``: texts that a batch encodes among those that its windows name.
    - ``cache_hit_share``: texts that the latent cache had.
    - ``mfu``: operations of the model, recomputation not counted, over what the device could do; on devices whose peak Lightning knows.
    """

    def __init__(self) -> None:
        self._peak: float | None = None
        self._reset()

    def _reset(self) -> None:
        self._since = time.perf_counter()
        self._tokens = self._hours = self._references = self._unique = self._batches = self._operations = 0
        self._asked = self._missed = 0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._peak = peak_operations(pl_module.device, str(trainer.precision))
        self._reset()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrajectoryBatch, batch_idx: int
    ) -> None:
        if not isinstance(pl_module, ClinJEPA):
            return
        hours = int(batch.mask_BT.sum())
        self._tokens += len(batch.token_N)
        self._hours += hours
        self._references += 2 * hours + batch.n_windows
        self._unique += len(batch.text_id_U)
        self._batches += 1
        if self._peak is not None:
            self._operations += step_operations(pl_module, batch)
        if not pl_module.logs_now:
            return
        seconds = time.perf_counter() - self._since
        counts = torch.tensor([self._tokens, self._hours, self._unique, self._references, self._operations], device=pl_module.device)
        summed: Any = trainer.strategy.reduce(counts, reduce_op="sum")
        tokens, hours, unique, references, operations = summed.tolist()
        memory = torch.cuda.max_memory_allocated() if pl_module.device.type == "cuda" else most_resident_bytes()
        figures = {
            "tokens_per_s": tokens / seconds,
            "patient_hours_per_s": hours / seconds,
            "step_ms": 1000 * seconds / self._batches,
            "unique_text_share": unique / references,
            "peak_memory_gb": memory / 2**30,
        }
        cache = pl_module.cache_in_use
        if pl_module.encodes_each_batch:
            figures["useful_token_share"] = pl_module.encoder.useful_share(batch.length_U)
        elif cache is not None and cache.asked_texts > self._asked:
            figures["cache_hit_share"] = 1 - (cache.missed_texts - self._missed) / (cache.asked_texts - self._asked)
        if self._peak is not None:
            figures["mfu"] = operations / seconds / self._peak / trainer.world_size
        pl_module.log_scalars({f"device/{name}": value for name, value in figures.items()})
        self._reset()
        if cache is not None:
            self._asked, self._missed = cache.asked_texts, cache.missed_texts

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reset()  # validation time is no training time
        if isinstance(pl_module, ClinJEPA) and (cache := pl_module.cache_in_use) is not None:
            self._asked, self._missed = cache.asked_texts, cache.missed_texts


def peak_operations(device: torch.device, precision: str) -> float | None:
    """Operations a second that the maker of a device states for the trainer's precision; None where that is not known, as of a CPU.

    >>> peak_operations(torch.device("cpu"), "32-true") is None
    True
    """
    if device.type == "cpu":
        return None
    return get_available_flops(device, torch.bfloat16 if precision.startswith("bf16") else torch.float32)
