"""``clinjepa plan``: the command line of ``fit``, which says what the run would cost instead of running it."""

import json
import math
import tempfile
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser
from rich.console import Console
from rich.table import Table
from typing_extensions import override

from clin_jepa.atomic_file import write_atomically
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.plan import Plan, Planner, as_rows, readable_time, rollout_monitors
from clin_jepa.planning.process_memory import machine_bytes, private_bytes
from clin_jepa.planning.rates import Rates, measure_rates, read_rates
from clin_jepa.strategy import register_strategy
from clin_jepa.training_cli import TRAINER_DEFAULTS, TrainingCLI

# Training batches on which rates are measured.
_BATCHES = 3
_GB = 2**30


class PlanningTrainer(Trainer):
    """A trainer that is never run."""

    def plan(
        self, model: LightningModule, datamodule: LightningDataModule | None = None, ckpt_path: str | None = None
    ) -> None:  # pragma: no cover - only its name and its arguments are read
        """Stands for the verb on the command line; `PlanningCLI` does the work."""


class PlanningCLI(TrainingCLI):
    """Takes what `TrainingCLI` takes; writes nothing into the run folder. A store that is used for the first time is tokenised."""

    @staticmethod
    @override
    def subcommands() -> dict[str, set[str]]:
        return {"plan": {"model", "datamodule"}}

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_argument(
            "--rates", type=str | None, default=None, help="Rates of a device, measured there; by default measured here, in a minute."
        )
        parser.add_argument("--save_rates", type=str | None, default=None, help="File that keeps the rates measured here.")
        parser.add_argument("--output", type=str | None, default=None, help="JSON file for the plan, besides what is printed.")
        parser.add_argument(
            "--device_memory", type=float | None, default=None, help="Memory of a device in GB; by default that of the device here."
        )

    @override
    def before_instantiate_classes(self) -> None:
        """Refuse what cannot be planned; with the rates of a GPU elsewhere, this machine needs none."""
        super().before_instantiate_classes()
        config = self.config[self.subcommand]
        if config.trainer.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
            if not config.rates:
                raise InputError(
                    "this machine has no GPU to measure: give the rates of one with --rates, written there with --save_rates, or plan for "
                    "this machine with --trainer.accelerator cpu"
                )
            config.trainer.accelerator = "cpu"
        if config.device_memory is not None and not 0 < config.device_memory < math.inf:
            raise InputError(f"--device_memory {config.device_memory}: a device has more than 0 GB")
        weights = config.model.encoder.weights
        if weights and not Path(weights).is_file():
            raise InputError(f"--model.encoder.weights {weights} does not exist")

    @override
    def after_instantiate_classes(self) -> None:
        """Nothing is checked against a run folder."""

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        config = self.config[subcommand]
        module, data, trainer = self.model, self.datamodule, self.trainer
        given = read_rates(Path(config.rates)) if config.rates else None
        data.prepare_data()
        data.windows("train")
        held = private_bytes()
        rates = given or _measured(module, data, trainer)
        if config.save_rates:
            rates.save(Path(config.save_rates))
        memory = config.device_memory * _GB if config.device_memory else rates.memory_bytes
        base = 0 if rates.kind == "cuda" else held
        self.result = Planner(module, data, trainer, rates, base, int(memory)).plan()
        show(self.result, rates)
        if config.output:
            write_atomically(Path(config.output), json.dumps(asdict(self.result), indent=2) + "\n")


def _measured(module: ClinJEPA, data: TrajectoryDataModule, trainer: Trainer) -> Rates:
    device = trainer.strategy.root_device
    batches = list(islice(data.train_dataloader(), _BATCHES))
    monitors = rollout_monitors(trainer)
    context, horizon = (monitors[0].context, monitors[0].horizon) if monitors else (1, 1)
    precision = trainer.precision_plugin.forward_context
    return measure_rates(module, batches, device, context, horizon, precision, _memory_of(device))


def _memory_of(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else machine_bytes()


def show(plan: Plan, rates: Rates) -> None:
    """Print a plan."""
    console = Console(width=110)
    parts = ", ".join(f"{name} {count / 1e6:,.1f} M" for name, count in plan.parameters.items() if count)
    console.print(f"parameters: {parts}")
    console.print(
        f"an epoch: {plan.windows:,} windows, {plan.hours:,} patient hours, {plan.tokens_per_epoch:,} tokens "
        f"({100 * plan.unique_share:.0f} % of the texts of a micro-batch are unique); {plan.texts:,} texts in the store"
    )
    table = Table(title=f"on {plan.processes} x {rates.device}")
    for column in ("phase", "optimizer steps", "tokens encoded", "time", "memory of a process"):
        table.add_column(column, justify="left" if column == "phase" else "right")
    for row in as_rows(plan.phases):
        table.add_row(*row)
    total = sum(phase.tokens for phase in plan.phases)
    steps = sum(phase.steps for phase in plan.phases)
    table.add_row("all", f"{steps:,}", f"{total:,}", readable_time(plan.seconds), f"{plan.peak_bytes / _GB:.2f} GB", style="bold")
    console.print(table)
    console.print(
        f"largest --data.batch_size within 90 % of {plan.memory_bytes / _GB:.0f} GB: {plan.largest_batch_size}. Sending between processes "
        "is not counted."
    )


def run_planning_cli() -> None:
    """Parse ``sys.argv`` and print the plan.

    Raises:
        InputError: If something the user gave does not fit.
    """
    register_strategy()
    with tempfile.TemporaryDirectory(prefix="clinjepa-") as scratch:
        PlanningCLI(
            ClinJEPA,
            TrajectoryDataModule,
            trainer_class=PlanningTrainer,
            scratch=Path(scratch),
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            trainer_defaults={**TRAINER_DEFAULTS, "logger": False},
            parser_kwargs={"prog": "clinjepa", "description": "Say what a training run will cost, before it runs."},
        )
