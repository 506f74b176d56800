"""Phase: the base of the curriculum's callbacks, and the chain that they form."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BaseFinetuning, StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from rich.console import Console
from rich.table import Table
from typing_extensions import override

from clin_jepa.checkpoint import CHECKPOINT_KEY
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA, PhasePosition
from clin_jepa.regime import Regime

# Callbacks that freeze, average or swap weights themselves: a curriculum has one owner of each.
_RIVALS = (BaseFinetuning, StochasticWeightAveraging, WeightAveraging)

# Number of the curriculum's last phase.
_LAST_NUMBER = 5


class Phase(Callback):
    """A phase of the curriculum: enters once, sets the regime, ends after its optimizer steps and leaves a checkpoint.

    Phases listed in ``trainer.callbacks`` form a chain: each starts where the one before it ends; leaving one out ablates it. Starts and
    ends are *planned* steps: the optimizer steps taken, plus those that a phase which ended early has left out.

    Args:
        steps: Optimizer steps of this phase.
        start: Optimizer step at which it starts; by default where the phase listed before it ends, 0 for the first. A run that continues
            another run's checkpoint gives it.
        follows: Number of the phase that such a checkpoint must have finished; by default the one before this phase.

    Raises:
        InputError: If a number is negative.
    """

    number: ClassVar[int]
    name: ClassVar[str]

    def __init__(self, steps: int, start: int | None = None, follows: int | None = None) -> None:
        if steps < 0 or (start is not None and start < 0):
            raise InputError(f"phase {self.name!r}: steps ({steps}) and start ({start}) must not be negative")
        self.steps, self.start = steps, start
        self.follows = self.number - 1 if follows is None else follows
        self._span: PhaseSpan | None = None
        self._saved_at: int | None = None

    def planned_regime(self) -> Regime:
        """The regime of this phase, as far as its settings tell."""
        raise NotImplementedError

    def regime(self, module: ClinJEPA) -> Regime:
        """The regime of this phase on a given module; by default the planned one."""
        return self.planned_regime()

    def enter(self, module: ClinJEPA) -> None:
        """What happens once, at the beginning; by default nothing beyond setting the regime."""

    def leave(self, module: ClinJEPA) -> None:
        """What happens once, at the end; by default nothing."""

    @property
    def ends(self) -> str:
        """What ends this phase, for the table of the chain."""
        return "steps"

    def has_reached_its_aim(self, module: ClinJEPA) -> bool:
        """Whether this phase may end before its last step; by default never. Asked after each optimizer step, on every process."""
        return False

    def is_active(self, module: ClinJEPA) -> bool:
        """Whether this phase has been entered and has not ended."""
        return module.position.number == self.number and not module.position.finished

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        chain = PhaseChain.of_trainer(trainer)
        self._span = chain.span_of(self)
        if self is chain.spans[0].phase:
            chain.attach(trainer, _clin_jepa(pl_module))

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        chain = PhaseChain.of_trainer(trainer)
        if self._span is not None and self is chain.spans[0].phase:
            position = PhasePosition(**checkpoint[CHECKPOINT_KEY]["position"])
            chain.check_start(int(checkpoint["global_step"]), position)
            chain.limit(trainer, position)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.ckpt_path is None and self is PhaseChain.of_trainer(trainer).spans[0].phase:
            PhaseChain.of_trainer(trainer).check_start(0, PhasePosition())

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = _clin_jepa(pl_module)
        if self.is_active(module):  # resumed within this phase
            module.regime = self.regime(module)
            self._remove_checkpoints(trainer)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        module = _clin_jepa(pl_module)
        if self.steps == 0:
            self._finish(trainer, module)
        else:
            self._begin(trainer, module)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._finish(trainer, _clin_jepa(pl_module))

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A chain without steps, such as hard sync alone, never enters the training loop.
        self._finish(trainer, _clin_jepa(pl_module))

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The validation at this phase's edge belongs to it, and so do the figures that the monitors keep of it.
        if self._saved_at == trainer.global_step and _clin_jepa(pl_module).position.number == self.number:
            self._save(trainer)

    def _begin(self, trainer: Trainer, module: ClinJEPA) -> None:
        """Enter at the first batch, so that a validation at the edge still belongs to the phase before."""
        assert self._span is not None
        position = module.position
        if position.number < self.number and position.finished and trainer.global_step + position.skipped >= self._span.start:
            self.enter(module)
            module.regime = self.regime(module)
            module.position = replace(position, number=self.number, name=self.name, finished=False)
            self._remove_checkpoints(trainer)

    def _finish(self, trainer: Trainer, module: ClinJEPA) -> None:
        """End after the last step; a phase without steps begins and ends right behind the phase before."""
        assert self._span is not None
        if self.steps == 0:
            self._begin(trainer, module)
        if not self.is_active(module):
            return
        left = self._span.end - trainer.global_step - module.position.skipped
        if left <= 0 or (module.completes_step and self.has_reached_its_aim(module)):
            self.leave(module)
            skipped = module.position.skipped + max(left, 0)
            module.position = replace(module.position, finished=True, skipped=skipped)
            if left > 0:
                rank_zero_info(f"phase {self.number} {self.name} ends at step {trainer.global_step}, {left} steps early: {self.ends}")
                PhaseChain.of_trainer(trainer).limit(trainer, module.position)
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self._saved_at = trainer.global_step
        trainer.save_checkpoint(_checkpoint_path(trainer, self.number))

    def _remove_checkpoints(self, trainer: Trainer) -> None:
        """Where an earlier phase of a finished run is trained again, what followed from its old weights goes."""
        if trainer.is_global_zero:
            for number in range(self.number, _LAST_NUMBER + 1):
                _checkpoint_path(trainer, number).unlink(missing_ok=True)


@dataclass(frozen=True)
class PhaseSpan:
    """Planned optimizer steps of a phase in its chain: from ``start`` up to, without, ``end``."""

    phase: Phase
    start: int
    end: int


@dataclass(frozen=True)
class PhaseChain:
    """The phases of a run, in order.

    Args:
        spans: One for each phase.
    """

    spans: tuple[PhaseSpan, ...]

    @classmethod
    def of(cls, callbacks: Sequence[Callback]) -> "PhaseChain":
        """The chain of the phases among some callbacks.

        Raises:
            InputError: If their order is impossible, two overlap, or another callback owns the same weights.
        """
        phases = [callback for callback in callbacks if isinstance(callback, Phase)]
        spans: list[PhaseSpan] = []
        for phase in phases:
            end_before = spans[-1].end if spans else 0
            if spans and phase.number <= spans[-1].phase.number:
                before = spans[-1].phase
                raise InputError(
                    f"phase {phase.number} {phase.name!r} cannot come after phase {before.number} {before.name!r}: "
                    "list the phases in trainer.callbacks in ascending order, each at most once"
                )
            start = end_before if phase.start is None else phase.start
            if spans and start != end_before:
                raise InputError(
                    f"phase {phase.name!r} starts at step {start} but {spans[-1].phase.name!r} before it ends at step {end_before}: "
                    "leave its start out"
                )
            spans.append(PhaseSpan(phase, start, start + phase.steps))
        rivals = [callback for callback in callbacks if isinstance(callback, _RIVALS)]
        if spans and rivals:
            raise InputError(
                f"{type(rivals[0]).__name__} freezes or averages weights that the phases own: remove it from trainer.callbacks"
            )
        return cls(tuple(spans))

    @classmethod
    def of_trainer(cls, trainer: Trainer) -> "PhaseChain":
        """The chain of the phases in ``trainer.callbacks``; raises as `of` does."""
        return cls.of(trainer.callbacks)  # type: ignore[attr-defined]

    @property
    def end(self) -> int:
        """Planned optimizer step at which the last phase ends."""
        return self.spans[-1].end

    def span_of(self, phase: Phase) -> PhaseSpan:
        """The steps of one phase."""
        return next(span for span in self.spans if span.phase is phase)

    def attach(self, trainer: Trainer, module: ClinJEPA) -> None:
        """Give the trainer its number of steps and the schedule its length; print the chain and keep it beside the config.

        Raises:
            InputError: If ``trainer.max_steps`` goes beyond the last phase, or the schedule is shorter than the chain.
        """
        self.check_length(trainer, module)
        total = module.optimization.total_steps
        if trainer.max_steps == -1:
            trainer.fit_loop.epoch_loop.max_steps = self.end
        module.schedule_steps = total or max(self.end, 1)
        self._show(module)
        self._dump(Path(trainer.default_root_dir))

    def limit(self, trainer: Trainer, position: PhasePosition) -> None:
        """Shorten the run by the steps that phases which ended early have left out."""
        trainer.fit_loop.epoch_loop.max_steps = min(trainer.max_steps, self.end - position.skipped)

    def check_length(self, trainer: Trainer, module: ClinJEPA) -> None:
        """Refuse numbers of steps that do not fit the chain; arguments as in `attach`."""
        if trainer.max_steps > self.end:
            raise InputError(
                f"trainer.max_steps is {trainer.max_steps} but the last phase ends at step {self.end}: "
                "leave trainer.max_steps out, or give a phase more steps"
            )
        total = module.optimization.total_steps
        if total is not None and total < self.end:
            raise InputError(
                f"--model.optimization.total_steps is {total} but the last phase ends at step {self.end}: raise it, or leave it out"
            )

    def check_start(self, step: int, position: PhasePosition) -> None:
        """Refuse a checkpoint, or a fresh start, that this chain cannot continue.

        Args:
            step: Optimizer steps done so far.
            position: Where the run that did them stood.

        Raises:
            InputError: If the checkpoint belongs to another phase, or lies before or behind the chain.
        """
        first = self.spans[0]
        planned = step + position.skipped
        if planned < first.start:
            came = f"the checkpoint is at step {step} (phase {position.number} {position.name!r})" if step else "the run starts at step 0"
            raise InputError(
                f"phase {first.phase.number} {first.phase.name!r} starts at step {first.start} but {came}: "
                f"finish phase {first.phase.follows} first, or pass its checkpoint with --ckpt_path"
            )
        if planned > self.end:
            raise InputError(
                f"the checkpoint is at step {step} (phase {position.number} {position.name!r}) but the last phase ends at step {self.end}: "
                "pass an earlier checkpoint with --ckpt_path, or give the phases more steps"
            )
        inside = [span for span in self.spans if span.phase.number == position.number]
        fresh = step == 0 and position.number < 0
        follows = position.finished and position.number == first.phase.follows and planned == first.start
        if not inside and not fresh and not follows:
            raise InputError(
                f"phase {first.phase.number} {first.phase.name!r} starts at step {first.start} and continues phase {first.phase.follows}, "
                f"but the checkpoint is of phase {position.number} {position.name!r} at step {step}: pass "
                f"phase{first.phase.follows}.ckpt with --ckpt_path and give the phase its start, or set follows: {position.number} "
                "on purpose; a tuned encoder starts a new run by --model.encoder.weights"
            )
        if inside and not inside[0].start <= planned <= inside[0].end:
            raise InputError(
                f"the checkpoint is in phase {position.number} {position.name!r} at step {step}, which here runs from step "
                f"{inside[0].start} to {inside[0].end}: use the steps of the checkpoint's run"
            )

    @rank_zero_only
    def _show(self, module: ClinJEPA) -> None:
        table = Table(title="Curriculum", title_justify="left")
        for column in ("phase", "steps", "from", "to", "ends", "trains", "target", "rollout"):
            table.add_column(column, justify="right" if column in ("steps", "from", "to") else "left")
        for row in self.rows():
            table.add_row(*(str(value) for value in row.values()))
        Console().print(table)

    @rank_zero_only
    def _dump(self, run: Path) -> None:
        run.mkdir(parents=True, exist_ok=True)
        (run / "phases.yaml").write_text(yaml.safe_dump(self.rows(), sort_keys=False), encoding="utf-8")

    def rows(self) -> list[dict[str, Any]]:
        """The chain as a table: a row a phase."""
        rows = []
        for span in self.spans:
            regime = asdict(span.phase.planned_regime())
            trains = [part for part in ("encoder", "predictor") if regime[f"train_{part}"] and span.end > span.start]
            jepa = regime["objective"] == "jepa"
            rows.append(
                {
                    "phase": f"{span.phase.number} {span.phase.name}",
                    "steps": span.end - span.start,
                    "from": span.start,
                    "to": span.end,
                    "ends": span.phase.ends,
                    "trains": " + ".join(trains) or "nothing",
                    "target": regime["target"] if jepa else "next token",
                    "rollout": regime["rollout"] if jepa and trains else "-",
                }
            )
        return rows


def _checkpoint_path(trainer: Trainer, number: int) -> Path:
    return Path(trainer.default_root_dir) / "checkpoints" / f"phase{number}.ckpt"


def _clin_jepa(module: LightningModule) -> ClinJEPA:
    if not isinstance(module, ClinJEPA):
        raise TypeError(f"the phases of the curriculum train a ClinJEPA, not a {type(module).__name__}")
    return module
