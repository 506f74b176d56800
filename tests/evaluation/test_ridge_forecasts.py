"""Ridge regression of variables some hours ahead: the coefficients of scikit-learn, and nothing of the hours that are forecast."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from clin_jepa.evaluation import ridge_forecasts
from clin_jepa.evaluation.numeric_grid import NumericGrid, summaries
from clin_jepa.evaluation.ridge_forecasts import RidgeForecasts

HOURS, CONTEXT = 20, 6
SPLITS = np.array(["train"] * 30 + ["tuning"] * 10 + ["held_out"] * 10)


def grid_of(change: Callable[[np.ndarray], None] = lambda value_HV: None) -> NumericGrid:
    """Two variables: the one follows the other by three hours, where it is measured."""
    random = np.random.default_rng(0)
    leader_ST = random.normal(size=(len(SPLITS), HOURS)).cumsum(axis=1)
    follower_ST = np.roll(leader_ST, 3, axis=1) + 0.1 * random.normal(size=leader_ST.shape)
    follower_ST[random.random(follower_ST.shape) < 0.4] = np.nan
    value_HV = np.stack([leader_ST.flatten(), follower_ST.flatten()], axis=1).astype(np.float32)
    change(value_HV)
    first_S = np.arange(len(SPLITS) + 1) * HOURS
    return NumericGrid(("leader", "follower"), value_HV, first_S, np.full((len(SPLITS), 2), 1.0, dtype=np.float32))


def places(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Stay and hour of every hour of a split that has seen a context and has an hour to come."""
    stay_N, hour_N = (
        side.flatten() for side in np.meshgrid(np.flatnonzero(split == SPLITS), np.arange(CONTEXT - 1, HOURS - 1), indexing="ij")
    )
    return stay_N, hour_N


def targets(grid: NumericGrid, split: str, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the follower in the hours ahead minus its last value, and how many of them have it; worked out row by row."""
    found = [grid.stay(stay)[hour + 1 + first : hour + 1 + last, 1].astype(np.float64) for stay, hour in zip(*places(split), strict=True)]
    known = [value_M[np.isfinite(value_M)] for value_M in found]
    ahead_N = np.array([value_M.mean() if len(value_M) else 0.0 for value_M in known])
    return ahead_N - last_values(grid, split), np.array([len(value_M) for value_M in known])


def last_values(grid: NumericGrid, split: str) -> np.ndarray:
    """The follower's last value at each place; its training mean before the first."""
    otherwise = float(np.nanmean(grid.value_HV[np.repeat(SPLITS == "train", HOURS), 1].astype(np.float64)))
    before = [grid.stay(stay)[: hour + 1, 1].astype(np.float64) for stay, hour in zip(*places(split), strict=True)]
    known = [value_T[np.isfinite(value_T)] for value_T in before]
    return np.array([value_M[-1] if len(value_M) else otherwise for value_M in known])


def forecast(ridge: RidgeForecasts, first: int, last: int, grid: NumericGrid) -> np.ndarray:
    """The follower's forecast for the held-out stays of a grid."""
    return ridge.of_variable(1).forecast(first, last, ridge.prepared(summaries(grid, *places("held_out"))), last_values(grid, "held_out"))


@pytest.mark.parametrize(("first", "last"), [(0, 1), (1, 4)])
def test_coefficients_are_those_of_scikit_learn(first: int, last: int) -> None:
    grid = grid_of()
    ridge = RidgeForecasts(grid, SPLITS, CONTEXT, seed=0)
    given, tuning, held_out = (ridge._columns.prepared(summaries(grid, *places(split))) for split in ("train", "tuning", "held_out"))
    target_N, count_N = targets(grid, "train", first, last)
    tuning_M, tuning_count_M = targets(grid, "tuning", first, last)
    strengths = [strength * count_N.sum() for strength in ridge_forecasts._STRENGTHS if np.isfinite(strength)]
    models = [Ridge(alpha=strength).fit(given, target_N, sample_weight=count_N) for strength in strengths]
    best = min(models, key=lambda model: float(tuning_count_M @ (model.predict(tuning) - tuning_M) ** 2))
    found_N = forecast(ridge, first, last, grid)
    np.testing.assert_allclose(found_N, last_values(grid, "held_out") + best.predict(held_out), rtol=1e-3, atol=1e-4)


def test_what_leads_foretells_what_follows() -> None:
    grid = grid_of()
    found_N = forecast(RidgeForecasts(grid, SPLITS, CONTEXT, seed=0), 0, 1, grid)
    change_N, count_N = targets(grid, "held_out", 0, 1)
    error_N = np.abs(found_N - last_values(grid, "held_out") - change_N)
    assert error_N[count_N > 0].mean() < 0.8 * np.abs(change_N)[count_N > 0].mean()


def test_what_no_number_foretells_is_forecast_no_worse_than_by_the_mean_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def noise(value_HV: np.ndarray) -> None:
        value_HV[:] = np.random.default_rng(1).normal(size=value_HV.shape).cumsum(axis=0)

    grid = grid_of(noise)
    best = forecast(RidgeForecasts(grid, SPLITS, CONTEXT, seed=0), 1, 4, grid)
    monkeypatch.setattr(ridge_forecasts, "_STRENGTHS", (float("inf"),))
    mean_change = forecast(RidgeForecasts(grid, SPLITS, CONTEXT, seed=0), 1, 4, grid)
    change_N, count_N = targets(grid, "held_out", 1, 4)
    errors = [np.abs(found_N - last_values(grid, "held_out") - change_N)[count_N > 0].mean() for found_N in (best, mean_change)]
    assert errors[0] < 1.1 * errors[1]
    assert np.ptp(mean_change - last_values(grid, "held_out")) < 1e-9


def test_of_many_hours_some_are_drawn_and_young_stays_do(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = grid_of()
    monkeypatch.setattr(ridge_forecasts, "_MOST_ROWS", {"train": 40, "tuning": 10})
    assert {split: len(row_N) for split, row_N in RidgeForecasts(grid, SPLITS, CONTEXT, seed=0)._row.items()} == {"train": 40, "tuning": 10}
    young = RidgeForecasts(grid, SPLITS, HOURS + 5, seed=0)  # no stay is as old as that context
    assert np.isfinite(forecast(young, 0, 1, grid)).all()


def test_without_a_tuning_row_the_mean_change_is_forecast() -> None:
    def never_in_tuning(value_HV: np.ndarray) -> None:
        value_HV[np.repeat(SPLITS == "tuning", HOURS), 1] = np.nan

    grid = grid_of(never_in_tuning)
    found_N = forecast(RidgeForecasts(grid, SPLITS, CONTEXT, seed=0), 0, 1, grid)
    assert np.ptp(found_N - last_values(grid, "held_out")) < 1e-9


def test_no_held_out_stay_is_fitted_on() -> None:
    def other(value_HV: np.ndarray) -> None:
        value_HV[np.repeat(SPLITS == "held_out", HOURS)] += 5.0

    plain, changed = (forecast(RidgeForecasts(grid, SPLITS, CONTEXT, seed=0), 1, 4, grid_of()) for grid in (grid_of(), grid_of(other)))
    np.testing.assert_array_equal(plain, changed)


def test_a_variable_that_is_never_measured_so_far_ahead_has_no_forecast() -> None:
    ridge = RidgeForecasts(grid_of(), SPLITS, CONTEXT, seed=0)
    assert np.isnan(forecast(ridge, HOURS, HOURS + 4, grid_of())).all()
