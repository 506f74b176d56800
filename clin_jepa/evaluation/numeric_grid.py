"""What a store tells of each hour as one table of numbers, for models that do not read text."""

# Shapes: H hours of all stays, V variables, N rows, W hours of a summary, C columns.

import warnings
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.data.trajectory_store import TrajectoryStore

# A variable is a column where this share of the training stays has it.
_SHARE_OF_STAYS = 0.02
# What an action text tells without a number: a name, a colon, and what no number begins with.
_WITHOUT_NUMBER = "[^;|]+: [^-0-9;|][^;|]*"
SUMMARIES = ("mean", "last", "min", "max", "std", "trend")
SUMMARY_HOURS = 24

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NumericGrid:
    """The last value of each variable in each hour, and which treatments without a number were given.

    Args:
        variables: Names of the columns; which ones is decided by the training split alone.
        value_HV: Values, ``[H, V]`` float32; NaN where nothing was recorded. Stays lie in the order of the store's table of stays.
        first_S: Row of each stay's first hour, ``[S + 1]`` int64.
        static_SC: Age in years and whether male, ``[S, 2]`` float32; NaN where unknown.
        treatments: How many of the columns, the last ones, are treatments that have no number, such as ``invasive ventilation: ongoing``:
            1 in the hours whose text tells them, 0 in all others.
    """

    variables: tuple[str, ...]
    value_HV: Floats
    first_S: NDArray[np.int64]
    static_SC: Floats
    treatments: int = 0

    @property
    def numbers(self) -> "NumericGrid":
        """The same without treatments that have no number; a view."""
        count = len(self.variables) - self.treatments
        return replace(self, variables=self.variables[:count], value_HV=self.value_HV[:, :count], treatments=0)

    def stay(self, row: int) -> Floats:
        """Values of one stay, ``[T, V]``."""
        return self.value_HV[self.first_S[row] : self.first_S[row + 1]]


def read_grid(store: TrajectoryStore) -> NumericGrid:
    """The numbers of all stays of a store, and the treatments without one that its texts tell.

    Args:
        store: The store.

    Raises:
        InputError: If a value or a text is of an hour that its stay does not have.
    """
    stays = store.stays.with_row_index("stay")
    n_hours = stays["n_hours"].to_numpy().astype(np.int64)
    first_S = np.concatenate([[0], np.cumsum(n_hours)])
    values = store.scan_values().select("stay_id", "hour", "variable", "last")
    given = (
        store.scan_hours()
        .select("stay_id", "hour", pl.col("action_text").str.extract_all(_WITHOUT_NUMBER).alias("variable"))
        .explode("variable")
        .drop_nulls("variable")
        .with_columns(pl.col("variable").str.strip_chars())
    )
    measured, treatments = _common(values, stays), _common(given, stays)
    value_HV = np.full((int(first_S[-1]), len(measured) + len(treatments)), np.nan, dtype=np.float32)
    value_HV[:, len(measured) :] = 0
    row_N, column_N, last_N = _placed(values, "values", measured, stays, first_S, store)
    value_HV[row_N, column_N] = last_N
    row_N, column_N, given_N = _placed(given.with_columns(pl.lit(1.0).alias("last")), "hours", treatments, stays, first_S, store)
    value_HV[row_N, len(measured) + column_N] = given_N
    sex = stays["sex"].str.to_lowercase()
    male = np.where(sex.is_null(), np.nan, sex.is_in(["m", "male"]).fill_null(False).to_numpy())
    static_SC = np.stack([stays["age"].cast(pl.Float32).fill_null(float("nan")).to_numpy(), male.astype(np.float32)], axis=1)
    return NumericGrid((*measured, *treatments), value_HV, first_S, static_SC.astype(np.float32), len(treatments))


def _common(recorded: pl.LazyFrame, stays: pl.DataFrame) -> list[str]:
    """Names of the variables that enough of the training stays have, sorted."""
    train = stays.filter(pl.col("split") == "train")["stay_id"]
    counted = (
        recorded.filter(pl.col("stay_id").is_in(train.implode()))
        .group_by("variable")
        .agg(pl.col("stay_id").n_unique().alias("stays"))
        .filter(pl.col("stays") >= max(_SHARE_OF_STAYS * len(train), 1))
    )
    return sorted(counted.collect()["variable"])


def _placed(
    recorded: pl.LazyFrame, folder: str, variables: list[str], stays: pl.DataFrame, first_S: NDArray[np.int64], store: TrajectoryStore
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Row, column and value of what is recorded of some variables."""
    columns = pl.LazyFrame({"variable": variables, "column": np.arange(len(variables))}, schema={"variable": pl.String, "column": pl.Int64})
    table = recorded.join(columns, on="variable").join(stays.lazy().select("stay_id", "stay"), on="stay_id").collect()
    stay_N, hour_N = (table[name].to_numpy().astype(np.int64) for name in ("stay", "hour"))
    store.check_hours(folder, stay_N, hour_N)
    return first_S[stay_N] + hour_N, table["column"].to_numpy(), table["last"].to_numpy()


def standardised(grid: NumericGrid, newest_HV: NDArray[np.int32], is_train_S: NDArray[np.bool_]) -> Floats:
    """The last value known of each variable in each hour, in standard deviations of the training stays' measurements; 0 before the first.

    Args:
        grid: The numbers.
        newest_HV: Its `newest_measurement`.
        is_train_S: Which stays are of the training split, ``[S]`` bool.

    Returns:
        ``[H, V]`` float32, between -10 and 10.
    """
    train_HV = grid.value_HV[np.repeat(is_train_S, np.diff(grid.first_S))]
    mean_V, std_V = column_mean_and_std(train_HV)
    value_HV = np.take_along_axis(grid.value_HV, np.maximum(newest_HV, 0), axis=0)
    return np.where(newest_HV >= 0, np.clip((value_HV - mean_V) / std_V, -10, 10), 0.0).astype(np.float32)


def newest_measurement(grid: NumericGrid) -> NDArray[np.int32]:
    """Row of each variable's newest measurement up to and with each hour of the same stay, ``[H, V]`` int32; -1 where there is none."""
    row_H1 = np.arange(len(grid.value_HV), dtype=np.int32)[:, None]
    none = np.int32(-1)
    newest_HV = np.where(np.isfinite(grid.value_HV), row_H1, none)
    np.maximum.accumulate(newest_HV, axis=0, out=newest_HV)
    begin_H1 = np.repeat(grid.first_S[:-1], np.diff(grid.first_S))[:, None]
    newest_HV[newest_HV < begin_H1] = none
    return newest_HV


def last_known(grid: NumericGrid, column: int, row_N: NDArray[np.int64], otherwise: float) -> NDArray[np.float64]:
    """The last measured value of a variable up to and with some hours of the same stay.

    One column at a time, since a grid of positions takes much room.

    Args:
        grid: The numbers.
        column: The variable's.
        row_N: Rows of the hours.
        otherwise: The value before the first measurement.
    """
    of_variable = replace(grid, variables=grid.variables[column : column + 1], value_HV=grid.value_HV[:, [column]])
    newest_N = newest_measurement(of_variable)[row_N, 0]
    return np.where(newest_N >= 0, grid.value_HV[newest_N, column], otherwise).astype(np.float64)


def column_mean_and_std(value_NC: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of what is known of each column; 0 and infinity, which scales to 0, where it does not vary or nothing is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # columns of which nothing is known
        # Summed up in float64: in float32 a few million hours would give a mean that is off by a third of a deviation.
        mean_C, std_C = np.nanmean(value_NC, axis=0, dtype=np.float64), np.nanstd(value_NC, axis=0, dtype=np.float64)
    varies_C = np.isfinite(std_C) & (std_C > 1e-6)
    mean_C, std_C = np.nan_to_num(mean_C), np.where(varies_C, std_C, np.inf)
    return np.asarray(mean_C, dtype=np.float32), np.asarray(std_C, dtype=np.float32)


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
