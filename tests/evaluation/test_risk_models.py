"""Probes and baselines find what is there, find nothing where nothing is, and never read a held-out row."""

from dataclasses import replace

import numpy as np
import pytest

from clin_jepa.evaluation import risk_models, tabular_baselines
from clin_jepa.evaluation.classification import Scored, metrics
from clin_jepa.evaluation.risk_models import BACKBONE, BOOSTED, LOGISTIC, PREVALENCE, ROW_MODELS, fit_risk_model
from clin_jepa.evaluation.task_rows import TaskRows

FEATURES = 6


def rows(signal: float, seed: int = 0, count: int = 1500) -> tuple[np.ndarray, TaskRows]:
    random = np.random.default_rng(seed)
    feature_NF = random.normal(size=(count, FEATURES)).astype(np.float32)
    label_N = random.random(count) < 1 / (1 + np.exp(1.5 - signal * feature_NF[:, 0]))
    split_N = np.array(["train", "tuning", "held_out"])[random.choice(3, count, p=[0.6, 0.2, 0.2])]
    number_N = np.arange(count)
    return feature_NF, TaskRows("decompensation", number_N, number_N, label_N, number_N, split_N)


def held_out_auroc(name: str, feature_NF: np.ndarray, given: TaskRows) -> float:
    taken_N = given.of_split("held_out")
    score_N = fit_risk_model(name, feature_NF, given, seed=0).probabilities(feature_NF[taken_N])
    return metrics(Scored(given.label_N[taken_N], score_N, given.subject_N[taken_N]))["auroc"]


@pytest.mark.parametrize("name", [BACKBONE, LOGISTIC, BOOSTED])
def test_a_signal_is_found_and_noise_is_not(name: str) -> None:
    assert held_out_auroc(name, *rows(signal=3.0)) > 0.85
    assert held_out_auroc(name, *rows(signal=0.0)) == pytest.approx(0.5, abs=0.12)


def test_the_prevalence_knows_nothing() -> None:
    feature_NF, given = rows(signal=3.0)
    score_N = fit_risk_model(PREVALENCE, feature_NF, given, seed=0).probabilities(feature_NF)
    assert set(score_N) == {given.label_N[given.of_split("train")].mean()}


@pytest.mark.parametrize("name", ROW_MODELS)
def test_held_out_rows_change_nothing_of_what_is_fitted(name: str) -> None:
    feature_NF, given = rows(signal=1.0)
    held_out = given.of_split("held_out")
    before = fit_risk_model(name, feature_NF, given, seed=0).probabilities(feature_NF[:50])

    other_NF = np.where(held_out[:, None], 100.0, feature_NF).astype(np.float32)
    given.label_N[held_out] = ~given.label_N[held_out]
    after = fit_risk_model(name, other_NF, given, seed=0).probabilities(feature_NF[:50])
    assert after.tolist() == before.tolist()


def test_a_linear_probe_of_few_of_the_rows_sees_both_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    feature_NF, given = rows(signal=3.0)
    rare = replace(given, label_N=np.isin(given.stay_N, [np.flatnonzero(given.of_split("train"))[0]]))
    rare.label_N[np.flatnonzero(given.of_split("tuning"))[:2]] = True
    monkeypatch.setattr(risk_models, "_MOST_LINEAR_ROWS", 20)
    score_N = fit_risk_model(BACKBONE, feature_NF, rare, seed=0).probabilities(feature_NF)
    assert np.isfinite(score_N).all()


def test_a_regression_that_has_not_converged_says_nothing_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular_baselines, "_ITERATIONS", 1)  # warnings are errors in tests
    assert held_out_auroc(LOGISTIC, *rows(signal=3.0)) > 0.75


@pytest.mark.parametrize("name", [LOGISTIC, BOOSTED])
def test_what_was_not_measured_is_no_obstacle(name: str) -> None:
    feature_NF, given = rows(signal=3.0)
    feature_NF[np.random.default_rng(1).random(feature_NF.shape) < 0.3] = np.nan
    feature_NF[:, -1] = np.nan  # never measured at all
    assert held_out_auroc(name, feature_NF, given) > 0.75


def test_a_probe_is_the_same_twice_and_leaves_the_random_state_alone() -> None:
    feature_NF, given = rows(signal=1.0, count=300)
    once, twice = (fit_risk_model(BACKBONE, feature_NF, given, seed=4).probabilities(feature_NF) for _ in range(2))
    assert once.tolist() == twice.tolist()
