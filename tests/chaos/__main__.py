"""Kill training runs at random and at bad moments, resume them each time, and compare them with an undisturbed one, bit for bit.

``python -m tests.chaos --kills 20 --store STORE``; exit code 1 if anything differs.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.comparison import different_files, exact_state
from tests.training_runs import phase, write_config

# Edges at steps 16, 36, 48 (alignment, then hard sync) and 64.
PHASES = [phase(1, steps=16), phase(2, steps=20), phase(3, steps=12), phase(4), phase(5, steps=16)]
EDGES = (16, 36, 48, 64)
EVERY = 5
# About what imports and the store take before the first step.
START_UP_S = 12.0
SETTINGS: dict[str, Any] = {
    "trainer": {"limit_val_batches": 2, "val_check_interval": 4, "enable_progress_bar": False},
    "model": {"predictor": {"dropout": 0.15, "attention_dropout": 0.1}, "optimization": {"total_steps": EDGES[-1]}},
}


def killed_at(step: int, hook: str) -> dict[str, Any]:
    """A callback that kills at a step."""
    return {"class_path": "tests.chaos.strikes.SignalAt", "init_args": {"name": "SIGKILL", "step": step, "hook": hook}}


def killed_in_save(file: str, step: int, moment: str) -> dict[str, Any]:
    """A callback that kills while a file is written."""
    return {"class_path": "tests.chaos.strikes.KillInSave", "init_args": {"file": file, "step": step, "moment": moment}}


# One callback each, listed before the phases: an end of a batch lies between the optimizer's step and all that follows it.
TARGETS = {
    **{f"1 before the edge at {edge}": killed_at(edge - 1, "train_batch_end") for edge in EDGES},
    **{f"at the edge at {edge}, before the phase ends": killed_at(edge, "train_batch_end") for edge in EDGES},
    **{f"1 behind the edge at {edge}": killed_at(edge + 1, "train_batch_end") for edge in EDGES[:-1]},
    **{f"validation at the edge at {edge}": killed_at(edge, "validation_batch_start") for edge in EDGES},
    "last.ckpt half written": killed_in_save("last.ckpt", 25, "half written"),
    "last.ckpt before its rename": killed_in_save("last.ckpt", 30, "before the rename"),
    "last.ckpt after its rename": killed_in_save("last.ckpt", 35, "after the rename"),
    "phase2.ckpt half written": killed_in_save("phase2.ckpt", 36, "half written"),
    "phase3.ckpt before last.ckpt": killed_in_save("phase3.ckpt", 48, "after the rename"),
    "phase4.ckpt before its rename": killed_in_save("phase4.ckpt", 48, "before the rename"),
}  # fmt: skip


@dataclass
class Trial:
    """A run under attack.

    Args:
        folder: Its run folder.
        store: The trajectory store.
        accumulate: Batches of an optimizer step.
        rows: A kill each: when, at which step, and from which one the run went on.
    """

    folder: Path
    store: Path
    accumulate: int = 1
    rows: list[list[str]] = field(default_factory=list)

    @property
    def _step_file(self) -> Path:
        return self.folder.with_suffix(".step")

    @property
    def _last(self) -> Path:
        return self.folder / "checkpoints" / "last.ckpt"

    def start(self, strike: list[dict[str, Any]] | None = None) -> "subprocess.Popen[bytes]":
        """Start the command line, or go on where the last one was killed."""
        watch = {"class_path": "tests.chaos.strikes.StepFile", "init_args": {"path": str(self._step_file)}}
        over = {**SETTINGS, "trainer": {**SETTINGS["trainer"], "accumulate_grad_batches": self.accumulate}}
        config = write_config(self.folder.with_suffix(".yaml"), [watch, *(strike or []), *PHASES], over)
        self._step_file.unlink(missing_ok=True)
        words = ["fit", "--config", config, "--data.store", self.store, "--run", self.folder, "--checkpoint_every", EVERY]
        words += ["--ckpt_path", "last"] if self._last.is_file() else ["--overwrite", "true"] if self.folder.exists() else []
        with self.folder.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "clin_jepa.cli", *map(str, words)],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    @property
    def step(self) -> str:
        """The optimizer step that the process had come to; nothing before training."""
        return self._step_file.read_text() if self._step_file.is_file() else "-"

    @property
    def saved(self) -> str:
        """The optimizer step that a resume goes on from."""
        return str(exact_state(self._last)["global_step"]) if self._last.is_file() else "start"

    def record(self, moment: str) -> None:
        """Note a kill; the run has to be ended for the result."""
        self.rows.append([moment, self.step, self.saved])

    def finish(self) -> None:
        """Run to the end.

        Raises:
            RuntimeError: If the command line fails.
        """
        if (code := self.start().wait()) != 0:
            raise RuntimeError(f"exit code {code}, see {self.folder.with_suffix('.log')}")


def killed_at_random(trial: Trial, kills: int, random_: random.Random, seconds: float) -> int:
    """Kill a run at random until it ends or has been killed so often; return how often."""
    for done in range(kills):
        if not killed_once(trial, trial.start(), random_, seconds):
            return done
        trial.record("random")
    trial.finish()
    return kills


def killed_once(trial: Trial, process: "subprocess.Popen[bytes]", random_: random.Random, seconds: float) -> bool:
    """Kill a process at random, mostly while it trains, sometimes while it starts; return whether it had not ended by itself."""
    if random_.random() < 0.8:
        _wait_until(lambda: trial.step != "-" or process.poll() is not None)
        delay = random_.uniform(0.0, seconds / 4)
    else:
        delay = random_.uniform(0.0, START_UP_S)
    _wait_until(lambda: process.poll() is not None, delay)
    if process.poll() is None:
        process.kill()
    if process.wait() not in (0, -signal.SIGKILL):
        raise RuntimeError(f"exit code {process.returncode}, see {trial.folder.with_suffix('.log')}")
    return process.returncode != 0


def killed_on_purpose(trial: Trial, moment: str) -> None:
    """Kill a run at one of the `TARGETS` and let it end."""
    if (code := trial.start([TARGETS[moment]]).wait()) != -signal.SIGKILL:
        raise RuntimeError(f"{moment}: exit code {code} instead of a kill, see {trial.folder.with_suffix('.log')}")
    trial.record(moment)
    trial.finish()


def attacked(folder: Path, store: Path, kills: int, seed: int, accumulate: int) -> Iterator[tuple[Trial, list[str]]]:
    """Attack runs one after the other; each with what differs from an undisturbed one."""
    undisturbed = Trial(folder / "undisturbed", store, accumulate)
    undisturbed.finish()  # prepares the store
    shutil.rmtree(undisturbed.folder)
    process = undisturbed.start()
    _wait_until(lambda: undisturbed.step != "-")
    begin = time.monotonic()
    if process.wait() != 0:
        raise RuntimeError(f"exit code {process.returncode}, see {undisturbed.folder.with_suffix('.log')}")
    seconds, random_, left, number = time.monotonic() - begin, random.Random(seed), kills, 0
    while left > 0:
        trial = Trial(folder / f"random{number}", store, accumulate)
        left, number = left - killed_at_random(trial, left, random_, seconds), number + 1
        yield trial, different_files(trial.folder, undisturbed.folder)
    for number, moment in enumerate(TARGETS):
        trial = Trial(folder / f"target{number}", store, accumulate)
        killed_on_purpose(trial, moment)
        yield trial, different_files(trial.folder, undisturbed.folder)


def _wait_until(true: Callable[[], bool], seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)


def main() -> int:
    """Parse the command line, attack, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="random kills; the chosen moments come on top")
    parser.add_argument("--store", type=Path, required=True, help="a small trajectory store, such as an extracted synthetic hospital")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--accumulate", type=int, default=1, help="batches of an optimizer step")
    given = parser.parse_args()
    table = Table(title="SIGKILL, then resume", title_justify="left")
    for column in ("killed", "at step", "resumed from", "result"):
        table.add_column(column)
    equal = True
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        for trial, differing in attacked(Path(folder), given.store, given.kills, given.seed, given.accumulate):
            result = f"differs: {', '.join(differing[:3])}" if differing else "equal"
            equal = equal and not differing
            for row in trial.rows:
                table.add_row(*row, result)
            print(trial.folder.name, len(trial.rows), result, flush=True)
    Console(width=140).print(table)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
