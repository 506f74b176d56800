"""Summaries of hand-worked hours, and what they must not see."""

from pathlib import Path

import numpy as np
import pytest

from clin_jepa.evaluation.numeric_grid import NumericGrid, column_mean_and_std, read_grid, summaries, summary_columns
from tests.evaluation.written_store import WrittenStay, write_store


def places(*stay_and_hour: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    stay_N, hour_N = (np.array(column) for column in zip(*stay_and_hour, strict=True))
    return stay_N, hour_N


def grid_of(tmp_path: Path) -> NumericGrid:
    lactate = {0: 1.0, 2: 3.0, 3: 2.0, 30: 8.0}
    stays = [
        WrittenStay(1, 40, values={"lactate": lactate, "ph": {5: 7.4}}),
        WrittenStay(2, 3, values={"lactate": {2: 9.0}}),
        WrittenStay(3, 3, "held_out", values={"rare": {0: 1.0}}),
    ]
    return read_grid(write_store(tmp_path / "store", stays))


def test_columns_are_those_that_training_stays_have(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)
    assert grid.variables == ("lactate", "ph")
    assert grid.first_S.tolist() == [0, 40, 43, 46]
    assert np.isnan(grid.stay(2)).all()
    assert grid.static_SC.tolist() == [[60.0, 1.0]] * 3


def test_what_is_told_without_a_number_is_a_column_of_0_and_1_and_no_number(tmp_path: Path) -> None:
    ventilated, vancomycin, dose, rhythm = "invasive ventilation: ongoing", "vancomycin: given", "drip: 20 mg slowly", "heart rhythm: AF"
    propofol = {1: 50.0}
    actions = {1: f"norepinephrine: 0.10 mcg/kg/min; {ventilated}; tube: 7.5 mm: oral", 2: vancomycin, 3: f"{ventilated}; {dose}"}
    stays = [
        WrittenStay(1, 5, values={"propofol": propofol}, actions=actions, told={2: rhythm, 4: rhythm}),
        WrittenStay(2, 2, values={"propofol": propofol}),
        WrittenStay(3, 2, "held_out", actions={0: f"{ventilated}; rarity: seen", 1: "base excess: -3 mmol/l; a: b: 5"}),
    ]
    grid = read_grid(write_store(tmp_path / "store", stays))
    assert grid.variables == ("propofol", dose, rhythm, ventilated, "tube: 7.5 mm: oral", vancomycin) and grid.told == 5
    assert grid.stay(0)[:, 1:].tolist() == [[0, 0, 0, 0, 0], [0, 0, 1, 1, 0], [0, 1, 0, 0, 1], [1, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    assert not grid.stay(1)[:, 1:].any()
    assert grid.stay(2)[:, 1:].tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert grid.numbers.variables == ("propofol",) and grid.numbers.value_HV.shape == (9, 1) and grid.numbers.told == 0
    found = dict(zip(summary_columns(grid), summaries(grid, *places((0, 3)))[0], strict=True))
    # Ventilated in two hours of four, the last one among them.
    assert (found[f"{ventilated} mean"], found[f"{ventilated} last"], found[f"{vancomycin} mean"]) == (0.5, 1.0, 0.25)


def test_means_of_millions_of_hours_do_not_drift() -> None:
    random = np.random.default_rng(0)
    value_NC = random.normal(36.9, 0.7, (2_000_000, 1)).astype(np.float32)
    value_NC[random.random(len(value_NC)) < 0.4] = np.nan
    mean_C, std_C = column_mean_and_std(value_NC)
    assert mean_C.dtype == std_C.dtype == np.float32
    assert float(mean_C[0]) == pytest.approx(36.9, abs=0.005) and float(std_C[0]) == pytest.approx(0.7, abs=0.005)


def test_no_place_has_no_summaries(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)
    nowhere = np.zeros(0, dtype=np.int64)
    assert summaries(grid, nowhere, nowhere).shape == (0, len(summary_columns(grid)))


def test_six_summaries_of_a_hand_worked_row(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)
    found = dict(zip(summary_columns(grid), summaries(grid, *places((0, 4)))[0], strict=True))

    # Hours 0, 2, 3 hold 1, 3, 2: mean 2, slope sum((t - 5/3)(x - 2)) / sum((t - 5/3)^2) = 2 / (14/3).
    expected = {"mean": 2.0, "last": 2.0, "min": 1.0, "max": 3.0, "std": np.sqrt(2 / 3), "trend": 3 / 7}
    assert {name: found[f"lactate {name}"] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert all(np.isnan(found[f"ph {name}"]) for name in expected)
    assert (found["age"], found["male"], found["hour"]) == (60.0, 1.0, 4.0)


def test_summaries_look_back_one_day_and_never_ahead_or_into_another_stay(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)
    names = summary_columns(grid)
    found = {place: dict(zip(names, row, strict=True)) for place, row in zip(
        ((0, 0), (0, 23), (0, 24), (0, 29), (0, 30), (1, 1)), summaries(grid, *places((0, 0), (0, 23), (0, 24), (0, 29), (0, 30), (1, 1))),
        strict=True,
    )}  # fmt: skip
    assert found[0, 0]["lactate max"] == 1.0 and found[0, 0]["lactate trend"] == 0.0
    assert found[0, 23]["lactate min"] == 1.0
    assert found[0, 24]["lactate min"] == 2.0
    assert np.isnan(found[0, 29]["lactate last"])
    assert found[0, 30]["lactate last"] == 8.0
    assert np.isnan(found[1, 1]["lactate last"])
