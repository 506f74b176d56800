"""What a store tells of each hour as one table of numbers, for models that do not read text."""

# Shapes: H hours of all stays, V variables, N rows, W hours of a summary, C columns.

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.data.value_store import SHARE_OF_STAYS

# What a text tells without a number: a name, a colon, and either what no number begins with, or a number and more than its unit.
_WITHOUT_NUMBER = "[^;|]+: (?:[^-0-9;|:][^;|:]*|-?[0-9][^ ;|:]* [^ ;|:]+ [^;|:]+)"
_ROWS_AT_ONCE = 16_384
_LEAST_DEVIATION = 1e-6
SUMMARIES = ("mean", "last", "min", "max", "std", "trend")
SUMMARY_HOURS = 24

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NumericGrid:
    """The last value of each variable in each hour, and what else its texts tell.

    Args:
        variables: Names of the columns; which ones is decided by the training split alone.
        value_HV: Values, ``[H, V]`` float32; NaN where nothing was recorded. Stays lie in the order of the store's table of stays.
        first_S: Row of each stay's first hour, ``[S + 1]`` int64.
        static_SC: Age in years and whether male, ``[S, 2]`` float32; NaN where unknown.
        told: How many of the columns, the last ones, are not numbers, such as ``invasive ventilation: ongoing`` or ``heart rhythm: AF``: 1
            in the hours whose texts tell them, 0 in all others.
    """

    variables: tuple[str, ...]
    value_HV: Floats
    first_S: NDArray[np.int64]
    static_SC: Floats
    told: int = 0

    @property
    def numbers(self) -> "NumericGrid":
        """The same without what is told without a number; a view."""
        count = len(self.variables) - self.told
        return replace(self, variables=self.variables[:count], value_HV=self.value_HV[:, :count], told=0)

    def stay(self, row: int) -> Floats:
        """Values of one stay, ``[T, V]``."""
        return self.value_HV[self.first_S[row] : self.first_S[row + 1]]


def read_grid(store: TrajectoryStore) -> NumericGrid:
    """The numbers of all stays of a store, and what its texts tell without one.

    Args:
        store: The store.

    Raises:
        InputError: If a value or a text is of an hour that its stay does not have.
    """
    numbers = [part.select("stay_id", "hour", "variable", pl.col("last").alias("value")) for part in store.values_by_file()]
    told = _told(store)
    of_numbers, of_told = _common(store, numbers), _common(store, told)
    value_HV = np.full((int(store.first_row_S[-1]), len(of_numbers) + len(of_told)), np.nan, dtype=np.float32)
    value_HV[:, len(of_numbers) :] = 0
    # A file at a time: the values of a large store are many.
    for folder, parts, variables, first in (("values", numbers, of_numbers, 0), ("hours", told, of_told, len(of_numbers))):
        columns = {"variable": variables, "column": np.arange(first, first + len(variables))}
        column = pl.LazyFrame(columns, schema={"variable": pl.String, "column": pl.Int64})
        for part in parts:
            table = store.placed(folder, part.join(column, on="variable"))
            value_HV[table["row"].to_numpy(), table["column"].to_numpy()] = table["value"].to_numpy()
    sex = store.stays["sex"].str.to_lowercase()
    male = np.where(sex.is_null(), np.nan, sex.is_in(["m", "male"]).fill_null(False).to_numpy())
    age = store.stays["age"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    static_SC = np.stack([age, male.astype(np.float32)], axis=1).astype(np.float32)
    return NumericGrid((*of_numbers, *of_told), value_HV, store.first_row_S, static_SC, len(of_told))


def _told(store: TrajectoryStore) -> list[pl.LazyFrame]:
    """``stay_id``, ``hour`` and ``variable`` of what texts tell without a number, and the ``value`` 1, a file at a time."""
    fragments = pl.concat_list(pl.col(text).str.extract_all(_WITHOUT_NUMBER) for text in ("state_text", "action_text")).alias("variable")
    return [
        part.select("stay_id", "hour", fragments)
        .explode("variable")
        .drop_nulls("variable")
        .with_columns(pl.col("variable").str.strip_chars(), pl.lit(1.0, dtype=pl.Float32).alias("value"))
        for part in store.hours_by_file()
    ]


def _common(store: TrajectoryStore, parts: list[pl.LazyFrame]) -> list[str]:
    """Names of the variables that enough of the training stays have, sorted; each part holds whole stays."""
    train = store.stays.filter(pl.col("split") == "train")["stay_id"]
    of_train, n_stays = pl.col("stay_id").is_in(train.implode()), pl.col("stay_id").n_unique().cast(pl.Int64).alias("stays")
    counted = [part.filter(of_train).group_by("variable").agg(n_stays).collect() for part in parts]
    stays = pl.concat(counted).group_by("variable").sum()
    return sorted(stays.filter(pl.col("stays") >= max(SHARE_OF_STAYS * len(train), 1))["variable"])


def last_known(grid: NumericGrid, column: int, row_N: NDArray[np.int64], otherwise: float) -> NDArray[np.float64]:
    """The last measured value of a variable up to and with some hours of the same stay.

    Args:
        grid: The numbers.
        column: The variable's.
        row_N: Rows of the hours.
        otherwise: The value before the first measurement.
    """
    value_H = grid.value_HV[:, column]
    newest_H = np.where(np.isfinite(value_H), np.arange(len(value_H)), -1)
    np.maximum.accumulate(newest_H, out=newest_H)
    begin_N = grid.first_S[np.searchsorted(grid.first_S, row_N, side="right") - 1]
    return np.where(newest_H[row_N] >= begin_N, value_H[newest_H[row_N]], otherwise).astype(np.float64)


def training_mean_and_std(grid: NumericGrid, is_train_S: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """`column_mean_and_std` of the hours of the training stays, ``[V]`` each.

    Args:
        grid: The numbers.
        is_train_S: Which stays are of the training split, ``[S]`` bool.
    """
    return column_mean_and_std(grid.value_HV, np.repeat(is_train_S, np.diff(grid.first_S)))


def column_mean_and_std(value_NC: Floats, is_counted_N: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
    """Mean and deviation of what is known of each column; 0 and infinity, which scales to 0, where it does not vary or nothing is known.

    Args:
        value_NC: Values, ``[N, C]``; NaN where nothing is known.
        is_counted_N: Rows that count; all by default.
    """

    # Some rows at a time, since a copy of a grid takes much room; in float64, since in float32 a few million hours would give a mean that
    # is off by a third of a deviation.
    def blocks() -> Iterator[NDArray[np.float64]]:
        for start in range(0, len(value_NC), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            yield value_NC[block][... if is_counted_N is None else is_counted_N[block]].astype(np.float64)

    count_C, sum_C, square_C = (np.zeros(value_NC.shape[1]) for _ in range(3))
    for block_MC in blocks():
        count_C += np.isfinite(block_MC).sum(axis=0)
        sum_C += np.nansum(block_MC, axis=0)
    mean_C = sum_C / np.maximum(count_C, 1)
    for block_MC in blocks():
        square_C += np.nansum((block_MC - mean_C) ** 2, axis=0)
    std_C = np.sqrt(square_C / np.maximum(count_C, 1))
    return mean_C.astype(np.float32), np.where(std_C > _LEAST_DEVIATION, std_C, np.inf).astype(np.float32)


def summary_columns(grid: NumericGrid) -> list[str]:
    """Names of the columns of `summaries`."""
    return [f"{variable} {summary}" for summary in SUMMARIES for variable in grid.variables] + ["age", "male", "hour"]


def summaries(grid: NumericGrid, stay_N: NDArray[np.int64], hour_N: NDArray[np.int64], hours: int = SUMMARY_HOURS) -> Floats:
    """Six summaries of each variable over the last hours up to and with an hour, age, sex and the hour of stay.

    Mean, last, smallest and largest value, standard deviation (of the population), and trend (least-squares slope an hour; 0 where there
    is one value). NaN where nothing was recorded in those hours.

    Args:
        grid: The numbers.
        stay_N: Row of each stay in the store's table of stays, ``[N]``; fastest where equal ones follow each other.
        hour_N: Hour of each stay, ``[N]``.
        hours: Hours that are looked at.

    Returns:
        ``[N, C]`` float32, columns as in `summary_columns`.
    """
    found = np.empty((len(stay_N), len(SUMMARIES) * len(grid.variables) + 3), dtype=np.float32)
    if not len(stay_N):
        return found
    firsts = np.flatnonzero(np.diff(stay_N, prepend=-1))
    for first, last in zip(firsts, [*firsts[1:], len(stay_N)], strict=True):
        stay = int(stay_N[first])
        found[first:last, :-3] = _of_stay(grid.stay(stay), hour_N[first:last], hours)
        found[first:last, -3:-1] = grid.static_SC[stay]
    found[:, -1] = hour_N
    return found


def _of_stay(value_TV: Floats, hour_M: NDArray[np.int64], hours: int) -> Floats:
    padding = np.full((hours - 1, value_TV.shape[1]), np.nan, dtype=np.float32)
    seen_MVW = np.lib.stride_tricks.sliding_window_view(np.concatenate([padding, value_TV]), hours, axis=0)[hour_M]
    known_MVW = np.isfinite(seen_MVW)
    count_MV = known_MVW.sum(axis=2)
    is_known_MV = count_MV > 0
    safe_MV = np.maximum(count_MV, 1)
    value_MVW = np.where(known_MVW, seen_MVW, 0.0).astype(np.float64)
    time_W = np.arange(hours, dtype=np.float64)
    mean_MV = value_MVW.sum(axis=2) / safe_MV
    time_MV = (known_MVW * time_W).sum(axis=2) / safe_MV
    off_MVW = np.where(known_MVW, value_MVW - mean_MV[..., None], 0.0)
    ahead_MVW = np.where(known_MVW, time_W - time_MV[..., None], 0.0)
    spread_MV = (ahead_MVW**2).sum(axis=2)
    trend_MV = np.divide((ahead_MVW * off_MVW).sum(axis=2), spread_MV, out=np.zeros_like(spread_MV), where=spread_MV > 0)
    newest_MV = hours - 1 - np.argmax(known_MVW[..., ::-1], axis=2)
    last_MV = np.take_along_axis(value_MVW, newest_MV[..., None], axis=2)[..., 0]
    smallest_MV = np.where(known_MVW, seen_MVW, np.inf).min(axis=2)
    largest_MV = np.where(known_MVW, seen_MVW, -np.inf).max(axis=2)
    std_MV = np.sqrt((off_MVW**2).sum(axis=2) / safe_MV)
    columns = [mean_MV, last_MV, smallest_MV, largest_MV, std_MV, trend_MV]
    return np.concatenate([np.where(is_known_MV, column_MV, np.nan) for column_MV in columns], axis=1).astype(np.float32)
