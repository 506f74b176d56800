"""Latent geometry of a run: how far the latents of deteriorating patients travel, beside those of stable ones and beside raw numbers."""

# Shapes: N windows, T hours.

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.data.datamodule import Split, TrajectoryDataModule
from clin_jepa.evaluation.cohorts import WINDOW_HOURS, Cohorts, find_cohorts, why_no_cohorts
from clin_jepa.evaluation.displacement import Displacements, displacement, displacement_report
from clin_jepa.evaluation.numeric_grid import NumericGrid, newest_measurement, standardised
from clin_jepa.evaluation.store_latents import StoreLatents

SCHEMA = {
    "stay_id": pl.Int64,
    "start": pl.Int32,
    "is_worse": pl.Boolean,
    "measured": pl.Int32,
    "distance": pl.Float64,
    "distance_raw": pl.Float64,
}


def geometry_report(
    data: TrajectoryDataModule, latents: StoreLatents, grid: NumericGrid, split: Split, draws: int, seed: int
) -> tuple[dict[str, Any], pl.DataFrame]:
    """The ``geometry`` section of ``metrics.json``, and the displacement of each window.

    Args:
        data: The store.
        latents: Latents of its texts.
        grid: Its numbers.
        split: The split that is measured.
        draws: Bootstrap draws, by stay.
        seed: Of the draws.

    Returns:
        What `displacement_report` gives for the latents; under ``raw_features`` the same for the store's numbers; ``window_hours``.
        Where a store lacks what cohorts need, ``{"unavailable": why}`` and an empty table.
    """
    reason = why_no_cohorts(data.store)
    cohorts = find_cohorts(data.store, split) if reason is None else None
    if cohorts is None or not len(cohorts.stay_N):
        reason = reason or f"no whole day of the split {split} is of a deteriorating or a stable patient"
        return {"unavailable": reason}, pl.DataFrame(schema=SCHEMA)
    row_NT = _rows(data, cohorts)
    moved_N = np.concatenate(
        [displacement(latents.of_texts(data.tokens.state_H[part]).numpy()) for part in np.array_split(row_NT, _parts(row_NT))]
    )
    is_train_S = (data.store.stays["split"] == "train").to_numpy()
    raw_N = displacement(standardised(grid, newest_measurement(grid), is_train_S)[row_NT])
    report = {
        "window_hours": WINDOW_HOURS,
        **displacement_report(_of(moved_N, cohorts), draws, seed),
        "raw_features": displacement_report(_of(raw_N, cohorts), draws, seed),
    }
    columns = {
        "stay_id": data.store.stays["stay_id"].to_numpy()[cohorts.stay_N],
        "start": cohorts.start_N,
        "is_worse": cohorts.is_worse_N,
        "measured": cohorts.measured_N,
        "distance": moved_N,
        "distance_raw": raw_N,
    }
    return report, pl.DataFrame(columns).cast(SCHEMA)  # type: ignore[arg-type]


def _rows(data: TrajectoryDataModule, cohorts: Cohorts) -> NDArray[np.int64]:
    """Rows of each window's hours in the store's order, ``[N, T]``."""
    first_N = np.asarray(data.tokens.first_row_S)[cohorts.stay_N] + cohorts.start_N
    rows: NDArray[np.int64] = first_N[:, None] + np.arange(WINDOW_HOURS)
    return rows


def _of(distance_N: NDArray[np.float64], cohorts: Cohorts) -> Displacements:
    return Displacements(distance_N, cohorts.is_worse_N, cohorts.stay_N, cohorts.measured_N)


def _parts(row_NT: NDArray[np.int64]) -> int:
    return max(1, row_NT.size // 65_536)
