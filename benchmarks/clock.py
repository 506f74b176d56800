"""Clock: when each training batch of a run began and ended, for benchmarks."""

import json
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from benchmarks.resident_memory import Peak
from clin_jepa.module import ClinJEPA


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


class Watch(Callback):
    """Writes ``watch.json`` into the run folder: seconds and the most private memory of each phase, validations and saving included."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self._since = 0.0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin."""
        self._since = time.perf_counter()
        self._peak = Peak()
        self._peak.__enter__()

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """What lies between two batches belongs to the phase of the batch before."""
        self._note(str(self._phase) if batch_idx else None)
        assert isinstance(pl_module, ClinJEPA)
        self._phase = pl_module.position.number

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it all."""
        self._note(str(self._phase))
        self._peak.__exit__()
        (Path(trainer.default_root_dir) / "watch.json").write_text(json.dumps(self.found), encoding="utf-8")

    def _note(self, phase: str | None) -> None:
        now = time.perf_counter()
        if phase is not None:
            found = self.found.setdefault(phase, {"seconds": 0.0, "peak_bytes": 0.0})
            found["seconds"] += now - self._since
            found["peak_bytes"] = max(found["peak_bytes"], self._peak.most)
        self._since = now

    @staticmethod
    def read(run: Path) -> dict[str, dict[str, float]]:
        """What was written, by the number of the phase."""
        found: dict[str, dict[str, float]] = json.loads((run / "watch.json").read_text(encoding="utf-8"))
        return found
