"""Arms side by side: means over seeds, spread over seeds, and differences paired by subject."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clin_jepa.evaluation.arms import Draws, MeasuredRun, arms_report, draw_subjects, figure_report, figures_of_run
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS

STAYS = pl.DataFrame({"stay_id": range(60), "subject_id": [number // 2 for number in range(60)]})
NOTHING = pl.DataFrame(schema={"stay_id": pl.Int64, "distance": pl.Float64})


def run(arm: str, seed: int, first: float, last: float, auroc_of: float = 0.0) -> MeasuredRun:
    """A run whose errors are known at hours 1 and 2 and whose scores are the labels, with some noise."""
    level_N = 1 + 0.5 * np.sin(np.arange(60))  # how hard a stay is, the same for every run
    rows = [
        pl.DataFrame({"forecast": name, "stay_id": range(60), "start": 0, "hour": hour, "l1": error * level_N})
        for name, of_hour in ((TRUE_ACTIONS, (first, last)), (COPY_FORWARD, (2.0, 4.0)), (TRAINING_MEAN, (4.0, 4.0)))
        for hour, error in zip((1, 2), of_hour, strict=True)
    ]
    label_N = np.arange(60) % 3 == 0
    score_N = np.clip(auroc_of * label_N + 0.4 * np.random.default_rng(seed).random(60), 0, 1)
    scores = pl.DataFrame({"task": "decompensation", "stay_id": range(60), "hour": 5, "label": label_N, "score": score_N})
    return MeasuredRun(arm, seed, pl.concat(rows), NOTHING, scores)


def report_of(runs: list[MeasuredRun], draws: Draws, reference: str) -> dict[str, Any]:
    """The report of some runs, by arm."""
    by_arm: dict[str, dict[int, Any]] = {}
    for each in runs:
        by_arm.setdefault(each.arm, {})[each.seed] = figures_of_run(each, draws)
    return arms_report(by_arm, reference)


def test_the_figures_of_a_run_are_those_of_its_mean_errors() -> None:
    found = figures_of_run(run("full", 0, first=1.0, last=1.5, auroc_of=1.0), draw_subjects(STAYS, 50, seed=0))
    assert {name: value_R[0] for name, value_R in found.items()} == pytest.approx(
        {"drift_percent 2 h": 50.0, "mase 2 h": 0.375, "skill_vs_mean 2 h": 0.625, "mase 1 h": 0.5, "auroc decompensation": 1.0,
         "mean auroc, early events": 1.0, "mean auroc, all tasks": 1.0}
    )  # fmt: skip
    # Every forecast meets the same hard stays: the ratio is the same in every draw.
    assert np.allclose(found["mase 2 h"], 0.375)


def test_seeds_and_patients_vary_apart() -> None:
    runs = [run("full", 0, 1.0, 1.5, 0.1), run("full", 1, 1.0, 1.7, 0.1), run("naive", 0, 1.0, 2.0, 0.1)]
    report = report_of(runs, draw_subjects(STAYS, 100, seed=0), "full")

    drift = report["full"]["figures"]["drift_percent 2 h"]
    assert report["full"]["seeds"] == [0, 1]
    assert drift["value"] == pytest.approx(60.0)
    assert drift["seed_std"] == pytest.approx(np.std([50, 70], ddof=1))
    assert drift["ci95"] == pytest.approx((60.0, 60.0))
    assert drift["minus_reference"] is None
    other = report["naive"]["figures"]["drift_percent 2 h"]
    assert other["seed_std"] is None
    # Against the seed that both have: 100 - 50.
    assert other["minus_reference"] == pytest.approx(50.0) and other["minus_reference_ci95"] == pytest.approx((50.0, 50.0))
    assert other["minus_reference_seed_std"] is None
    low, high = report["full"]["figures"]["auroc decompensation"]["ci95"]
    assert low < report["full"]["figures"]["auroc decompensation"]["value"] < high


def test_equal_runs_differ_by_nothing_whatever_is_drawn() -> None:
    report = report_of([run("a", 0, 1.0, 1.5, 0.1), run("b", 0, 1.0, 1.5, 0.1)], draw_subjects(STAYS, 50, seed=1), "a")
    for figure in report["b"]["figures"].values():
        assert figure["minus_reference"] == 0.0 and figure["minus_reference_ci95"] == (0.0, 0.0)


def test_an_arm_with_fewer_seeds_is_held_against_the_same_seeds_of_the_reference() -> None:
    runs = [run("full", seed, 1.0, 1.5 + 0.1 * seed, 0.1) for seed in range(3)]
    runs += [run("twin", seed, 1.0, 1.5 + 0.1 * seed, 0.1) for seed in (2, 1)] + [run("other", 7, 1.0, 2.0, 0.1)]
    report = report_of(runs, draw_subjects(STAYS, 50, seed=0), "full")
    twin = report["twin"]["figures"]["drift_percent 2 h"]
    assert twin["minus_reference"] == 0.0 and twin["minus_reference_seed_std"] == 0.0
    # No seed is shared: all of either.
    assert report["other"]["figures"]["drift_percent 2 h"]["minus_reference"] == pytest.approx(40.0)


def test_a_reference_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no run is of the arm 'published'; there are full"):
        report_of([run("full", 0, 1.0, 1.5)], draw_subjects(STAYS, 5, seed=0), "published")


def test_an_interval_over_seeds_is_student_s() -> None:
    of_seeds, reference = (
        {seed: np.array([value, value]) for seed, value in enumerate((1.0, 2.0, 3.0))},
        dict.fromkeys(range(3), np.ones(2)),
    )
    low, high = figure_report(of_seeds, reference)["minus_reference_seed_ci95"]
    # Mean 1, deviation 1, three seeds: 4.3027 (97.5 % of t with two degrees of freedom) over the root of 3.
    assert (low, high) == pytest.approx((1 - 2.4841, 1 + 2.4841), abs=1e-4)
    assert figure_report({0: of_seeds[0]}, reference)["minus_reference_seed_ci95"] is None
