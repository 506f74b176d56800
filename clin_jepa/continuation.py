"""What a run that continues a checkpoint has to share with the run that wrote it."""

from typing import Any

from clin_jepa.checkpoint import CHECKPOINT_KEY
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA


def check_same_run(checkpoint: dict[str, Any], module: ClinJEPA, planned_steps: int) -> None:
    """Refuse settings that a continued run would change without a word, or that it would ignore.

    Args:
        checkpoint: A read checkpoint.
        module: The model of the run that continues it.
        planned_steps: Length of this run's learning-rate schedule.

    Raises:
        InputError: If seed, optimizer, its settings or the length of the schedule are others.
    """
    trained = checkpoint["hyper_parameters"]
    if trained["seed"] != module.seed:
        raise InputError(
            f"the checkpoint was trained with --seed_everything {trained['seed']}, this run has {module.seed}, which would draw other "
            "windows: give the checkpoint's, or start a new run from its encoder with --model.encoder.weights"
        )
    ours = module.hparams["optimization"]
    for name, value in trained["optimization"].items():
        if name != "total_steps" and name in ours and ours[name] != value:
            raise InputError(
                f"the checkpoint was trained with --model.optimization.{name} {value}, this run has {ours[name]}, which would "
                "be ignored: give the checkpoint's, or start a new run from its encoder with --model.encoder.weights"
            )
    schedule = checkpoint[CHECKPOINT_KEY]["schedule_steps"]
    if schedule is not None and schedule != planned_steps:
        raise InputError(
            f"the learning rates of the checkpoint follow a schedule of {schedule} steps, those of this run one of {planned_steps}: "
            f"give --model.optimization.total_steps {schedule}"
        )
