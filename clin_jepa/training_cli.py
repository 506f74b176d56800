"""LightningCLI for Clin-JEPA: fit, validate, test and predict."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from clin_jepa.callbacks import (
    CollapseMonitor,
    CurriculumProgressBar,
    GapMonitor,
    PredictionWriter,
    RolloutMonitor,
    TensorBoardPage,
    Throughput,
)
from clin_jepa.callbacks.collapse_monitor import StoppedByCollapse
from clin_jepa.callbacks.phase_chain import PhaseChain
from clin_jepa.checkpoint import CHECKPOINT_KEY, AtomicCheckpointIO, read_checkpoint
from clin_jepa.continuation import check_same_run
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.errors import InputError
from clin_jepa.grounding import GroundingConfig
from clin_jepa.module import ClinJEPA, PhasePosition
from clin_jepa.preemption import LastCheckpoint, StoppedBySignal, checkpoint_of_requeued_job, is_requeued_job
from clin_jepa.replacing_list import ReplacingList
from clin_jepa.run_folder import DEFAULT_RUN, prepare_run_folder, run_of_checkpoint
from clin_jepa.strategy import register_strategy

# Of training, but for what a config sets.
TRAINER_DEFAULTS: dict[str, Any] = {
    "max_epochs": -1,
    "check_val_every_n_epoch": None,
    "use_distributed_sampler": False,
    "num_sanity_val_steps": 0,
    "gradient_clip_val": 1.0,
    "log_every_n_steps": 10,
}


class TrainingCLI(LightningCLI):
    """`LightningCLI` with a run folder, and with what is set once linked to where it is used.

    Args:
        scratch: A folder for what a fast_dev_run writes; the caller removes it.
        options: As in `LightningCLI`.
    """

    def __init__(self, *args: Any, scratch: Path, **options: Any) -> None:
        self.scratch = scratch  # LightningCLI runs the whole command in its constructor
        super().__init__(*args, **options)

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--run",
            type=str | None,
            default=None,
            help="Folder of this run: config, checkpoints, TensorBoard events. By default the run that --ckpt_path lies in where a "
            f"checkpoint is only measured, else {DEFAULT_RUN}.",
        )
        parser.add_argument("--overwrite", type=bool, default=False, help="Whether an earlier run in that folder is replaced.")
        parser.add_argument(
            "--checkpoint_every", type=int, default=100, help="Optimizer steps between two checkpoints/last.ckpt, to resume from."
        )
        parser.add_lightning_class_args(CollapseMonitor, "collapse_monitor")
        parser.add_lightning_class_args(RolloutMonitor, "rollout_monitor")
        for action in parser._actions:
            if action.dest == "trainer.callbacks":
                action.__class__ = ReplacingList
        parser.link_arguments("model.encoder.base", "data.tokenizer")
        parser.link_arguments("model.encoder.revision", "data.tokenizer_revision")
        parser.link_arguments("data.vocab_size", "model.encoder.vocab_size")
        weights = tuple(f"model.grounding.{name}" for name in ("ahead", "present", "outlook"))
        parser.link_arguments(weights, "data.values", compute_fn=_asks_for_values)
        parser.link_arguments("data.variables", "model.variables", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    @override
    def _parse_ckpt_path(self) -> None:
        """Keep the config as given: Lightning would replace the model's settings by the checkpoint's, silently."""

    @override
    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        if config.run is None:
            measured = config.ckpt_path if self.subcommand != "fit" and config.ckpt_path != "last" else None
            config.run = str(run_of_checkpoint(Path(measured))) if measured else DEFAULT_RUN
        config.trainer.default_root_dir = str(self.scratch) if config.trainer.fast_dev_run else config.run

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self._get(self.config_init, "trainer")
        run, fits = Path(self.config[self.subcommand].run), self.subcommand == "fit"
        self.trainer_defaults["callbacks"] = [GapMonitor(), TensorBoardPage(), Throughput()]
        if config.enable_progress_bar is not False:
            self.trainer_defaults["callbacks"].append(CurriculumProgressBar())
        if self.subcommand == "predict":
            self.trainer_defaults["callbacks"].append(PredictionWriter(Path(config.default_root_dir) / "predictions"))
        if fits and config.enable_checkpointing is not False and not config.fast_dev_run:
            self.trainer_defaults["callbacks"].append(LastCheckpoint(self.config[self.subcommand].checkpoint_every))
        if config.logger is None:
            kwargs["logger"] = TensorBoardLogger(run, name="", version="", default_hp_metric=False) if fits else False
        plugins = config.plugins if isinstance(config.plugins, list) else [config.plugins] if config.plugins else []
        plugins = [*plugins, AtomicCheckpointIO()]
        if _started_by_srun() and not any(isinstance(plugin, ClusterEnvironment) for plugin in plugins):
            plugins.append(SLURMEnvironment(auto_requeue=False))  # LastCheckpoint requeues, at a step's end
        trainer = super().instantiate_trainer(plugins=plugins, **kwargs)
        if isinstance(trainer.strategy, DDPStrategy):
            # A phase leaves out what it does not train; left to its default, DDP would wait for those gradients.
            trainer.strategy._ddp_kwargs["find_unused_parameters"] = True
        return trainer

    @override
    def after_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        run, path = Path(config.run), config.ckpt_path
        if self.subcommand == "fit":
            chain = PhaseChain.of_trainer(self.trainer, self.model.optimization.total_steps)
            path = checkpoint_of_requeued_job(run) or _continued_checkpoint(path, run, chain)
            self._check_before_writing(chain, path)
            if not config.trainer.fast_dev_run and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
                # A requeued job that had not come to its first checkpoint finds its own config in the folder.
                starts_over = is_requeued_job() and not any((run / "checkpoints").glob("*.ckpt"))
                prepare_run_folder(run, path, config.overwrite or starts_over)
        else:
            path = _named_checkpoint(path, run) if path else _newest_phase_checkpoint(run)
            read_checkpoint(path)
        if path is not None:
            config.ckpt_path = self.config_init[self.subcommand].ckpt_path = str(path)
        if self.subcommand == "predict":
            self.config_init[self.subcommand].return_predictions = False  # they go to disk, batch by batch
        # Never run code from a checkpoint.
        config.weights_only = self.config_init[self.subcommand].weights_only = True

    def _check_before_writing(self, chain: PhaseChain, checkpoint: Path | None) -> None:
        """Find what would be refused later, while nothing of an earlier run is deleted and nothing is written."""
        hours, most = self.datamodule.windowing.hours, self.model.predictor_config.max_hours
        if hours > most:
            raise InputError(
                f"--data.windowing.hours {hours} is longer than --model.predictor.max_hours {most}: "
                "raise the latter, or shorten the windows"
            )
        self._check_stream()
        self.model.configure_model()
        if weights := self.model.encoder_config.weights:
            content = read_checkpoint(Path(weights))
            self.datamodule.check_tokenizer(Path(weights), content[type(self.datamodule).__qualname__])
        if chain.spans:
            chain.check_length(self.trainer, self.model)
        elif self.trainer.max_steps < 1:
            raise InputError("the run needs a length: list phase callbacks in trainer.callbacks, or give --trainer.max_steps")
        if checkpoint is None:
            return
        content = read_checkpoint(checkpoint)
        self.datamodule.load_state_dict(content[type(self.datamodule).__qualname__])
        if chain.spans:
            chain.check_start(int(content["global_step"]), PhasePosition(**content[CHECKPOINT_KEY]["position"]))
        planned = max(chain.end, 1) if chain.spans else self.trainer.max_steps
        check_same_run(content, self.model, self.model.optimization.total_steps or planned)
        self.model.on_load_checkpoint(content)
        for logger in self.trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                # Points that an ended process logged behind the checkpoint would show twice.
                logger._kwargs["purge_step"] = int(content["global_step"]) + 1

    def _check_stream(self) -> None:
        """Refuse what would break the one stream of windows that steps, resume and phases count by."""
        trainer: Any = self.trainer
        if not trainer.fast_dev_run and (trainer.limit_train_batches != 1.0 or trainer.overfit_batches):
            raise InputError(
                "trainer.limit_train_batches and trainer.overfit_batches would draw the same windows again and again: the stream has no "
                "epochs. Shorten the run with --model.optimization.total_steps or --trainer.max_steps, or give a smaller store"
            )
        if any(isinstance(callback, GradientAccumulationScheduler) for callback in trainer.callbacks):
            raise InputError(
                "GradientAccumulationScheduler changes how many windows a step takes: remove it from trainer.callbacks, and give "
                "--trainer.accumulate_grad_batches"
            )

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except StoppedBySignal:
            raise
        except SystemExit:
            if self.trainer.interrupted:  # Lightning turns an interrupt into exit code 1
                raise KeyboardInterrupt from None
            raise

    def after_fit(self) -> None:
        """Leave ``last.ckpt`` at the very last step; LightningCLI calls this when training has ended."""
        config = self.config[self.subcommand].trainer
        if config.enable_checkpointing is not False and not config.fast_dev_run:
            self.trainer.save_checkpoint(Path(self.config[self.subcommand].run) / "checkpoints" / "last.ckpt", weights_only=False)
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, CollapseMonitor) and callback.has_stopped:
                rank_zero_only(print)(
                    f"clinjepa fit: the collapse monitor stopped the run at step {self.trainer.global_step}: train on from the checkpoint "
                    "of an earlier phase with other settings, or from last.ckpt with --collapse_monitor.action warn",
                    file=sys.stderr,
                )
                raise StoppedByCollapse


class RunConfig(SaveConfigCallback):
    """Keeps the config of a training run in its folder; validation, test and prediction leave it alone."""

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            super().setup(trainer, pl_module, stage)


def run_training_cli() -> None:
    """Parse ``sys.argv`` and run fit, validate, test or predict.

    Raises:
        InputError: If something the user gave does not fit.
    """
    register_strategy()
    with tempfile.TemporaryDirectory(prefix="clinjepa-") as scratch:
        TrainingCLI(
            ClinJEPA,
            TrajectoryDataModule,
            scratch=Path(scratch),
            save_config_callback=RunConfig,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            auto_configure_optimizers=False,
            trainer_defaults=dict(TRAINER_DEFAULTS),
            parser_kwargs={"prog": "clinjepa", "description": "Train and run a Clin-JEPA world model."},
        )


def _asks_for_values(ahead: float, present: float, outlook: float) -> bool:
    return GroundingConfig(ahead, present, outlook).is_on


def _started_by_srun() -> bool:
    """Whether SLURM started each process; within an allocation torchrun may have done it."""
    return SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()


def _continued_checkpoint(given: str | None, run: Path, chain: PhaseChain) -> Path | None:
    """The checkpoint that training continues: the one given, or the previous phase's in the run folder."""
    if given:
        return _named_checkpoint(given, run)
    phases = chain.spans
    if not phases or phases[0].start == 0:
        return None
    before = run / "checkpoints" / f"phase{phases[0].phase.follows}.ckpt"
    if not before.is_file():
        raise InputError(
            f"phase {phases[0].phase.number} {phases[0].phase.name!r} starts at step {phases[0].start} but {before} does not exist: "
            f"finish phase {phases[0].phase.follows} with the same --run first, or pass its checkpoint with --ckpt_path"
        )
    return before


def _named_checkpoint(given: str, run: Path) -> Path:
    """The checkpoint of that path, or the run's ``last``."""
    return Path(given) if given != "last" else run / "checkpoints" / "last.ckpt"


def _newest_phase_checkpoint(run: Path) -> Path:
    checkpoints = sorted((run / "checkpoints").glob("phase[0-5].ckpt"))
    if not checkpoints:
        raise InputError(f"{run} holds no finished phase (checkpoints/phase*.ckpt): give a run with --run, or a file with --ckpt_path")
    return checkpoints[-1]
