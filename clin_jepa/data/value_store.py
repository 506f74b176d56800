"""ValueStore: the measured numbers of a trajectory store by hour, standardised, in memory-mapped files."""

# Shapes: H hours of all stays, S stays, M measurements, V variables, B windows, T hours of a window, C static numbers.

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.data.mapped_folder import MappedFolder, written_once
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError

_FORMAT = 1

# A variable that fewer of the training stays have is left out, here and in the numbers that evaluation reads.
SHARE_OF_STAYS = 0.02

# Values further from the mean than so many standard deviations are cut to them.
MOST_DEVIATIONS = 10.0

# Age in years, and whether male.
STATIC_NUMBERS = 2

Floats = NDArray[np.float32]


class ValueStore(MappedFolder):
    """The last value of each variable in each hour, in standard deviations of the training stays' values.

    Only what was measured is kept; opening costs nothing, and memory does not grow with the store.

    Args:
        folder: The folder that `open_value_store` wrote.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.offset_H: NDArray[np.int64] = self._map("offsets")
        self.variable_M: NDArray[np.uint16] = self._map("variables")
        self.value_M: Floats = self._map("values")
        self.static_SC: Floats = self._map("statics")

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.about["variables"])

    @property
    def per_hour(self) -> float:
        """Measurements in an hour of the training stays, on average."""
        return float(self.about["per_hour"])

    def hours(self, first: int, count: int) -> Floats:
        """Values of a run of hours, ``[count, V]`` float32; NaN where nothing was measured.

        Args:
            first: Row of the first one; stays lie in the order of the store's table of stays.
            count: How many.
        """
        offset_T = np.asarray(self.offset_H[first : first + count + 1])
        value_TV = np.full((count, len(self.variables)), np.nan, dtype=np.float32)
        row_M = np.repeat(np.arange(count), np.diff(offset_T))
        own = slice(int(offset_T[0]), int(offset_T[-1]))
        value_TV[row_M, self.variable_M[own]] = self.value_M[own]
        return value_TV


def open_value_store(store: TrajectoryStore, folder: Path) -> ValueStore:
    """The numbers of a store; written at the first call, opened afterwards.

    Which variables there are, their means and their deviations are the training split's alone.

    Args:
        store: The trajectory store.
        folder: Where such files are kept; each store's lie in a folder named by its fingerprint.

    Raises:
        InputError: If no training stay has a number, if a number is of an hour that its stay does not have, or if the folder cannot be
            written.
    """
    fingerprint = hashlib.sha256(f"{_FORMAT} {store.fingerprint}".encode()).hexdigest()
    return ValueStore(written_once(folder, f"values-{fingerprint[:16]}", lambda staging: _build(store, staging)))


def _build(store: TrajectoryStore, folder: Path) -> None:
    trained = store.stays.filter(pl.col("split") == "train")
    known = _known_variables(store, trained["stay_id"])
    if known.is_empty():
        raise InputError(
            f"{store.path}: no number of a training stay is in the table of values: set --model.grounding.ahead, "
            "present and outlook to 0, or give another store"
        )
    columns = known.with_row_index("column").with_columns(pl.col("column").cast(pl.UInt16))
    # A file at a time: the values of a large store are many.
    parts = store.values_by_file()
    count_H = np.zeros(int(store.first_row_S[-1]), dtype=np.int64)
    for part in parts:
        count_H += np.bincount(_placed(store, part, columns)[0], minlength=len(count_H))
    offset_H = np.concatenate([[0], np.cumsum(count_H)])
    variable_M = np.lib.format.open_memmap(folder / "variables.npy", mode="w+", dtype=np.uint16, shape=(int(offset_H[-1]),))
    value_M = np.lib.format.open_memmap(folder / "values.npy", mode="w+", dtype=np.float32, shape=(int(offset_H[-1]),))
    for part in parts:
        row_N, column_N, value_N = _placed(store, part, columns)
        within_N = np.arange(len(row_N)) - np.searchsorted(row_N, row_N)
        variable_M[offset_H[row_N] + within_N], value_M[offset_H[row_N] + within_N] = column_N, value_N
    variable_M.flush()
    value_M.flush()
    np.save(folder / "offsets.npy", offset_H)
    np.save(folder / "statics.npy", _static_numbers(store.stays))
    hours = int(trained["n_hours"].sum())
    about = {"variables": known["variable"].to_list(), "per_hour": int(known["n"].sum()) / hours}
    (folder / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")


def _known_variables(store: TrajectoryStore, trained: pl.Series) -> pl.DataFrame:
    """``variable``, ``mean``, ``std``, ``n``, of what the training stays have and what varies in them, in the order of the names."""
    return (
        store.scan_values()
        .filter(pl.col("stay_id").is_in(trained.implode()) & pl.col("last").is_finite())
        .group_by("variable")
        .agg(
            pl.col("last").cast(pl.Float64).mean().alias("mean"),
            pl.col("last").cast(pl.Float64).std(ddof=0).alias("std"),
            pl.len().alias("n"),
            pl.col("stay_id").n_unique().alias("stays"),
        )
        .filter((pl.col("stays") >= max(SHARE_OF_STAYS * len(trained), 1)) & (pl.col("std") > 1e-6))
        .sort("variable")
        .collect()
    )


def _placed(store: TrajectoryStore, part: pl.LazyFrame, columns: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.uint16], Floats]:
    """Row, column and standardised value of each measurement of a file, by row and column."""
    measured = (
        part.filter(pl.col("last").is_finite())
        .select("stay_id", "hour", "variable", "last")
        .join(columns.lazy(), on="variable")
        .select("stay_id", "hour", "column", ((pl.col("last") - pl.col("mean")) / pl.col("std")).cast(pl.Float32).alias("value"))
    )
    table = store.placed("values", measured).sort("row", "column")
    value_N = np.clip(table["value"].to_numpy(), -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return table["row"].to_numpy(), table["column"].to_numpy(), value_N


def _static_numbers(stays: pl.DataFrame) -> Floats:
    """Age and whether male, in deviations of the training stays, ``[S, 2]``; NaN where unknown or where it does not vary."""
    sex = stays["sex"].cast(pl.String).str.to_lowercase() if "sex" in stays.columns else pl.Series([None] * len(stays), dtype=pl.String)
    age = stays["age"].cast(pl.Float64) if "age" in stays.columns else pl.Series([None] * len(stays), dtype=pl.Float64)
    male = pl.select(pl.when(sex.is_in(["m", "male"])).then(1.0).when(sex.is_in(["f", "female"])).then(0.0)).to_series()
    found = np.full((len(stays), STATIC_NUMBERS), np.nan, dtype=np.float32)
    is_train_S = (stays["split"] == "train").to_numpy()
    for column, series in enumerate((age, male)):
        value_S = series.fill_null(float("nan")).to_numpy().astype(np.float64)
        known_N = value_S[is_train_S & np.isfinite(value_S)]
        if len(known_N) and known_N.std() > 1e-6:
            found[:, column] = np.clip((value_S - known_N.mean()) / known_N.std(), -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return found
