"""TensorBoardPage: hyperparameters with their metric, and one page that shows the health of all phases."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override

from clin_jepa.module import ClinJEPA

_METRIC = "val/mase_h1"

# Custom scalars: category -> chart -> the tags drawn together.
_LAYOUT = {
    "Health of the phases": {
        "Phase": ["Multiline", ["phase/number"]],
        "Loss": ["Multiline", ["train/loss_teacher_forced", "train/loss_rollout", "train/next_token_loss", "val/loss"]],
        "One hour ahead against copy-forward (MASE)": ["Multiline", ["val/mase_h1", r"rollout/mase_h1$"]],
        "Forecast against copy-forward (MASE)": ["Multiline", [r"rollout/mase_h\d+"]],
        "Drift of the rollout, percent": ["Multiline", [r"rollout/drift_percent_h\d+"]],
        "Effective rank of the latents": ["Multiline", ["collapse/rankme", "collapse/participation_ratio"]],
        "Spread of the latents": ["Multiline", [r"collapse/feature_std.*"]],
        "Collapse findings": ["Multiline", ["collapse/findings"]],
        "L1 in units of the latents' mean absolute deviation": ["Multiline", ["collapse/l1_over_mad"]],
        "Online-target gap": ["Multiline", ["phase/online_target_gap", "collapse/gap_parameters", "collapse/gap_latents"]],
        "Learning rates": ["Multiline", ["train/lr_encoder", "train/lr_predictor"]],
        "Patient hours a second": ["Multiline", ["device/patient_hours_per_s"]],
    }
}


class TensorBoardPage(Callback):
    """Writes the custom layout and the hyperparameters at the start, and the metric at each validation."""

    def __init__(self) -> None:
        self._has_hyperparameters = False

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in _tensorboards(trainer):
            logger.experiment.add_custom_scalars(_LAYOUT)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if isinstance(pl_module, ClinJEPA):
            regime = pl_module.regime
            figures = {"number": pl_module.position.number, "train_encoder": regime.train_encoder, "ema_target": regime.target == "ema"}
            pl_module.log_scalars({f"phase/{name}": float(value) for name, value in figures.items()})

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The hyperparameters' table needs a value of its metric, so it waits for the first one.
        if not self._has_hyperparameters and _METRIC in trainer.callback_metrics and not trainer.sanity_checking:
            metric = {_METRIC: float(trainer.callback_metrics[_METRIC])}
            for logger in _tensorboards(trainer):
                logger.log_hyperparams(_flat(dict(pl_module.hparams)), metrics=metric, step=trainer.global_step)
            self._has_hyperparameters = True


def _tensorboards(trainer: Trainer) -> list[TensorBoardLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}/"))
        else:
            flat[prefix + name] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat
