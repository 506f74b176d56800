"""Plain forecasts of bedside variables: ridge regression on summaries of their numbers in the 24 hours up to the end of a context."""

# Shapes: H hours of all stays, S stays, N rows, C columns.

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clin_jepa.evaluation.numeric_grid import NumericGrid, last_known, summaries
from clin_jepa.evaluation.tabular_baselines import StandardColumns

# Of a large hospital; more rows make 300 coefficients no better, but slow.
_MOST_ROWS = {"train": 5_000, "tuning": 1_250}
# Strengths of the penalty that are chosen from by the tuning rows' squared error, as shares of the rows' weight. The last, infinite one
# leaves the mean change.
_STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, float("inf"))

Floats = NDArray[np.float64]


class RidgeForecasts:
    """By how much a variable will differ from its last known value over some hours ahead, fitted on hours of the training split.

    Coefficients are those that least squares with an L2 penalty has (Hoerl and Kennard, 1970), of `StandardColumns` of `summaries`; a row
    counts as often as the variable was measured in the hours that are forecast. The penalty is chosen on the tuning split.

    Args:
        grid: The numbers of the variables that are forecast and read.
        split_S: Split of each stay, ``[S]`` str.
        context_hours: Hours that a forecast has seen; rows are hours of stays that are so old at least, where there are any.
        seed: Of the rows drawn.
    """

    def __init__(self, grid: NumericGrid, split_S: NDArray[np.str_], context_hours: int, seed: int) -> None:
        self.grid = grid
        random = np.random.default_rng(seed)
        self._row = {split: _drawn_rows(grid, split_S == split, context_hours, most, random) for split, most in _MOST_ROWS.items()}
        columns = {split: summaries(grid, *_places(grid, row_N)) for split, row_N in self._row.items()}
        self._columns = StandardColumns(columns["train"])
        self._prepared = {split: self.prepared(column_NC) for split, column_NC in columns.items()}
        self._is_train_H = np.repeat(split_S == "train", np.diff(grid.first_S))
        # Last row of each row's stay.
        self._end_H = np.repeat(grid.first_S[1:], np.diff(grid.first_S)) - 1

    def prepared(self, summary_NC: NDArray[np.float32]) -> Floats:
        """What a forecast reads, of `summaries` at the last hours of the contexts."""
        return self._columns.prepared(summary_NC).astype(np.float64)

    def of_variable(self, column: int) -> "VariableForecasts":
        """Forecasts of one variable, by its column of the grid."""
        value_H = self.grid.value_HV[:, column].astype(np.float64)
        known_H = np.isfinite(value_H)
        otherwise = float(value_H[known_H & self._is_train_H].mean())
        summed_H, counted_H = (np.concatenate([[0.0], np.cumsum(table_H)]) for table_H in (np.where(known_H, value_H, 0.0), known_H))
        rows = {
            split: _Rows(row_N, self._end_H[row_N], last_known(self.grid, column, row_N, otherwise), self._prepared[split])
            for split, row_N in self._row.items()
        }
        return VariableForecasts(rows, summed_H, counted_H)


@dataclass(frozen=True)
class _Rows:
    """Rows of a split that a variable is fitted or chosen on.

    Args:
        row_N: Each row's hour.
        end_N: Last hour of its stay.
        last_N: The variable's last known value there.
        prepared_NC: What a forecast reads there.
    """

    row_N: NDArray[np.int64]
    end_N: NDArray[np.int64]
    last_N: Floats
    prepared_NC: Floats


@dataclass(frozen=True)
class VariableForecasts:
    """Forecasts of one variable; from `RidgeForecasts.of_variable`.

    Args:
        rows: By split.
        summed_H: Sum of its measurements before each hour of the store, ``[H + 1]``.
        counted_H: Their number.
    """

    rows: Mapping[str, _Rows]
    summed_H: Floats
    counted_H: Floats

    def forecast(self, first: int, last: int, prepared_NC: Floats, last_N: Floats) -> Floats:
        """The variable's mean over some hours ahead.

        Args:
            first: Hours ahead that are left out.
            last: Hours ahead up to which it is forecast.
            prepared_NC: From `RidgeForecasts.prepared`.
            last_N: The last known values at the last hours of the contexts.

        Returns:
            ``[N]``, in the variable's unit; NaN where no training hour has it so far ahead.
        """
        target_N, count_N = self._targets("train", first, last)
        if not count_N.any():
            return np.full(len(last_N), np.nan)
        train_NC, tuning_MC = self.rows["train"].prepared_NC, self.rows["tuning"].prepared_NC
        weight_N = count_N / count_N.sum()
        mean, mean_C = float(weight_N @ target_N), weight_N @ train_NC
        off_NC = train_NC - mean_C
        weighted_NC = off_NC * weight_N[:, None]
        gram_CC, product_C = weighted_NC.T @ off_NC, weighted_NC.T @ (target_N - mean)
        tuning_M, tuning_count_M = self._targets("tuning", first, last)
        fitted: list[tuple[float, float, Floats]] = []
        for strength in _STRENGTHS:
            coefficient_C = np.zeros_like(product_C)
            if np.isfinite(strength):
                coefficient_C = np.linalg.solve(gram_CC + strength * np.eye(len(gram_CC)), product_C)
            error_M = mean + (tuning_MC - mean_C) @ coefficient_C - tuning_M
            # The strongest where no tuning row has the variable.
            fitted.append((float(tuning_count_M @ error_M**2), -strength, coefficient_C))
        _, _, best_C = min(fitted, key=lambda entry: entry[:2])
        forecast_N: Floats = last_N + mean + (prepared_NC - mean_C) @ best_C
        return forecast_N

    def _targets(self, split: str, first: int, last: int) -> tuple[Floats, Floats]:
        """Mean of what was measured in the hours ahead, minus the last known value, and how many hours that is; ``[N]`` each."""
        rows = self.rows[split]
        begin_N, end_N = (np.minimum(rows.row_N + ahead, rows.end_N) + 1 for ahead in (first, last))
        count_N = self.counted_H[end_N] - self.counted_H[begin_N]
        return (self.summed_H[end_N] - self.summed_H[begin_N]) / np.maximum(count_N, 1) - rows.last_N, count_N


def _drawn_rows(
    grid: NumericGrid, is_of_split_S: NDArray[np.bool_], context_hours: int, most: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of hours that a forecast could begin after, each with an hour to come, in their order."""
    hours_S = np.diff(grid.first_S)
    hour_H = np.arange(len(grid.value_HV)) - np.repeat(grid.first_S[:-1], hours_S)
    is_asked_H = np.repeat(is_of_split_S, hours_S) & (hour_H < np.repeat(hours_S, hours_S) - 1)
    old_H = is_asked_H & (hour_H >= context_hours - 1)
    row_N = np.flatnonzero(old_H if old_H.any() else is_asked_H)
    return np.sort(random.permutation(row_N)[:most])


def _places(grid: NumericGrid, row_N: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stay and hour of each row."""
    stay_N = np.searchsorted(grid.first_S, row_N, side="right") - 1
    return stay_N, row_N - grid.first_S[stay_N]
