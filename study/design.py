"""What the study runs: data sets, arms, seeds and sizes. Everything that could be chosen is chosen here, and nowhere else."""

from dataclasses import dataclass
from typing import Literal

# Trained with more than one seed; the others with the first alone.
MAIN_ARMS = ("full", "chained", "no_joint_refinement", "no_ema", "sft_encoder")
OTHER_ARMS = (
    "no_warmup",
    "no_alignment_no_sync",
    "no_sync",
    "naive",
    "vicreg",
    "sigreg",
    "layer_norm",
    "residual",
    "chained_h8",
)
REFERENCE = "full"
SEEDS = (0, 1, 2)
DRAWS = 500

# Sized so that an arm takes minutes on two cores.
STEPS = 600
NEXT_TOKEN_STEPS, NEXT_TOKEN_RATE = 150, "1e-3"
TRAINING = (
    "--trainer.accelerator", "cpu", "--trainer.val_check_interval", "200", "--trainer.limit_val_batches", "25",
    "--trainer.enable_model_summary", "false", "--model.optimization.encoder_lr", "3e-5",
)  # fmt: skip


@dataclass(frozen=True)
class StudyData:
    """A data set of the study.

    Args:
        name: Of its store and its results.
        source: As ``clinjepa extract --source`` takes it.
        folder: Below ``CLINJEPA_DATA``.
        stays: Most stays of each split; None takes all. Drawn by subject, with a fixed seed.
        folds: Cross-validation: each fold holds out another part of the subjects. 1 keeps the store's own split.
        context_hours: True hours before a forecast.
        horizon_hours: Hours of it.
    """

    name: str
    source: Literal["mimic_iv", "cinc_2012", "cinc_2019"]
    folder: str
    stays: dict[str, int] | None
    folds: int
    context_hours: int
    horizon_hours: int


DATA = (
    StudyData("cinc_2012", "cinc_2012", "cinc-challenge-2012", {"train": 1000, "tuning": 300, "held_out": 1200}, 1, 12, 36),
    StudyData("cinc_2019", "cinc_2019", "cinc-challenge-2019", {"train": 2500, "tuning": 600, "held_out": 1200}, 1, 12, 24),
    StudyData("mimic_iv_demo", "mimic_iv", "mimic-iv-demo-2.2", None, 5, 24, 48),
)
