"""The plan of a curriculum: what each phase is asked to do, and the chain that the phases of a run form."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any, ClassVar

import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import BaseFinetuning, StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from clin_jepa.atomic_file import write_atomically
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA, PhasePosition
from clin_jepa.regime import Regime

# Callbacks that freeze, average or swap weights themselves: a curriculum has one owner of each.
_RIVALS = (BaseFinetuning, StochasticWeightAveraging, WeightAveraging)


class PlannedPhase(Callback):
    """When a phase runs, and what it sets; `Phase` carries it out.

    Phases listed in ``trainer.callbacks`` form a chain: each starts where the one before it ends; leaving one out ablates it. Starts and
    ends are *planned* steps: the optimizer steps taken, plus those that a phase which ended early has left out.

    Steps may be given as shares of ``--model.optimization.total_steps``, so that one number rescales a whole curriculum. Edges are computed
    from the exact sum of the shares, so that phases whose shares add up to 1 end exactly at the total, in one run or in several.

    Args:
        steps: Optimizer steps of this phase: a whole number of them, or, as a float in (0, 1], a share of total_steps.
        start: Optimizer step, or share of total_steps, at which it starts; by default where the phase listed before it ends, 0 for the
            first. A run that continues another run's checkpoint gives it.
        follows: Number of the phase that such a checkpoint must have finished; by default the one before this phase.

    Raises:
        InputError: If a number is negative, or a share above 1.
    """

    number: ClassVar[int]
    name: ClassVar[str]

    def __init__(self, steps: int | float, start: int | float | None = None, follows: int | None = None) -> None:
        for setting, value in (("steps", steps), ("start", start or 0)):
            if not value >= 0:
                raise InputError(f"phase {self.name!r}: {setting} is {value}, it must not be negative")
            if isinstance(value, float) and value > 1:
                raise InputError(
                    f"phase {self.name!r}: {setting} is {value}, but a number with a decimal point is a share of total_steps, at most 1: "
                    "write optimizer steps without it"
                )
        self.steps, self.start = steps, start
        self.follows = self.number - 1 if follows is None else follows

    def planned_regime(self) -> Regime:
        """The regime of this phase, as far as its settings tell."""
        raise NotImplementedError

    @property
    def ends(self) -> str:
        """What ends this phase, for the table of the chain."""
        return "steps"

    def tau_over(self, steps: int) -> float | None:
        """Share of the target that stays at each of the phase's steps; None where no EMA runs."""
        return None


@dataclass(frozen=True)
class PhaseSpan:
    """Planned optimizer steps of a phase in its chain: from ``start`` up to, without, ``end``."""

    phase: PlannedPhase
    start: int
    end: int

    @property
    def steps(self) -> int:
        """Planned optimizer steps."""
        return self.end - self.start


@dataclass(frozen=True)
class PhaseChain:
    """The phases of a run, in order.

    Args:
        spans: One for each phase.
    """

    spans: tuple[PhaseSpan, ...]

    @classmethod
    def of(cls, callbacks: Sequence[Callback], total_steps: int | None = None) -> "PhaseChain":
        """The chain of the phases among some callbacks.

        Args:
            callbacks: Phases and others.
            total_steps: What shares are shares of.

        Raises:
            InputError: If their order is impossible, two overlap, a share is of no total or too small, or another callback owns the same
                weights.
        """
        spans: list[PhaseSpan] = []
        exact_end = Fraction(0)
        for phase in (callback for callback in callbacks if isinstance(callback, PlannedPhase)):
            exact_start = exact_end if phase.start is None else _exact_steps(phase, phase.start, total_steps)
            exact_end = exact_start + _exact_steps(phase, phase.steps, total_steps)
            spans.append(PhaseSpan(phase, _nearest_step(exact_start), _nearest_step(exact_end)))
        for before, after in pairwise(spans):
            _check_sequence(before, after)
        for span in spans:
            _check_has_steps(span, total_steps)
        rivals = [callback for callback in callbacks if isinstance(callback, _RIVALS)]
        if spans and rivals:
            raise InputError(
                f"{type(rivals[0]).__name__} freezes or averages weights that the phases own: remove it from trainer.callbacks"
            )
        return cls(tuple(spans))

    @classmethod
    def of_trainer(cls, trainer: Trainer, total_steps: int | None = None) -> "PhaseChain":
        """The chain of the phases in ``trainer.callbacks``; raises as `of` does.

        Args:
            trainer: The trainer.
            total_steps: What shares are shares of; by default what the trainer's module says, if it has one.
        """
        module = trainer.lightning_module
        if total_steps is None and isinstance(module, ClinJEPA):
            total_steps = module.optimization.total_steps
        return cls.of(trainer.callbacks, total_steps)  # type: ignore[attr-defined]

    @property
    def end(self) -> int:
        """Planned optimizer step at which the last phase ends."""
        return self.spans[-1].end

    def span_of(self, phase: PlannedPhase) -> PhaseSpan:
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
            by_shares = any(isinstance(span.phase.steps, float) for span in self.spans)
            remedy = "give the phases smaller shares, which add up to at most 1" if by_shares else "raise it, or leave it out"
            raise InputError(f"--model.optimization.total_steps is {total} but the last phase ends at step {self.end}: {remedy}")

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
        inside = [span for span in self.spans if (span.phase.number, span.phase.name) == (position.number, position.name)]
        fresh = step == 0 and position.number < 0
        follows = position.finished and position.number == first.phase.follows and planned == first.start
        if not inside and not fresh and not follows:
            raise InputError(
                f"phase {first.phase.number} {first.phase.name!r} starts at step {first.start} and continues phase {first.phase.follows}, "
                f"but the checkpoint is of phase {position.number} {position.name!r} at step {step}: pass "
                f"phase{first.phase.follows}.ckpt with --ckpt_path and give the phase its start, or set follows: {position.number} "
                "on purpose; a tuned encoder starts a new run by --model.encoder.weights"
            )
        if inside and not (planned == inside[0].end if position.finished else inside[0].start <= planned <= inside[0].end):
            done = "finished" if position.finished else "is in"
            raise InputError(
                f"the checkpoint {done} phase {position.number} {position.name!r} at step {step}, which here runs from step "
                f"{inside[0].start} to {inside[0].end}: use the steps of the checkpoint's run"
            )

    @rank_zero_only
    def _show(self, module: ClinJEPA) -> None:
        table = Table(title="Curriculum", title_justify="left")
        for column in ("phase", "steps", "from", "to", "ends", "trains", "target", "tau", "rollout"):
            table.add_column(column, justify="right" if column in ("steps", "from", "to") else "left")
        for row in self.rows():
            table.add_row(*(f"{value:g}" if isinstance(value, float) else str(value) for value in row.values()))
        Console(width=None if sys.stdout.isatty() else 120).print(table)

    @rank_zero_only
    def _dump(self, run: Path) -> None:
        write_atomically(run / "phases.yaml", yaml.safe_dump(self.rows(), sort_keys=False))

    def rows(self) -> list[dict[str, Any]]:
        """The chain as a table: a row a phase."""
        rows = []
        for span in self.spans:
            regime = asdict(span.phase.planned_regime())
            trains = [part for part in ("encoder", "predictor") if regime[f"train_{part}"] and span.steps]
            tau = span.phase.tau_over(span.steps)
            jepa = regime["objective"] == "jepa"
            rows.append(
                {
                    "phase": f"{span.phase.number} {span.phase.name}",
                    "steps": span.steps,
                    "from": span.start,
                    "to": span.end,
                    "ends": span.phase.ends,
                    "trains": " + ".join(trains) or "nothing",
                    "target": regime["target"] if jepa else "next token",
                    "tau": "-" if tau is None else tau,
                    "rollout": regime["rollout"] if jepa and trains else "-",
                }
            )
        return rows


def _check_sequence(before: PhaseSpan, after: PhaseSpan) -> None:
    """Refuse a phase that cannot follow the one listed before it."""
    if after.phase.number <= before.phase.number:
        raise InputError(
            f"phase {after.phase.number} {after.phase.name!r} cannot come after phase {before.phase.number} {before.phase.name!r}: "
            "list the phases in trainer.callbacks in ascending order, each at most once"
        )
    if after.start != before.end:
        raise InputError(
            f"phase {after.phase.name!r} starts at step {after.start} but {before.phase.name!r} before it ends at step {before.end}: "
            "leave its start out"
        )


def _check_has_steps(span: PhaseSpan, total_steps: int | None) -> None:
    """Refuse a share that comes to no step."""
    if isinstance(span.phase.steps, float) and not span.steps:
        raise InputError(
            f"phase {span.phase.name!r} has no step: its share {span.phase.steps} of total_steps {total_steps} is too small. Raise "
            "--model.optimization.total_steps or the share, or leave the phase out"
        )


def _exact_steps(phase: PlannedPhase, given: int | float, total_steps: int | None) -> Fraction:
    """Steps as given, or the share of the total as its decimal reads: 0.1 is a tenth, not the nearest binary number."""
    if isinstance(given, int):
        return Fraction(given)
    if total_steps is None:
        raise InputError(
            f"phase {phase.name!r} is given as a share ({given}) of total_steps, which is not set: give --model.optimization.total_steps, "
            "or a whole number of steps"
        )
    return Fraction(str(given)) * total_steps


def _nearest_step(exact: Fraction) -> int:
    """Halves go up, so that a whole number of steps stays that number wherever it begins.

    >>> [_nearest_step(Fraction(value)) for value in ("0.4", "0.5", "1.5", "2.5")]
    [0, 1, 2, 3]
    """
    return floor(exact + Fraction(1, 2))
