"""Short training runs through the command line, and what they leave behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from clin_jepa.cli import main
from clin_jepa.module import ClinJEPA
from clin_jepa.regime import Regime

# A curriculum of 13 steps: three of warmup, four of joint refinement, three of alignment, none of hard sync, three of finalization.
TAU = 0.9
PHASES: dict[int, dict[str, Any]] = {
    1: {"class_path": "clin_jepa.callbacks.PredictorWarmup", "init_args": {"steps": 3}},
    2: {"class_path": "clin_jepa.callbacks.JointRefinement", "init_args": {"steps": 4, "tau": TAU}},
    3: {"class_path": "clin_jepa.callbacks.EMAAlignment", "init_args": {"steps": 3, "tau": TAU}},
    4: {"class_path": "clin_jepa.callbacks.HardSync", "init_args": {}},
    5: {"class_path": "clin_jepa.callbacks.PredictorFinalization", "init_args": {"steps": 3}},
}
STARTS = {1: 0, 2: 3, 3: 7, 4: 10, 5: 10}
TOTAL_STEPS = 13
RECORDER = {"class_path": "tests.training_runs.Recorder"}


def phase(number: int, **init_args: Any) -> dict[str, Any]:
    """The callback of a phase, as a config lists it."""
    listed = PHASES[number]
    return {"class_path": listed["class_path"], "init_args": {**listed["init_args"], **init_args}}


def curriculum(*without: int) -> list[dict[str, Any]]:
    """The five phases, or all but some."""
    return [phase(number) for number in PHASES if number not in without]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings, the second on top of the first."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def write_config(file: Path, callbacks: list[dict[str, Any]], over: Mapping[str, Any] | None = None) -> Path:
    """A config of a run small enough for a test."""
    settings = {
        "trainer": {"accelerator": "cpu", "enable_model_summary": False, "limit_val_batches": 0, "callbacks": callbacks},
        "model": {
            "predictor": {"layers": 1, "width": 32, "heads": 2, "feed_forward": 64, "dropout": 0.0, "attention_dropout": 0.0},
            "optimization": {"encoder_lr": 1.0e-4, "total_steps": TOTAL_STEPS},
        },
        "data": {"batch_size": 2, "vocab_size": 2048, "windowing": {"hours": 24}},
        "rollout_monitor": {"context": 6, "horizon": 12},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(merged(settings, over or {})), encoding="utf-8")
    return file


def clinjepa(*words: str | Path) -> int:
    """Run a command line; a parser that exits counts as its exit code."""
    try:
        return main([str(word) for word in words])
    except SystemExit as exit_:
        return int(exit_.code or 0)


@dataclass
class Run:
    """A run folder and the configs that train in it."""

    store: Path
    folder: Path

    def fit(self, callbacks: list[dict[str, Any]], *words: str | Path, over: Mapping[str, Any] | None = None) -> int:
        """Train with some callbacks; further words of the command line come last."""
        config = write_config(self.folder.parent / f"{self.folder.name}.yaml", callbacks, over)
        Recorder.steps = []
        return clinjepa("fit", "--config", config, "--data.store", self.store, "--run", self.folder, *words)

    def checkpoint_path(self, name: str = "phase5") -> Path:
        """Where a checkpoint lies."""
        return self.folder / "checkpoints" / f"{name}.ckpt"

    def checkpoint(self, name: str = "phase5") -> dict[str, Any]:
        """A checkpoint's content."""
        content: dict[str, Any] = torch.load(self.checkpoint_path(name), weights_only=True)
        return content

    def weights(self, name: str = "phase5", part: str = "") -> dict[str, Tensor]:
        """A checkpoint's weights, all or those of one part (``encoder.``, ``target.``, ``predictor.``)."""
        return {key: value for key, value in self.checkpoint(name)["state_dict"].items() if key.startswith(part)}


ARM_STEPS = 20


def fit_arm(run: Run, arm: str, folder: Path, *words: str | Path, callbacks: list[dict[str, Any]] | None = None) -> int:
    """Train an arm of the shipped ablations on top of the shipped curriculum, small; callbacks are appended to the arm's."""
    over = {"trainer": {"callbacks+": callbacks or []}, "model": {"optimization": {"total_steps": ARM_STEPS}}}
    small = write_config(folder / f"small_{arm}.yaml", [], over)
    settings = yaml.safe_load(small.read_text(encoding="utf-8"))
    del settings["trainer"]["callbacks"]
    small.write_text(yaml.safe_dump(settings), encoding="utf-8")
    configs = [word for name in ("curriculum.yaml", f"ablations/{arm}.yaml", small) for word in ("--config", name)]
    Recorder.steps = []
    return clinjepa("fit", *configs, "--data.store", run.store, "--run", run.folder, *words)


def phases_finished(run: Run) -> str:
    """Numbers of the phases of which a checkpoint is there."""
    return "".join(sorted(file.stem.removeprefix("phase") for file in (run.folder / "checkpoints").glob("phase*")))


@dataclass(frozen=True)
class Step:
    """What one micro-batch did."""

    global_step: int
    phase: int
    regime: Regime
    before: dict[str, dict[str, Tensor]]
    after: dict[str, dict[str, Tensor]]
    samples: tuple[int, ...]

    def moved(self, part: str) -> bool:
        """Whether a weight of the encoder, the target or the predictor changed."""
        return differs(self.before[part], self.after[part])


class Recorder(Callback):
    """Keeps what each training step did; listed behind the phases, it sees their changes."""

    steps: ClassVar[list[Step]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        assert isinstance(pl_module, ClinJEPA)
        self._before, self._phase, self._regime = _weights(pl_module), pl_module.position.number, pl_module.regime

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        assert isinstance(pl_module, ClinJEPA)
        samples = tuple((batch.stay_id_B * 1000 + batch.hour_BT[:, 0]).tolist())
        Recorder.steps.append(Step(trainer.global_step, self._phase, self._regime, self._before, _weights(pl_module), samples))


class GradientLog(Callback):
    """Keeps, of each optimizer step, its phase, and which parameters have a gradient other than zero."""

    steps: ClassVar[list[tuple[int, frozenset[str]]]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        assert isinstance(pl_module, ClinJEPA)
        named = pl_module.named_parameters()
        reached = frozenset(name for name, p in named if p.grad is not None and bool(p.grad.count_nonzero()))
        GradientLog.steps.append((pl_module.position.number, reached))


class InterruptAt(Callback):
    """Interrupts the run, as control-C does, in the middle of the batch after an optimizer step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


def _weights(module: ClinJEPA) -> dict[str, dict[str, Tensor]]:
    parts = {
        "encoder": module.encoder.online_parameters(),
        "target": module.target.parameters_by_name(),
        "predictor": dict(module.predictor.named_parameters()),
    }
    return {part: {name: p.detach().clone() for name, p in parameters.items()} for part, parameters in parts.items()}


def differs(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors of the same names differ in any bit."""
    assert one.keys() == other.keys()
    return any(not torch.equal(value, other[name]) for name, value in one.items())


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Paths at which two nested structures differ; tensors are compared bit by bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [path]
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = [f"{path}.{key}" for key in one.keys() ^ other.keys()]
        return keys + [found for key in one.keys() & other.keys() for found in differences(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [found for k, (a, b) in enumerate(zip(one, other, strict=True)) for found in differences(a, b, f"{path}[{k}]")]
    return [] if one == other else [path]
