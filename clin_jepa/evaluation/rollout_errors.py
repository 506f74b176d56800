"""Errors of the model's rollouts and of the simple forecasts, on the fixed windows."""

# Shapes: N windows, B windows at a time, C context hours, H horizon hours, D latent features.

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from clin_jepa.data.datamodule import Split, TrajectoryDataModule
from clin_jepa.evaluation import model_names as names
from clin_jepa.evaluation.action_arms import last_action_kept, no_action
from clin_jepa.evaluation.drift import error_curve
from clin_jepa.evaluation.forecasts import copy_forward, linear_extrapolation, mean_by_hour, training_mean
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.windows import EvaluationWindows
from clin_jepa.module import ClinJEPA

# Hours beyond a stay's first two weeks are not in a store.
_MOST_HOURS = 336
# Whose latents are asked for at a time.
_HOURS_AT_ONCE = 4096


@dataclass(frozen=True)
class SplitHours:
    """Every hour of the stays of a split, each once.

    Args:
        stay_rows: Row of each stay in the token store.
        n_hours: Hours of each stay.
        state_id_M: Number of each hour's state text.
        stay_M: Position of each hour's stay among the split's stays.
        hour_M: Hour of stay.
    """

    stay_rows: NDArray[np.int64]
    n_hours: NDArray[np.int64]
    state_id_M: NDArray[np.int64]
    stay_M: NDArray[np.int64]
    hour_M: NDArray[np.int64]


def split_hours(data: TrajectoryDataModule, split: Split) -> SplitHours:
    """The hours of a split's stays, in the order of the store."""
    tokens = data.tokens
    rows = data.store.stays.with_row_index("row").filter(pl.col("split") == split)["row"].to_numpy().astype(np.int64)
    first, n_hours = tokens.first_row_S[rows], tokens.first_row_S[rows + 1] - tokens.first_row_S[rows]
    stay_M = np.repeat(np.arange(len(rows)), n_hours)
    hour_M = np.arange(int(n_hours.sum())) - np.repeat(np.cumsum(n_hours) - n_hours, n_hours)
    return SplitHours(rows, n_hours, tokens.state_H[np.repeat(first, n_hours) + hour_M], stay_M, hour_M)


def training_mean_by_hour(data: TrajectoryDataModule, latents: StoreLatents) -> tuple[Tensor, Tensor]:
    """Mean latent of the training stays' states by hour of stay, and how many there are, as `mean_by_hour` gives them.

    Args:
        data: The store.
        latents: Latents of its texts.
    """
    train = split_hours(data, "train")
    blocks = [slice(first, first + _HOURS_AT_ONCE) for first in range(0, len(train.hour_M), _HOURS_AT_ONCE)]
    parts = (
        (latents.of_texts(train.state_id_M[block]), torch.from_numpy(train.hour_M[block]))
        for block in tqdm(blocks, desc="encode train", unit="block")
    )
    return mean_by_hour(parts, _MOST_HOURS)


def drawn_hours(hours: SplitHours, most: int, seed: int) -> NDArray[np.bool_]:
    """Which hours are of stays that are drawn until another one would make them too many, ``[M]``; all where they are no more.

    Args:
        hours: Of a split.
        most: Hours, at most.
        seed: Of the draw.
    """
    order = np.random.default_rng(seed).permutation(len(hours.n_hours))
    taken = order[np.cumsum(hours.n_hours[order]) <= most]
    return np.isin(hours.stay_M, taken)


def rollout_errors(
    module: ClinJEPA,
    data: TrajectoryDataModule,
    latents: StoreLatents,
    mean_of_hour: tuple[Tensor, Tensor],
    split: Split,
    windows: EvaluationWindows,
    batch_size: int,
) -> dict[str, Tensor]:
    """Mean absolute error of each forecast, window and hour.

    Args:
        module: The frozen model.
        data: Its data.
        latents: Latents of its texts.
        mean_of_hour: From `training_mean_by_hour`.
        split: The split that the windows are of.
        windows: The fixed windows.
        batch_size: Windows rolled out at a time.

    Returns:
        By the names of `model_names`, ``[N, H]`` each.
    """
    hours = split_hours(data, split)
    context, horizon = windows.context_hours, windows.horizon_hours
    texts, stamped = _action_texts(data, hours), bool(data.store.dataset.get("hour_stamp", True))
    errors: dict[str, list[Tensor]] = {}
    for batch in tqdm(WindowBatches(data, hours, latents, windows, batch_size), desc="roll out", unit="batch"):
        context_BCD, future_BHD = batch.state_BLD[:, :context], batch.state_BLD[:, context:]
        scenarios = _scenarios(latents, texts, batch.stay_B, batch.start_B, context, batch.action_BLD, stamped)
        arms = {names.TRUE_ACTIONS: batch.action_BLD, **scenarios}
        forecasts = {
            **{arm: roll_out(module, batch.static_BD, context_BCD, actions) for arm, actions in arms.items()},
            names.COPY_FORWARD: copy_forward(context_BCD, horizon),
            names.TRAINING_MEAN: training_mean(*mean_of_hour, torch.from_numpy(batch.start_B + context), horizon),
            names.LINEAR: linear_extrapolation(context_BCD, horizon),
        }
        for name, forecast_BHD in forecasts.items():
            errors.setdefault(name, []).append(error_curve(forecast_BHD, future_BHD))
    return {name: torch.cat(parts) for name, parts in errors.items()}


@dataclass(frozen=True)
class WindowBatch:
    """Latents of some windows.

    Args:
        stay_B: Position of each window's stay among the split's stays.
        start_B: First hour of stay.
        row_BL: Row of each hour in the store's order.
        static_BD: Latents of the static texts.
        state_BLD: Latents of the states, context and horizon.
        action_BLD: Latents of the actions, all hours but the last.
    """

    stay_B: NDArray[np.int64]
    start_B: NDArray[np.int64]
    row_BL: NDArray[np.int64]
    static_BD: Tensor
    state_BLD: Tensor
    action_BLD: Tensor


class WindowBatches:
    """The windows of an evaluation, some at a time.

    Args:
        data: The store.
        hours: Of the split that the windows are of.
        latents: Latents of the store's texts.
        windows: The fixed windows.
        batch_size: Windows at a time.
    """

    def __init__(
        self, data: TrajectoryDataModule, hours: SplitHours, latents: StoreLatents, windows: EvaluationWindows, batch_size: int
    ) -> None:
        self.data, self.hours, self.latents, self.windows, self.batch_size = data, hours, latents, windows, batch_size

    def __len__(self) -> int:
        return -(-len(self.windows) // self.batch_size)

    def __iter__(self) -> Iterator[WindowBatch]:
        tokens, windows = self.data.tokens, self.windows
        for begin in range(0, len(windows), self.batch_size):
            stay_B = windows.stay_index_N[begin : begin + self.batch_size]
            start_B = windows.start_N[begin : begin + self.batch_size]
            stay_rows = self.hours.stay_rows[stay_B]
            row_BL = (tokens.first_row_S[stay_rows] + start_B)[:, None] + np.arange(windows.context_hours + windows.horizon_hours)
            yield WindowBatch(
                stay_B,
                start_B,
                row_BL,
                self.latents.of_texts(tokens.static_S[stay_rows]),
                self.latents.of_texts(tokens.state_H[row_BL]),
                self.latents.of_texts(tokens.action_H[row_BL])[:, :-1],
            )


def errors_table(errors: dict[str, Tensor], windows: EvaluationWindows, data: TrajectoryDataModule, split: Split) -> pl.DataFrame:
    """A row a forecast, window and hour: ``forecast, stay_id, start, hour, l1``.

    Args:
        errors: From `rollout_errors`.
        windows: The fixed windows.
        data: The store.
        split: The split that the windows are of.
    """
    stay_ids = data.store.stays["stay_id"].to_numpy()[split_hours(data, split).stay_rows[windows.stay_index_N]]
    hours = windows.horizon_hours
    tables = [
        pl.DataFrame(
            {
                "forecast": np.full(len(windows) * hours, name),
                "stay_id": np.repeat(stay_ids, hours),
                "start": np.repeat(windows.start_N, hours).astype(np.int32),
                "hour": np.tile(np.arange(1, hours + 1, dtype=np.int32), len(windows)),
                "l1": error_NH.flatten().numpy(),
            }
        )
        for name, error_NH in errors.items()
    ]
    return pl.concat(tables)


def _action_texts(data: TrajectoryDataModule, hours: SplitHours) -> list[list[str]]:
    """The action texts of each stay of a split, by hour."""
    ids = data.store.stays["stay_id"].gather(hours.stay_rows)
    table = data.store.scan_hours().filter(pl.col("stay_id").is_in(ids.implode())).sort("stay_id", "hour").collect()
    by_stay = dict(table.group_by("stay_id", maintain_order=True).agg("action_text").iter_rows())
    return [by_stay[stay_id] for stay_id in ids]


def _scenarios(
    latents: StoreLatents,
    texts: list[list[str]],
    stay_B: NDArray[np.int64],
    start_B: NDArray[np.int64],
    context: int,
    action_BLD: Tensor,
    stamped: bool,
) -> dict[str, Tensor]:
    """Actions of the two other arms: true within the context, a scenario after it."""
    ahead = action_BLD.shape[1] - context
    kept: list[str] = []
    none: list[str] = []
    for stay, start in zip(stay_B.tolist(), start_B.tolist(), strict=True):
        hours = range(start + context, start + context + ahead)
        kept += last_action_kept(texts[stay][start + context - 1], hours, stamped)
        none += no_action(hours, stamped)
    scenarios = {}
    for arm, arm_texts in ((names.LAST_ACTION, kept), (names.NO_ACTION, none)):
        future_BHD = latents.of_new_texts(arm_texts).view(len(stay_B), ahead, -1) if ahead else action_BLD[:, context:]
        scenarios[arm] = torch.cat([action_BLD[:, :context], future_BHD], dim=1)
    return scenarios


@torch.no_grad()
def roll_out(module: ClinJEPA, static_BD: Tensor, context_BCD: Tensor, action_BLD: Tensor) -> Tensor:
    """Predicted latents of the hours after the context, ``[B, H, D]`` on the CPU; as `LatentTrajectoryPredictor.rollout`."""
    device = module.predictor.positions.device
    rolled: Tensor = module.predictor.rollout(static_BD.to(device), context_BCD.to(device), action_BLD.to(device))
    return rolled.cpu()
