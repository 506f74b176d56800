"""PredictionWriter: latents and next-hour predictions as Parquet, written batch by batch."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from typing_extensions import override

from clin_jepa.writable_folder import writable_folder


class PredictionWriter(BasePredictionWriter):
    """Writes ``predictions/*.parquet``: ``stay_id, window_start, hour, latent, predicted_next``, a row an hour of each window.

    Files appear only when every batch is written; an earlier prediction stays until then. Of several processes, which all predict every
    window, the first one writes.

    Args:
        folder: The folder of the predictions.

    Raises:
        InputError: If the folder cannot be written; when prediction starts.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(write_interval="batch")
        self.folder = folder
        self._staging = folder.with_name(f".{folder.name}.partial")

    @override
    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            shutil.rmtree(self._staging, ignore_errors=True)
            writable_folder(self._staging, "give another run folder with --run")
        trainer.strategy.barrier("predictions")

    @override
    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        if trainer.is_global_zero:
            frame = pl.DataFrame({name: values.cpu().numpy() for name, values in prediction.items()})
            frame.write_parquet(self._staging / f"batch-{batch_idx:06d}.parquet")

    @override
    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.strategy.barrier("predictions")
        if trainer.is_global_zero:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._staging.replace(self.folder)
            print(f"predictions: {self.folder}")
