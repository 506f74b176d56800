"""Curves at shared points hold the areas of the tables, one by one and averaged over seeds."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from clin_jepa.evaluation.risk_curves import FALSE_ALARMS_P, RiskCurves, mean_curves, risk_curves, roc_points


def scores(seed: int, rows: int = 2000, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    label_N = np.random.default_rng(0).random(rows) < 0.2
    score_N = np.clip(0.5 * random.random(rows) + 0.3 * label_N, 0, 1)
    return label_N, np.round(score_N * levels) / levels if levels else score_N


def areas(curves: RiskCurves) -> tuple[float, float]:
    return float(np.trapezoid(curves.sensitivity_P, FALSE_ALARMS_P)), float(curves.precision_P.mean())


@pytest.mark.parametrize("levels", [None, 5])
def test_areas_under_the_curves_are_those_of_scikit_learn(levels: int | None) -> None:
    label_N, score_N = scores(1, levels=levels)
    roc, precision_recall = areas(risk_curves(label_N, score_N))
    assert roc == pytest.approx(roc_auc_score(label_N, score_N), abs=0.005)
    assert precision_recall == pytest.approx(average_precision_score(label_N, score_N), abs=0.005)
    across, up, _ = roc_curve(label_N, score_N, drop_intermediate=False)
    found = roc_points(label_N, score_N)
    assert np.allclose(found[0], across) and np.allclose(found[1], up)


def test_the_mean_curve_has_the_mean_area() -> None:
    seeds = [risk_curves(*scores(seed)) for seed in (1, 2, 3)]
    assert areas(mean_curves(seeds)) == pytest.approx(np.mean([areas(each) for each in seeds], axis=0))


def test_reliability_is_of_tenths_of_the_rows() -> None:
    label_N, score_N = scores(1)
    curves = risk_curves(label_N, score_N)
    assert len(curves.predicted_K) == 10 and (np.diff(curves.predicted_K) > 0).all()
    assert curves.observed_K.mean() == pytest.approx(label_N.mean())
