import numpy as np
import pytest
import torch
from torch import Tensor

from clin_jepa.evaluation import drift
from clin_jepa.evaluation.drift import FIGURES, drift_curves, drift_report, error_curve, report_hours
from clin_jepa.evaluation.metrics_file import check_values
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS
from clin_jepa.evaluation.windows import EvaluationWindows

TINY = EvaluationWindows(6, 2, np.array([0, 0, 1]), np.array([0, 12, 0]), shortened=True, reason="only 3 windows")
TINY_ERRORS = {
    TRUE_ACTIONS: torch.tensor([[1.0, 2.0], [1.0, 2.0], [4.0, 2.0]]),
    COPY_FORWARD: torch.tensor([[4.0, 4.0], [4.0, 4.0], [4.0, 4.0]]),
    TRAINING_MEAN: torch.tensor([[8.0, 8.0], [8.0, 8.0], [8.0, 8.0]]),
}


def test_a_report_of_three_windows_by_hand() -> None:
    report = drift_report(TINY_ERRORS, TINY, mean_absolute_deviation=4.0)
    assert report["horizons"] == [1, 2]
    assert (report["n_windows"], report["n_stays"], report["shortened"], report["reason"]) == (3, 2, True, "only 3 windows")
    # Mean errors 2 and 2 over the three windows. A draw has only stay 0 (1 and 2), only stay 1 (4 and 2), or both (2 and 2).
    assert report["l1"] == [2.0, 2.0]
    assert report["drift_percent"] == [0.0, 0.0]
    assert report["mase"] == [0.5, 0.5]
    assert report["skill_vs_mean"] == [0.75, 0.75]
    assert report["l1_over_mad"] == [0.5, 0.5]
    assert report["ci95"]["l1"] == [[1.0, 4.0], [2.0, 2.0]]
    assert report["ci95"]["drift_percent"] == [[0.0, 0.0], [-50.0, 100.0]]
    assert report["ci95"]["mase"] == [[0.25, 1.0], [0.5, 0.5]]


def test_copy_forward_has_mase_1_and_the_training_mean_skill_0(errors_by_model: dict[str, Tensor], windows: EvaluationWindows) -> None:
    models = drift_report(errors_by_model, windows, 0.08)["models"]
    assert models[COPY_FORWARD]["mase"] == [1.0] * 5
    assert models[COPY_FORWARD]["ci95"]["mase"] == [[1.0, 1.0]] * 5
    assert models[TRAINING_MEAN]["skill_vs_mean"] == [0.0] * 5
    assert models[TRAINING_MEAN]["ci95"]["skill_vs_mean"] == [[0.0, 0.0]] * 5
    assert models[TRUE_ACTIONS]["l1_vs_true_actions_percent"] == [0.0] * 5


def test_a_mean_predictor_has_no_drift_and_no_skill() -> None:
    torch.manual_seed(0)
    target = torch.randn(400, 24, 16)
    windows = EvaluationWindows(24, 24, np.arange(400), np.zeros(400, dtype=np.int64), shortened=False, reason="")
    forecast, mean = (error_curve(torch.randn(4000, 24, 16).mean(dim=0).expand_as(target), target) for _ in range(2))
    copied = error_curve(torch.randn(400, 1, 16).expand_as(target), target)
    report = drift_report({TRUE_ACTIONS: forecast, COPY_FORWARD: copied, TRAINING_MEAN: mean}, windows, 0.8)
    assert all(abs(value) < 2 for value in report["drift_percent"])
    assert report["skill_vs_mean"] == pytest.approx([0.0] * len(report["horizons"]), abs=1e-3)
    assert report["l1_over_mad"] == pytest.approx([1.0] * len(report["horizons"]), abs=0.02)


def test_the_better_forecaster_can_drift_more() -> None:
    better, worse = torch.tensor([[0.2, 0.4]]), torch.tensor([[0.9, 0.9]])
    assert drift.drift_percent(better)[0, 1] > drift.drift_percent(worse)[0, 1]
    assert (better < worse).all()


def test_curves_agree_with_the_report_at_its_hours(errors_by_model: dict[str, Tensor], windows: EvaluationWindows) -> None:
    report, curves = drift_report(errors_by_model, windows, 0.08), drift_curves(errors_by_model, windows, 0.08)
    assert curves["horizons"] == list(range(1, 49))
    for model, figures in report["models"].items():
        for figure in FIGURES:
            assert figures[figure] == [curves["models"][model][figure][hour - 1] for hour in report["horizons"]]
            assert figures["ci95"][figure] == [curves["models"][model]["ci95"][figure][hour - 1] for hour in report["horizons"]]


def test_estimates_lie_within_their_intervals(errors_by_model: dict[str, Tensor], windows: EvaluationWindows) -> None:
    for figures in drift_report(errors_by_model, windows, 0.08)["models"].values():
        for figure in FIGURES:
            for value, (low, high) in zip(figures[figure], figures["ci95"][figure], strict=True):
                assert low <= value <= high


def test_the_error_curve_does_not_depend_on_how_windows_are_chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    pred, target = torch.randn(7, 4, 5).bfloat16(), torch.randn(7, 4, 5)
    expected = (pred.float() - target).abs().mean(dim=-1)
    for values in (1, 40, 1000):
        monkeypatch.setattr(drift, "_VALUES", values)
        torch.testing.assert_close(error_curve(pred, target), expected)


def test_a_forecast_that_is_not_finite_or_exact_gives_none_and_no_nan() -> None:
    for value in (torch.inf, torch.nan, 0.0):
        errors = TINY_ERRORS | {TRUE_ACTIONS: torch.full((3, 2), value), COPY_FORWARD: torch.zeros(3, 2)}
        report = drift_report(errors, TINY, 4.0)
        check_values(report)
        assert report["drift_percent"] == [None, None]
        assert report["mase"] == [None, None]
        assert report["ci95"]["mase"] == [[None, None], [None, None]]


def test_the_end_of_a_short_horizon_is_reported() -> None:
    assert report_hours(drift.HORIZONS, 48) == [1, 6, 12, 24, 48]
    assert report_hours(drift.HORIZONS, 9) == [1, 6, 9]
    assert report_hours(drift.HORIZONS, 1) == [1]


def test_missing_models_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="copy_forward"):
        drift_report({name: TINY_ERRORS[name] for name in (TRUE_ACTIONS, TRAINING_MEAN)}, TINY, 1.0)
    with pytest.raises(ValueError, match=r"errors of linear have shape \(3, 5\)"):
        drift_report(TINY_ERRORS | {"linear": torch.zeros(3, 5)}, TINY, 1.0)
    with pytest.raises(ValueError, match="differ in shape"):
        error_curve(torch.zeros(1, 2, 3), torch.zeros(1, 2, 4))
