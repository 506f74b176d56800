"""Training runs of several processes, as a user starts them, and what they leave behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from tests.training_runs import Run, merged, write_config

REPOSITORY = Path(__file__).parent.parent

# 65 optimizer steps that cross every edge of the curriculum.
TAU = 0.9
STEPS = {1: 15, 2: 20, 3: 15, 5: 15}
TOTAL_STEPS = sum(STEPS.values())
CALLBACKS: list[dict[str, Any]] = [
    {"class_path": "clin_jepa.callbacks.PredictorWarmup", "init_args": {"steps": STEPS[1]}},
    {"class_path": "clin_jepa.callbacks.JointRefinement", "init_args": {"steps": STEPS[2], "tau": TAU}},
    {"class_path": "clin_jepa.callbacks.EMAAlignment", "init_args": {"steps": STEPS[3], "tau": TAU}},
    {"class_path": "clin_jepa.callbacks.HardSync"},
    {"class_path": "clin_jepa.callbacks.PredictorFinalization", "init_args": {"steps": STEPS[5]}},
    {"class_path": "tests.distributed_runs.SampleLog"},
]
# The same edges in 20 steps, where only the mechanism is in question.
FEW_STEPS = {1: 4, 2: 8, 3: 4, 5: 4}
FEW_CALLBACKS: list[dict[str, Any]] = [
    {**callback, "init_args": {**callback["init_args"], "steps": steps}} if "steps" in callback.get("init_args", {}) else callback
    for callback, steps in zip(CALLBACKS, [FEW_STEPS[1], FEW_STEPS[2], FEW_STEPS[3], 0, FEW_STEPS[5], 0], strict=True)
]
FEW: dict[str, Any] = {"model": {"optimization": {"total_steps": sum(FEW_STEPS.values())}}, "trainer": {"val_check_interval": 10}}
# Windows of one optimizer step, however many processes share them.
WINDOWS_PER_STEP = 4
SETTINGS: dict[str, Any] = {
    "trainer": {"limit_val_batches": 2, "val_check_interval": 20, "enable_progress_bar": False},
    "model": {
        # Texts of one step fill several packs, not as many on every process.
        "encoder": {"tokens_per_pack": 512},
        "predictor": {"layers": 2},
        # Some gradients, such as those of attention's key biases, are rounding and nothing else; at Adam's usual eps they make full steps.
        "optimization": {"predictor_lr": 5.0e-4, "eps": 1.0e-4, "total_steps": TOTAL_STEPS},
    },
}


class Blinded(Callback):
    """Lets one process, the first, see nothing but zeros where the collapse monitor looks."""

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        if trainer.global_rank == 0 and pl_module.position.number == 2:
            outputs["latents"].state_BTD = outputs["latents"].state_BTD * 0


class SampleLog(Callback):
    """Writes which windows each process trained on: ``samples/<rank>.jsonl``, a line a micro-batch."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        file = Path(trainer.default_root_dir) / "samples" / f"{trainer.global_rank}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        windows = (batch.stay_id_B * 1000 + batch.hour_BT[:, 0]).tolist()
        with file.open("a") as stream:
            stream.write(json.dumps({"step": trainer.global_step, "windows": windows}) + "\n")


@dataclass(frozen=True)
class Layout:
    """How the windows of a step are spread.

    Args:
        strategy: As for ``--trainer.strategy``; None is a single process.
        processes: How many.
        accumulate: Micro-batches of a step.
    """

    strategy: str | None
    processes: int = 1
    accumulate: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        trainer: dict[str, Any] = {"devices": self.processes, "accumulate_grad_batches": self.accumulate}
        if self.strategy:
            trainer["strategy"] = self.strategy
        trainer["val_check_interval"] = 20 * self.accumulate
        return {"trainer": trainer, "data": {"batch_size": WINDOWS_PER_STEP // self.processes // self.accumulate}}


ONE = Layout(None)


def fit(
    run: Run, layout: Layout, *words: str | Path, over: Mapping[str, Any] | None = None, callbacks: list[dict[str, Any]] | None = None
) -> subprocess.CompletedProcess[str]:
    """Train as a command line of its own, which starts the further processes.

    Args:
        run: Where.
        layout: How many processes.
        words: Further words of the command line.
        over: Settings on top.
        callbacks: Instead of `CALLBACKS`.
    """
    settings = merged(merged(SETTINGS, layout.settings), over or {})
    config = write_config(run.folder.parent / f"{run.folder.name}.yaml", callbacks or CALLBACKS, settings)
    return command("fit", "--config", config, "--data.store", run.store, "--run", run.folder, *words)


def command(*words: str | Path, environment: Mapping[str, str] | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run a clinjepa command line with all processes that it starts; a hanging one is ended with them."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), **(environment or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "clin_jepa.cli", *map(str, words)],
        cwd=REPOSITORY,
        env=variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise AssertionError(f"the command hangs: {output[-3000:]}") from None
    return subprocess.CompletedProcess(words, process.returncode, output)


def samples(run: Run, layout: Layout) -> list[list[int]]:
    """Windows of each optimizer step, in the order of the stream."""
    files = [run.folder / "samples" / f"{rank}.jsonl" for rank in range(layout.processes)]
    micro_batches = zip(*([json.loads(line) for line in file.read_text().splitlines()] for file in files), strict=True)
    steps: dict[int, list[int]] = {}
    for parts in micro_batches:
        (step,) = {part["step"] for part in parts}
        steps.setdefault(step, []).extend(window for part in parts for window in part["windows"])
    return [steps[step] for step in sorted(steps)]


def largest_difference(one: Run, other: Run, name: str) -> dict[str, float]:
    """Largest absolute difference of any weight of encoder, target and predictor, and of the optimizer's state, in two checkpoints."""
    first, second = one.checkpoint(name), other.checkpoint(name)
    found: dict[str, float] = {}
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for key, value in first["state_dict"].items():
        part = "target" if key.startswith("target.") or ".target." in key else key.split(".")[0]
        found[part] = max(found.get(part, 0.0), float((value.double() - second["state_dict"][key].double()).abs().max()))
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (first, second)]
    assert states[0].keys() == states[1].keys()
    pairs = [(value, states[1][number][name]) for number, values in states[0].items() for name, value in values.items()]
    found["optimizer"] = max((float((value.double() - twin.double()).abs().max()) for value, twin in pairs), default=0.0)
    return found
