"""Displacement and its ratio, on clouds of which the answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from clin_jepa.evaluation.displacement import Displacements, displacement, displacement_report


def cohorts(ratio: float, windows: int = 400, seed: int = 0) -> Displacements:
    random = np.random.default_rng(seed)
    is_worse_N = random.random(windows) < 0.4
    distance_N = random.gamma(4.0, 0.25, windows) * np.where(is_worse_N, ratio, 1.0)
    stay_N = np.arange(windows) // 2
    return Displacements(distance_N, is_worse_N, stay_N, np.arange(windows) % 2 * 24, random.integers(10, 60, windows))


def test_the_displacement_of_a_hand_worked_window() -> None:
    latent_NTD = np.zeros((1, 24, 2))
    latent_NTD[0, :6] = [1.0, 1.0]
    latent_NTD[0, 6:18] = [100.0, -100.0]  # the hours between do not count
    latent_NTD[0, 18:] = [4.0, 5.0]
    assert displacement(latent_NTD).tolist() == [5.0]


def test_the_ratio_is_found_and_the_null_is_one() -> None:
    report = displacement_report(cohorts(2.0))
    low, high = report["ci95"]["ratio"]
    assert low < 2.0 < high
    low, high = report["ci95"]["null_ratio"]
    assert low < 1.0 < high and report["null_ratio"] == pytest.approx(1.0, abs=0.02)
    assert not low < report["ratio"] < high
    low, high = report["ci95"]["matched_null_ratio"]
    assert low < 1.0 < high and report["matched_null_ratio"] == pytest.approx(1.0, abs=0.02)
    assert not low < report["matched_ratio"] < high


@pytest.mark.parametrize("figure", ["ratio", "matched_ratio"])
def test_shuffled_cohorts_have_a_ratio_of_one_within_its_interval(figure: str) -> None:
    """Of a real difference, only the shuffle is left; one interval in twenty may leave one out."""
    given, missed = cohorts(2.0), 0
    for seed in range(40):
        shuffled = replace(given, is_worse_N=np.random.default_rng(seed).permutation(given.is_worse_N))
        low, high = displacement_report(shuffled, draws=100, seed=seed)["ci95"][figure]
        assert high - low < 0.5
        missed += not low < 1.0 < high
    assert missed <= 6


def test_more_windows_of_the_same_stays_are_no_more_evidence() -> None:
    given = replace(cohorts(1.5, windows=100), stay_N=np.arange(100), start_N=np.full(100, 24))
    fourfold = {name: np.tile(getattr(given, name), 4) for name in ("distance_N", "is_worse_N", "stay_N", "start_N", "measured_N")}
    once, often = (displacement_report(found, draws=50)["ci95"] for found in (given, Displacements(**fourfold)))
    assert often["ratio"] == pytest.approx(once["ratio"]) and often["matched_ratio"] == pytest.approx(once["matched_ratio"], rel=0.02)


def test_cohorts_that_differ_by_measurements_alone_have_a_matched_ratio_of_one() -> None:
    random = np.random.default_rng(1)
    measured_N = random.integers(1, 6, 3000)
    is_worse_N = random.random(3000) < measured_N / 8
    found = Displacements(measured_N + random.random(3000) * 0.1, is_worse_N, np.arange(3000), np.full(3000, 24), measured_N)
    report = displacement_report(found, draws=100)
    assert report["ratio"] > 1.2
    assert report["matched_ratio"] == pytest.approx(1.0, abs=0.05)  # a stratum holds more than one count


def test_first_days_that_travel_farther_and_are_mostly_worse_have_a_matched_ratio_of_one() -> None:
    """After admission SOFA rises because organs are measured at last, and the latents of every patient move."""
    random = np.random.default_rng(2)
    start_N = random.choice([0, 10, 24, 50], 4000)
    is_first_N = start_N < 6
    is_worse_N = random.random(4000) < np.where(is_first_N, 0.8, 0.3)
    distance_N = random.gamma(4.0, 0.25, 4000) * np.where(is_first_N, 1.5, np.where(start_N < 24, 1.2, 1.0))
    found = Displacements(distance_N, is_worse_N, np.arange(4000), start_N, random.integers(10, 60, 4000))
    report = displacement_report(found, draws=100)
    assert report["ratio"] > 1.15
    assert report["matched_ratio"] == pytest.approx(1.0, abs=0.04)


def test_the_null_shuffles_whole_stays_so_that_it_leaves_out_a_ratio_by_chance_as_seldom_as_it_says() -> None:
    """Stays of which all windows are alike: shuffled window by window, the null left out two ratios in five."""
    left_out = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        stay_N = np.repeat(np.arange(60), 6)
        distance_N = np.repeat(random.gamma(4.0, 0.25, 60), 6)
        is_worse_N = np.repeat(random.random(60) < 0.4, 6)
        found = Displacements(distance_N, is_worse_N, stay_N, np.tile(np.arange(6) * 24, 60), random.integers(10, 60, 360))
        report = displacement_report(found, draws=100, seed=seed)
        low, high = report["ci95"]["null_ratio"]
        left_out += not low <= report["ratio"] <= high
    assert left_out <= 14


def test_an_empty_cohort_has_no_ratio() -> None:
    given = cohorts(1.0)
    report = displacement_report(replace(given, is_worse_N=np.zeros_like(given.is_worse_N)), draws=20)
    assert report["ratio"] is None and report["ci95"]["ratio"] is None and report["n_deteriorating"] == 0
