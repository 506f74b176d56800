"""Clock: when each training batch of a run began and ended, for benchmarks."""

import json
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override


class Clock(Callback):
    """Writes ``clock.json`` into the run folder: a pair of seconds for each batch, its begin and its end."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._began = time.perf_counter()

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.times.append((self._began, time.perf_counter()))

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        (Path(trainer.default_root_dir) / "clock.json").write_text(json.dumps(self.times), encoding="utf-8")


def read_clock(run: Path) -> list[tuple[float, float]]:
    """What `Clock` wrote, by batch."""
    times: list[tuple[float, float]] = json.loads((run / "clock.json").read_text(encoding="utf-8"))
    return times


def seconds_between(times: list[tuple[float, float]], first: int, last: int) -> float:
    """From the end of the batch before ``first`` to the end of ``last``: all that a step takes, whatever lies between two batches."""
    return times[last][1] - times[first - 1][1]
