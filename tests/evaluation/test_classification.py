"""Metrics of risk scores are those of scikit-learn; a bootstrap by subject is a resample of rows, done the long way."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from clin_jepa.evaluation.bootstrap import drawn_times, interval
from clin_jepa.evaluation.classification import METRICS, Scored, drawn_metrics, drawn_prevalence, metrics, paired_differences


def scored(rows: int, seed: int = 0, levels: int | None = None, subjects: int = 40) -> Scored:
    random = np.random.default_rng(seed)
    label_N = random.random(rows) < 0.3
    score_N = np.clip(random.random(rows) * 0.6 + 0.3 * label_N, 0, 1)
    if levels:
        score_N = np.round(score_N * levels) / levels
    return Scored(label_N, score_N, random.integers(0, subjects, rows))


@pytest.mark.parametrize("levels", [None, 4, 1])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_scikit_learn_with_and_without_ties(seed: int, levels: int | None) -> None:
    given = scored(300, seed, levels)
    found = metrics(given)
    assert found["auroc"] == pytest.approx(roc_auc_score(given.label_N, given.score_N))
    assert found["auprc"] == pytest.approx(average_precision_score(given.label_N, given.score_N))
    assert found["brier"] == pytest.approx(brier_score_loss(given.label_N, given.score_N))


def test_the_calibration_error_of_a_hand_worked_case() -> None:
    label_N = np.array([True, False, False, True])
    score_N = np.array([0.85, 0.81, 0.12, 1.0])
    # Bin 0.8 to 0.9: mean 0.83, rate 0.5, two rows; bin 0.1 to 0.2: 0.12 off, one row; bin 0.9 to 1: exact.
    expected = (2 * 0.33 + 0.12 + 0.0) / 4
    assert metrics(Scored(label_N, score_N, np.arange(4)))["ece"] == pytest.approx(expected)


def test_a_draw_counts_a_subject_s_rows_as_often_as_the_subject_was_drawn() -> None:
    given = scored(200, levels=20, subjects=15)
    drawn, prevalence_R = drawn_metrics(given, draws=20, seed=3), drawn_prevalence(given, draws=20, seed=3)

    subjects = np.unique(given.subject_N)
    for number, times_S in enumerate(drawn_times(len(subjects), 20, 3).numpy()):
        row_M = np.concatenate(
            [np.flatnonzero(given.subject_N == s) for s, n in zip(subjects, times_S, strict=True) for _ in range(int(n))]
        )
        again = metrics(Scored(given.label_N[row_M], given.score_N[row_M], given.subject_N[row_M]))
        assert {name: drawn[name][number] for name in METRICS} == pytest.approx(again)
        assert prevalence_R[number] == pytest.approx(given.label_N[row_M].mean())


def test_equal_models_differ_by_nothing_and_better_ones_by_more_than_chance() -> None:
    given = scored(2000, subjects=500)
    blind = Scored(given.label_N, np.full(2000, 0.3), given.subject_N)
    drawn, of_blind = drawn_metrics(given), drawn_metrics(blind)

    assert paired_differences(drawn, drawn)["auroc"] == (0.0, 0.0)
    low, high = paired_differences(drawn, of_blind)["auroc"] or (0.0, 0.0)
    assert 0 < low < metrics(given)["auroc"] - 0.5 < high


def test_rows_of_one_class_have_no_auroc_and_no_interval() -> None:
    given = Scored(np.zeros(5, dtype=bool), np.linspace(0, 1, 5), np.arange(5))
    found, drawn = metrics(given), drawn_metrics(given, draws=10)
    assert np.isnan(found["auroc"]) and np.isnan(found["auprc"]) and np.isfinite(found["brier"])
    assert interval(drawn["auroc"]) is None and interval(drawn["brier"]) is not None


@pytest.mark.parametrize("score_N", [np.array([0.1, np.nan]), np.array([0.1, 1.2]), np.array([[0.1], [0.2]])])
def test_what_is_no_probability_is_refused(score_N: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"scores must be finite|must be \[N\]"):
        Scored(np.array([True, False]), score_N, np.array([1, 2]))
