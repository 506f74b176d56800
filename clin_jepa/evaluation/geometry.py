"""Latent geometry of a run: how far the latents of deteriorating patients travel, beside those of stable ones.

The same is measured on the latents of the encoder as it was before the curriculum, and on the raw numbers.
"""

# Shapes: N windows, T hours, D features.

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from clin_jepa.data.datamodule import Split
from clin_jepa.evaluation.cohorts import WINDOW_HOURS, Cohorts, find_cohorts, why_no_cohorts
from clin_jepa.evaluation.displacement import Floats, displacement, displacement_report, displacements_of, distance, edge_means
from clin_jepa.evaluation.filled_forward import filled_forward
from clin_jepa.evaluation.finished_run import FinishedRun
from clin_jepa.evaluation.numeric_grid import NumericGrid, training_mean_and_std
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.tuned_encoder import encoder_as_tuned
from data_pipelines.variables import action_variables

SCHEMA = {
    "stay_id": pl.Int64,
    "start": pl.Int32,
    "is_worse": pl.Boolean,
    "measured": pl.Int32,
    "distance": pl.Float64,
    "distance_tuned": pl.Float64,
    "distance_raw": pl.Float64,
}
_HOURS_AT_ONCE = 65_536
_STAYS_AT_ONCE = 64


@dataclass(frozen=True)
class Geometry:
    """What was measured.

    Args:
        report: The ``geometry`` section of ``metrics.json``.
        displacements: The displacement of each window, in `SCHEMA`; none where the store has no cohorts.
        first_ND: Mean latent of the first hours of each window, ``[N, D]``.
        last_ND: Of its last hours.
    """

    report: dict[str, Any]
    displacements: pl.DataFrame
    first_ND: Floats
    last_ND: Floats


def measure_geometry(
    opened: FinishedRun,
    latents: StoreLatents,
    grid: NumericGrid,
    split: Split,
    draws: int,
    seed: int,
    tuned: Path | None,
    why_not_tuned: str = "",
) -> Geometry:
    """Measure the windows of a split.

    Args:
        opened: The run.
        latents: Latents of the store's texts.
        grid: Its numbers.
        split: The split that is measured.
        draws: Bootstrap draws, by stay.
        seed: Of the draws.
        tuned: Checkpoint of the encoder before the curriculum, where that encodes the windows too.
        why_not_tuned: Why there is none.

    Returns:
        A report with what `displacement_report` gives for the latents; the same under ``tuned_encoder`` for the encoder before the
        curriculum, and under ``raw_features`` for the store's numbers; ``window_hours``; ``n_by_criterion``, how many windows each
        criterion of deterioration holds for. ``{"unavailable": why}`` stands in place of what could not be measured.
    """
    data = opened.data
    reason = why_no_cohorts(data.store)
    cohorts = find_cohorts(data.store, split) if reason is None else None
    if cohorts is None or not len(cohorts.stay_N):
        reason = reason or f"no whole day of the split {split} is of a deteriorating or a stable patient"
        nothing = np.zeros((0, latents.cache.latent_dim))
        return Geometry({"unavailable": reason}, pl.DataFrame(schema=SCHEMA), nothing, nothing)
    row_NT = _rows(opened, cohorts)
    first_ND, last_ND = _edges(latents, data.tokens.state_H, row_NT)
    moved_N = distance(first_ND, last_ND)
    tuned_N = None if tuned is None else _of_the_tuned_encoder(opened, latents, row_NT, tuned)
    is_train_S = (data.store.stays["split"] == "train").to_numpy()
    raw_N = _of_numbers(grid.numbers, cohorts, is_train_S)

    columns = {
        "stay_id": data.store.stays["stay_id"].to_numpy()[cohorts.stay_N],
        "start": cohorts.start_N,
        "is_worse": cohorts.is_worse_N,
        "measured": cohorts.measured_N,
        "distance": moved_N,
        "distance_tuned": tuned_N,
        "distance_raw": raw_N,
    }
    table = pl.DataFrame(columns).cast(SCHEMA)  # type: ignore[arg-type]

    def report(distance: str) -> dict[str, Any]:
        return displacement_report(displacements_of(table, distance), draws, seed)

    return Geometry(
        {
            "window_hours": WINDOW_HOURS,
            **report("distance"),
            "n_by_criterion": dict(cohorts.n_by_criterion),
            "tuned_encoder": {"unavailable": why_not_tuned} if tuned_N is None else report("distance_tuned"),
            "raw_features": report("distance_raw"),
        },
        table,
        first_ND,
        last_ND,
    )


def _of_the_tuned_encoder(opened: FinishedRun, latents: StoreLatents, row_NT: NDArray[np.int64], checkpoint: Path) -> Floats:
    """Displacement of each window's latents under the encoder before the curriculum."""
    with encoder_as_tuned(opened, checkpoint):
        before = StoreLatents(opened.module, opened.data.tokens, latents.tokenizer, opened.folder / "latents")
        return distance(*_edges(before, opened.data.tokens.state_H, row_NT, progress="encode as tuned"))


def _of_numbers(grid: NumericGrid, cohorts: Cohorts, is_train_S: NDArray[np.bool_]) -> Floats:
    """Displacement of each window's last known numbers, ``[N]``: of what was measured, as latents are of states alone."""
    actions = action_variables()
    column_V = np.array([column for column, variable in enumerate(grid.variables) if variable not in actions], dtype=np.int64)
    mean_V, std_V = (torch.from_numpy(part[column_V]) for part in training_mean_and_std(grid, is_train_S))
    found: list[Floats] = []
    for part_M in np.array_split(np.arange(len(cohorts.stay_N)), -(-len(cohorts.stay_N) // _STAYS_AT_ONCE)):
        start_M = cohorts.start_N[part_M]
        windows = zip(cohorts.stay_N[part_M], start_M, strict=True)
        stays = [torch.from_numpy(grid.stay(stay)[: start + WINDOW_HOURS, column_V]) for stay, start in windows]
        value_MTV = filled_forward(stays, mean_V, std_V).value_BTV.numpy()
        hour_MT = start_M[:, None] + np.arange(WINDOW_HOURS)
        found.append(displacement(value_MTV[np.arange(len(part_M))[:, None], hour_MT]))
    return np.concatenate(found)


def _edges(
    latents: StoreLatents, state_H: NDArray[np.int64], row_NT: NDArray[np.int64], progress: str | None = None
) -> tuple[Floats, Floats]:
    parts = np.array_split(row_NT, max(1, row_NT.size // _HOURS_AT_ONCE))
    pairs = [edge_means(latents.of_texts(state_H[part], progress).numpy()) for part in parts]
    first_ND, last_ND = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return first_ND, last_ND


def _rows(opened: FinishedRun, cohorts: Cohorts) -> NDArray[np.int64]:
    """Rows of each window's hours in the store's order, ``[N, T]``."""
    first_N = np.asarray(opened.data.tokens.first_row_S)[cohorts.stay_N] + cohorts.start_N
    rows: NDArray[np.int64] = first_N[:, None] + np.arange(WINDOW_HOURS)
    return rows
