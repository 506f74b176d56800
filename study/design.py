"""What the study runs: data sets, arms, seeds and sizes. Everything that could be chosen is chosen here, and nowhere else."""

from dataclasses import dataclass, replace
from typing import Literal

PUBLISHED, DEFAULT = "curriculum_published.yaml", "curriculum.yaml"
ENCODER, LARGER_ENCODER = "encoder/tiny.yaml", "encoder/small.yaml"
# Next-token tuning that comes before them.
TUNING = "sft.yaml"


@dataclass(frozen=True)
class Arm:
    """A recipe under comparison.

    Args:
        name: In tables and files.
        base: The curriculum that it is an arm of.
        config: Of ``configs/ablations``.
        shares: The phase up to which it does as the reference does, and whose checkpoint it goes on from: that gives the same weights.
        tuned_present: Weight of ``--model.grounding.present`` in next-token tuning; arms that tune alike share it.
        tuned_outlook: The same of ``--model.grounding.outlook``.
        tuned_steps: Steps of it, in place of the data set's.
        encoder: Config of the encoder.
        encoder_rate: Its learning rate after tuning, in place of that of all arms.
    """

    name: str
    base: str
    config: str
    shares: int | None = None
    tuned_present: float = 0.0
    tuned_outlook: float = 0.0
    tuned_steps: int | None = None
    encoder: str = ENCODER
    encoder_rate: str | None = None


# Of the encoder, where it learns from tokens alone.
NEXT_TOKEN_RATE = "1e-3"

REFERENCE = Arm("published", PUBLISHED, "full")
RECOMMENDED = Arm("default", DEFAULT, "full")

# Trained with every seed.
MAIN_ARMS = (
    REFERENCE,
    RECOMMENDED,
    Arm("no_joint_refinement", PUBLISHED, "no_joint_refinement"),
    Arm("no_ema", PUBLISHED, "no_ema", shares=1),
    # Its encoder learns from tokens alone, and so at their rate; 3e-5 would hardly train it on.
    Arm("sft_encoder", PUBLISHED, "sft_encoder", encoder_rate=NEXT_TOKEN_RATE),
)
# The default of before, in which latents tell the hours to come too.
OUTLOOK = Arm("default_outlook", DEFAULT, "outlook", tuned_outlook=1.0)
# With the first seed alone.
OTHER_ARMS = (
    OUTLOOK,
    Arm("chained", PUBLISHED, "chained", shares=1),
    Arm("no_warmup", PUBLISHED, "no_warmup"),
    Arm("no_alignment_no_sync", PUBLISHED, "no_alignment_no_sync", shares=2),
    Arm("no_sync", PUBLISHED, "no_sync", shares=3),
    Arm("naive", PUBLISHED, "naive"),
    Arm("vicreg", PUBLISHED, "vicreg", shares=1),
    Arm("sigreg", PUBLISHED, "sigreg", shares=1),
    Arm("layer_norm", PUBLISHED, "layer_norm"),
    Arm("residual", PUBLISHED, "residual"),
    Arm("chained_h8", PUBLISHED, "chained_h8"),
)
# With the first seed, where there is a GPU: a larger encoder, tuned longer.
LARGER_ARMS = (
    Arm("published_larger", PUBLISHED, "full", tuned_steps=800, encoder=LARGER_ENCODER),
    Arm("default_larger", DEFAULT, "full", tuned_steps=800, encoder=LARGER_ENCODER),
)
# What might make a better default; they are compared on validation stays.
CANDIDATES = (
    REFERENCE,
    RECOMMENDED,
    Arm("default_horizon_2", DEFAULT, "horizon_2"),
    Arm("default_no_grounding", DEFAULT, "no_grounding"),
    OUTLOOK,
    Arm("default_outlook_in_tuning", DEFAULT, "full", tuned_outlook=1.0),
    Arm("default_tuned_with_numbers", DEFAULT, "full", tuned_present=1.0),
    Arm("default_tuned_longer", DEFAULT, "full", tuned_steps=1600),
    Arm("default_chained", DEFAULT, "chained"),
    Arm("default_no_joint_refinement", DEFAULT, "no_joint_refinement"),
    Arm("default_sft_encoder", DEFAULT, "sft_encoder", encoder_rate=NEXT_TOKEN_RATE),
    Arm("default_sigreg", DEFAULT, "sigreg"),
    Arm("default_residual", DEFAULT, "residual"),
)

# Each once.
EVERY_ARM = tuple(dict.fromkeys((*MAIN_ARMS, *OTHER_ARMS, *LARGER_ARMS, *CANDIDATES)))

SEEDS = (0, 1, 2)
DRAWS = 500
# To be raised when evaluation measures something else: trained runs stay, and are measured anew.
MEASUREMENT = 1
# The same of the baselines alone.
BASELINE_MEASUREMENT = 4

TUNING_BATCH = 8
TRAINING = (
    "--trainer.accelerator", "cpu", "--trainer.val_check_interval", "200", "--trainer.limit_val_batches", "25",
    "--trainer.enable_model_summary", "false", "--model.optimization.encoder_lr", "3e-5",
)  # fmt: skip


_VALIDATION = "_validation"


@dataclass(frozen=True)
class StudyData:
    """A data set of the study.

    Args:
        name: Of its store and its results.
        source: As ``clinjepa extract --source`` takes it.
        folder: Below ``CLINJEPA_DATA``.
        stays: Most stays of each split; None takes all. Drawn by subject, with a fixed seed.
        folds: Cross-validation: each fold holds out another part of the subjects, and the rows of all are measured together. 1 keeps the
            store's own split.
        context_hours: True hours before a forecast.
        horizon_hours: Hours of it.
        next_token_steps: Optimizer steps of next-token tuning, which arms with the same seed share.
        steps: Optimizer steps of an arm.
        batch_size: Windows of such a step. With so many, and with evaluation, an arm takes about ten minutes on two cores, all folds
            together.
        validation: Whether other stays, of the splits that train and tune, stand in for the held-out ones.
        revision: Raised when extraction gives other texts or labels: all is trained anew.
    """

    name: str
    source: Literal["mimic_iv", "cinc_2012", "cinc_2019"]
    folder: str
    stays: dict[str, int] | None
    folds: int
    context_hours: int
    horizon_hours: int
    next_token_steps: int = 400
    steps: int = 600
    batch_size: int = TUNING_BATCH
    validation: bool = False
    revision: int = 1

    @property
    def trained(self) -> "StudyData":
        """The data set whose runs are measured: validation stays are forecast by those that held-out ones are forecast by."""
        return replace(self, name=self.name.removesuffix(_VALIDATION), validation=False)

    @property
    def fold_names(self) -> list[str]:
        """The data set's own name, or that of each fold."""
        return [f"{self.name}_fold{fold}" for fold in range(self.folds)] if self.folds > 1 else [self.name]


DATA = (
    StudyData("cinc_2012", "cinc_2012", "cinc-challenge-2012", {"train": 1000, "tuning": 300, "held_out": 1200}, 1, 12, 36, revision=2),
    StudyData("cinc_2019", "cinc_2019", "cinc-challenge-2019", {"train": 2500, "tuning": 600, "held_out": 1200}, 1, 12, 24),
    StudyData("mimic_iv_demo", "mimic_iv", "mimic-iv-demo-2.2", None, 5, 24, 48, next_token_steps=100, steps=150, batch_size=2),
)
VALIDATION = tuple(replace(data, name=f"{data.name}{_VALIDATION}", validation=True) for data in DATA if data.stays is not None)
