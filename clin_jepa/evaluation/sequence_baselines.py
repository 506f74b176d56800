"""LSTM, TCN and GRU-D on the hourly numbers of a store, trained on a task's own labels: small Lightning modules."""

# Shapes: B stays, T hours, V variables, H hours of all stays, N rows.

import tempfile
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from clin_jepa.evaluation.numeric_grid import NumericGrid, column_mean_and_std, newest_measurement, standardised
from clin_jepa.evaluation.sequence_networks import Kind, build_network
from clin_jepa.evaluation.task_rows import TaskRows
from clin_jepa.quiet import without_lightning_notices

_RATE, _DECAY, _BATCH, _PATIENCE, _EPOCHS = 1e-3, 1e-4, 64, 10, 100

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class HourlyInputs:
    """The numbers of all stays as sequence networks read them.

    Args:
        value_HV: Standardised, the last one known; 0 before the first.
        known_HV: Whether measured in that hour.
        since_HV: Hours since the last measurement before, in days.
        static_SC: Standardised age and sex; 0 where unknown.
        first_S: Row of each stay's first hour.
    """

    value_HV: Floats
    known_HV: Floats
    since_HV: Floats
    static_SC: Floats
    first_S: NDArray[np.int64]


def hourly_inputs(grid: NumericGrid, is_train_S: NDArray[np.bool_]) -> HourlyInputs:
    """Fill forward and standardise; mean and deviation are those of the training stays' measurements.

    Args:
        grid: The numbers.
        is_train_S: Which stays are of the training split.
    """
    row_H1 = np.arange(len(grid.value_HV), dtype=np.int32)[:, None]
    begin_H1 = np.repeat(grid.first_S[:-1], np.diff(grid.first_S)).astype(np.int32)[:, None]
    newest_HV = newest_measurement(grid)
    before_HV = np.concatenate([np.full((1, newest_HV.shape[1]), -1, dtype=np.int32), newest_HV[:-1]])
    since_HV = row_H1 - np.maximum(before_HV, begin_H1)
    mean_C, std_C = column_mean_and_std(grid.static_SC[is_train_S])
    return HourlyInputs(
        standardised(grid, newest_HV, is_train_S),
        np.isfinite(grid.value_HV).astype(np.float32),
        since_HV.astype(np.float32) / 24,
        np.nan_to_num((grid.static_SC - mean_C) / std_C).astype(np.float32),
        grid.first_S,
    )


class _Stays(Dataset[tuple[Tensor, ...]]):
    """A stay an item: its inputs up to the last row asked of it, the rows' hours and labels."""

    def __init__(self, inputs: HourlyInputs, rows: TaskRows, taken_N: NDArray[np.bool_]) -> None:
        self.inputs = inputs
        stay_M, self.hour_M, self.label_M = rows.stay_N[taken_N], rows.hour_N[taken_N], rows.label_N[taken_N]
        self.first = np.flatnonzero(np.diff(stay_M, prepend=-1))
        self.last = np.append(self.first[1:], len(stay_M))
        self.stay = stay_M[self.first]

    def __len__(self) -> int:
        return len(self.stay)

    def __getitem__(self, number: int) -> tuple[Tensor, ...]:
        begin, stay = int(self.inputs.first_S[self.stay[number]]), int(self.stay[number])
        chosen = slice(self.first[number], self.last[number])
        hour_M = torch.from_numpy(self.hour_M[chosen])
        seen = slice(begin, begin + int(hour_M[-1]) + 1)
        parts = (self.inputs.value_HV[seen], self.inputs.known_HV[seen], self.inputs.since_HV[seen], self.inputs.static_SC[stay])
        return (*(torch.from_numpy(part) for part in parts), hour_M, torch.from_numpy(self.label_M[chosen]).float())


def _collate(stays: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Padded inputs, and for each row its stay in the batch, its hour and its label."""
    values, known, since, static, hours, labels = zip(*stays, strict=True)
    stay_M = torch.repeat_interleave(torch.tensor([len(hour_M) for hour_M in hours]))
    padded = (pad_sequence(list(part), batch_first=True) for part in (values, known, since))
    return (*padded, torch.stack(list(static)), stay_M, torch.cat(list(hours)), torch.cat(list(labels)))


class SequenceBaseline(LightningModule):
    """One network on one task: cross entropy at the labelled hours.

    Args:
        kind: ``lstm``, ``tcn`` or ``gru_d``.
        variables: V.
        static: Static columns.
    """

    def __init__(self, kind: Kind, variables: int, static: int) -> None:
        super().__init__()
        self.network = build_network(kind, variables, static)

    @override
    def forward(self, *batch: Tensor) -> Tensor:
        """Logits of the rows of a batch, ``[M]``."""
        value_BTV, known_BTV, since_BTV, static_BC, stay_M, hour_M = batch
        logit_BT: Tensor = self.network(value_BTV, known_BTV, since_BTV, static_BC)
        return logit_BT[stay_M, hour_M]

    @override
    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        return binary_cross_entropy_with_logits(self(*batch[:-1]), batch[-1])

    @override
    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        loss = binary_cross_entropy_with_logits(self(*batch[:-1]), batch[-1])
        self.log("loss", loss, batch_size=len(batch[-1]))

    @override
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=_RATE, weight_decay=_DECAY)


def sequence_scores(kind: Kind, inputs: HourlyInputs, rows: TaskRows, scored_N: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """Train on a task's training rows until the tuning rows' loss no longer falls, keep the best epoch, and score other rows.

    Args:
        kind: ``lstm``, ``tcn`` or ``gru_d``.
        inputs: The numbers of all stays.
        rows: Rows of the task.
        scored_N: Which rows to score, ``[N]`` bool.
        seed: Of weights and order.

    Returns:
        Risk of each scored row, in their order, float64 in [0, 1].
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SequenceBaseline(kind, inputs.value_HV.shape[1], inputs.static_SC.shape[1])
    train, tuning, scored = (_Stays(inputs, rows, taken) for taken in (rows.of_split("train"), rows.of_split("tuning"), scored_N))
    with tempfile.TemporaryDirectory(prefix="clinjepa-baseline-") as folder, without_lightning_notices():
        best = ModelCheckpoint(folder, monitor="loss", save_weights_only=True)
        trainer = Trainer(
            max_epochs=_EPOCHS,
            accelerator="auto",
            devices=1,
            gradient_clip_val=1.0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[best, EarlyStopping("loss", patience=_PATIENCE)],
            default_root_dir=folder,
        )
        trainer.fit(
            model,
            DataLoader(train, _BATCH, shuffle=True, collate_fn=_collate, generator=torch.Generator().manual_seed(seed)),
            DataLoader(tuning, _BATCH, collate_fn=_collate),
        )
        model.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    model.eval()
    with torch.no_grad():
        parts = [torch.sigmoid(model(*batch[:-1]).double()) for batch in DataLoader(scored, _BATCH, collate_fn=_collate)]
    return torch.cat(parts).numpy()
