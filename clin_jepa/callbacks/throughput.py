"""Throughput: what the device does - tokens and patient hours a second, useful operations, padding, cache hits, memory."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.data.latent_cache import LatentCache
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.device_peaks import peak_operations
from clin_jepa.planning.operations import step_operations
from clin_jepa.planning.process_memory import most_resident_bytes


class Throughput(Callback):
    """Logs ``device/*`` every ``log_every_n_steps`` optimizer steps, as means since the last time.

    Tokens and hours are those of all processes together, memory is the first one's.

    - ``tokens_per_s``: of the unique texts of the batches, whether they were encoded or came from the cache.
    - ``step_ms``: of an optimizer step, however many micro-batches it takes.
    - ``useful_token_share``: positions that hold a token among those that an encoder computed, of the newest batch; not where all came
      from the cache.
    - ``unique_text_share``: texts that a batch encodes among those that its windows name.
    - ``cache_hit_share``: texts that the latent cache had.
    - ``mfu``: operations of the model, recomputation not counted, over what the device could do; on devices whose peak is known.
    """

    def __init__(self) -> None:
        self._peak: float | None = None
        self._cache: LatentCache | None = None
        self._asked = self._missed = 0
        self._reset()

    def _reset(self) -> None:
        self._since = time.perf_counter()
        self._tokens = self._references = self._unique = self._steps = self._operations = 0
        self._hours: Tensor | int = 0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if pl_module.device.type == "cuda" and isinstance(pl_module, ClinJEPA):
            half = str(trainer.precision).startswith("bf16") or pl_module.encoder_config.dtype == "bfloat16"
            name = torch.cuda.get_device_name(pl_module.device)
            self._peak = peak_operations(name, torch.bfloat16 if half else torch.float32)
        self._reset()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: TrajectoryBatch, batch_idx: int
    ) -> None:
        if not isinstance(pl_module, ClinJEPA):
            return
        self._tokens += len(batch.token_N)
        self._hours = self._hours + batch.mask_BT.sum()  # on the device, which is not waited for
        self._references += batch.n_windows
        self._unique += len(batch.text_id_U)
        self._steps += pl_module.completes_step
        if self._peak is not None:
            self._operations += step_operations(pl_module, batch)
        if not pl_module.logs_now:
            return
        seconds = time.perf_counter() - self._since
        counts = [self._tokens, int(self._hours), self._unique, self._references, self._operations]
        # Operations of many GPUs are more than an int64 holds.
        summed: Any = trainer.strategy.reduce(torch.tensor(counts, dtype=torch.float64, device=pl_module.device), reduce_op="sum")
        tokens, hours, unique, static, operations = summed.tolist()
        memory = torch.cuda.max_memory_allocated() if pl_module.device.type == "cuda" else most_resident_bytes()
        figures = {
            "tokens_per_s": tokens / seconds,
            "patient_hours_per_s": hours / seconds,
            "step_ms": 1000 * seconds / max(self._steps, 1),
            "unique_text_share": unique / (2 * hours + static),
            "peak_memory_gb": memory / 2**30,
        }
        if pl_module.encodes_each_batch:
            figures["useful_token_share"] = pl_module.encoder.useful_share(batch.length_U)
        elif pl_module.regime.target == "ema":
            states = torch.unique(batch.state_BT[batch.mask_BT]).cpu()
            figures["useful_token_share"] = pl_module.encoder.useful_share(batch.length_U[states])
        if (share := self._cache_hit_share(pl_module.cache_in_use)) is not None:
            figures["cache_hit_share"] = share
        if self._peak is not None:
            figures["mfu"] = operations / seconds / self._peak / trainer.world_size
        pl_module.log_scalars({f"device/{name}": value for name, value in figures.items()})
        self._reset()

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reset()  # validation time is no training time
        if isinstance(pl_module, ClinJEPA):
            self._cache_hit_share(pl_module.cache_in_use)

    def _cache_hit_share(self, cache: LatentCache | None) -> float | None:
        """Of the texts that a cache was asked for since the last time; a cache opened since then counts from its opening."""
        if cache is not self._cache:
            self._cache, self._asked, self._missed = cache, 0, 0
        if cache is None or cache.asked_texts == self._asked:
            return None
        share = 1 - (cache.missed_texts - self._missed) / (cache.asked_texts - self._asked)
        self._asked, self._missed = cache.asked_texts, cache.missed_texts
        return share
