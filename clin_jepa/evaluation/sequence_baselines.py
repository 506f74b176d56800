"""LSTM, TCN and GRU-D on the hourly numbers of a store, trained on a task's own labels: small Lightning modules."""

# Shapes: B stays, S stays of the store, T hours, V variables, C static columns, N rows, M rows of some stays.

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from clin_jepa.evaluation.filled_forward import FilledForward, filled_forward
from clin_jepa.evaluation.numeric_grid import NumericGrid, column_mean_and_std, training_mean_and_std
from clin_jepa.evaluation.sequence_networks import Kind, build_network
from clin_jepa.evaluation.task_rows import TaskRows
from clin_jepa.quiet import without_lightning_notices

_RATE, _DECAY, _BATCH, _PATIENCE, _EPOCHS = 1e-3, 1e-4, 64, 10, 100

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class HourlyInputs:
    """The numbers of all stays as sequence networks read them: filled forward and standardised a batch at a time.

    Args:
        grid: The numbers.
        mean_V: Of the training stays' measurements.
        std_V: Of the same.
        static_SC: Standardised age and sex; 0 where unknown.
    """

    grid: NumericGrid
    mean_V: Tensor
    std_V: Tensor
    static_SC: Floats

    def batch(self, stays: Sequence[Floats]) -> FilledForward:
        """Hours of some stays from their first ones on, ``[T, V]`` each, as `filled_forward` gives them."""
        return filled_forward([torch.from_numpy(value_TV) for value_TV in stays], self.mean_V, self.std_V)


def hourly_inputs(grid: NumericGrid, is_train_S: NDArray[np.bool_]) -> HourlyInputs:
    """Mean and deviation are those of the training stays' measurements.

    Args:
        grid: The numbers.
        is_train_S: Which stays are of the training split.
    """
    mean_V, std_V = training_mean_and_std(grid, is_train_S)
    mean_C, std_C = column_mean_and_std(grid.static_SC[is_train_S])
    static_SC = np.nan_to_num((grid.static_SC - mean_C) / std_C).astype(np.float32)
    return HourlyInputs(grid, torch.from_numpy(mean_V), torch.from_numpy(std_V), static_SC)


@dataclass(frozen=True)
class _Stay:
    """Of a stay the hours up to the last row asked of it, its static columns, and the rows' hours and labels."""

    value_TV: Floats
    static_C: Floats
    hour_M: NDArray[np.int64]
    label_M: NDArray[np.bool_]


class _Stays(Dataset[_Stay]):
    """The stays of some rows, an item each."""

    def __init__(self, inputs: HourlyInputs, rows: TaskRows, taken_N: NDArray[np.bool_]) -> None:
        self.inputs = inputs
        stay_M, self.hour_M, self.label_M = rows.stay_N[taken_N], rows.hour_N[taken_N], rows.label_N[taken_N]
        self.first = np.flatnonzero(np.diff(stay_M, prepend=-1))
        self.last = np.append(self.first[1:], len(stay_M))
        self.stay = stay_M[self.first]

    def __len__(self) -> int:
        return len(self.stay)

    def __getitem__(self, number: int) -> _Stay:
        stay, chosen = int(self.stay[number]), slice(self.first[number], self.last[number])
        hour_M = self.hour_M[chosen]
        value_TV = self.inputs.grid.stay(stay)[: int(hour_M[-1]) + 1]
        return _Stay(value_TV, self.inputs.static_SC[stay], hour_M, self.label_M[chosen])

    def collate(self, stays: list[_Stay]) -> tuple[Tensor, ...]:
        """Padded inputs, and for each row its stay in the batch, its hour and its label."""
        filled = self.inputs.batch([stay.value_TV for stay in stays])
        static_BC = torch.from_numpy(np.stack([stay.static_C for stay in stays]))
        stay_M = torch.repeat_interleave(torch.tensor([len(stay.hour_M) for stay in stays]))
        hour_M, label_M = (torch.from_numpy(np.concatenate(part)) for part in zip(*((s.hour_M, s.label_M) for s in stays), strict=True))
        return filled.value_BTV, filled.known_BTV, filled.since_BTV, static_BC, stay_M, hour_M, label_M.float()


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


def sequence_scores(
    kind: Kind, inputs: HourlyInputs, rows: TaskRows, scored_N: NDArray[np.bool_], seed: int, device: torch.device | None = None
) -> NDArray[np.float64]:
    """Train on a task's training rows until the tuning rows' loss no longer falls, keep the best epoch, and score other rows.

    Args:
        kind: ``lstm``, ``tcn`` or ``gru_d``.
        inputs: The numbers of all stays.
        rows: Rows of the task.
        scored_N: Which rows to score, ``[N]`` bool.
        seed: Of weights and order.
        device: Where it trains; the CPU by default.

    Returns:
        Risk of each scored row, in their order, float64 in [0, 1].
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SequenceBaseline(kind, len(inputs.grid.variables), inputs.static_SC.shape[1])
    train, tuning, scored = (_Stays(inputs, rows, taken) for taken in (rows.of_split("train"), rows.of_split("tuning"), scored_N))
    with tempfile.TemporaryDirectory(prefix="clinjepa-baseline-") as folder, without_lightning_notices():
        best = ModelCheckpoint(folder, monitor="loss", save_weights_only=True)
        trainer = Trainer(
            max_epochs=_EPOCHS,
            accelerator="cpu" if device is None or device.type == "cpu" else "gpu",
            devices=1 if device is None or device.index is None else [device.index],
            gradient_clip_val=1.0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[best, EarlyStopping("loss", patience=_PATIENCE)],
            default_root_dir=folder,
        )
        trainer.fit(
            model,
            DataLoader(train, _BATCH, shuffle=True, collate_fn=train.collate, generator=torch.Generator().manual_seed(seed)),
            DataLoader(tuning, _BATCH, collate_fn=tuning.collate),
        )
        model.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    model.eval()
    with torch.no_grad():
        parts = [torch.sigmoid(model(*batch[:-1]).double()) for batch in DataLoader(scored, _BATCH, collate_fn=scored.collate)]
    return torch.cat(parts).numpy()
