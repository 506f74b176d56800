"""Rollout drift: how the error of a forecast grows with the horizon, always beside what simple forecasts achieve.

Drift alone can point the wrong way: a model that returns the mean has about none, and one whose first hour is far better than the
mean has more than a poor one. So no drift is reported without MASE against copy-forward and skill against the training mean.
"""

# Shapes: N windows, H horizon hours, D latent features, R bootstrap draws.

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from clin_jepa.evaluation.bootstrap import interval_95, resampled_means
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS
from clin_jepa.evaluation.windows import EvaluationWindows

HORIZONS = (1, 6, 12, 24, 48)
FIGURES = ("l1", "drift_percent", "mase", "skill_vs_mean", "l1_over_mad", "l1_vs_true_actions_percent")

# Values of a difference that are held at a time.
_VALUES = 1 << 24


def error_curve(pred_NHD: Tensor, target_NHD: Tensor) -> Tensor:
    """Mean absolute error over the features, for each window and hour.

    Args:
        pred_NHD: Forecast, ``[N, H, D]``.
        target_NHD: The encoder's latents of the true hours, ``[N, H, D]``.

    Returns:
        ``[N, H]`` float32.

    Raises:
        ValueError: If the shapes differ.

    >>> error_curve(torch.tensor([[[1.0, 2.0], [0.0, 0.0]]]), torch.tensor([[[1.0, 4.0], [3.0, 0.0]]])).tolist()
    [[1.0, 1.5]]
    """
    if pred_NHD.shape != target_NHD.shape:
        raise ValueError(f"forecast {tuple(pred_NHD.shape)} and target {tuple(target_NHD.shape)} differ in shape")
    rows = max(1, _VALUES // max(1, pred_NHD[0].numel())) if len(pred_NHD) else 1
    pairs = zip(torch.split(pred_NHD, rows), torch.split(target_NHD, rows), strict=True)
    return torch.cat([(pred_BHD.float() - target_BHD.float()).abs().mean(dim=-1) for pred_BHD, target_BHD in pairs])


def drift_percent(e_H: Tensor) -> Tensor:
    """Growth of the error since the first forecast hour, in percent: 100 (e(h) / e(1) - 1); hours last.

    >>> drift_percent(torch.tensor([2.0, 3.0, 1.0])).tolist()
    [0.0, 50.0, -50.0]
    """
    return 100.0 * (e_H / e_H[..., :1] - 1.0)


def mase(e_H: Tensor, copy_H: Tensor) -> Tensor:
    """Error relative to that of copy-forward: below 1 is better than repeating the last state.

    As the paper (arXiv 2605.10840) uses the name: a relative MAE against persistence at the same horizon. Hyndman and Koehler's (2006) is
    scaled by the one-step error within the training series.

    >>> mase(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0])).tolist()
    [0.5, 1.5]
    """
    return e_H / copy_H


def skill_vs_mean(e_H: Tensor, mean_H: Tensor) -> Tensor:
    """Share of the training mean's error that is gained: above 0 is better than the mean.

    >>> skill_vs_mean(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0])).tolist()
    [0.5, -0.5]
    """
    return 1.0 - e_H / mean_H


def l1_over_mad(e_H: Tensor, mean_absolute_deviation: float) -> Tensor:
    """Error in units of the latents' mean absolute deviation: comparable between encoders of different scale.

    >>> l1_over_mad(torch.tensor([1.0, 3.0]), 2.0).tolist()
    [0.5, 1.5]
    """
    return e_H / mean_absolute_deviation


def drift_report(
    errors_by_model: Mapping[str, Tensor],
    windows: EvaluationWindows,
    mean_absolute_deviation: float,
    horizons: Sequence[int] = HORIZONS,
    draws: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """The ``drift`` section of ``metrics.json``.

    Figures are of mean errors over the windows, not means of figures; intervals are bootstraps by stay, and each draw recomputes the
    ratio. The top level repeats the arm with true actions. A figure that is undefined or not finite is None.

    Args:
        errors_by_model: From `error_curve`, ``[N, H]`` each, by the names of `model_names`; the arm with true actions, copy-forward
            and the training mean must be among them.
        windows: The windows, in the order of the errors.
        mean_absolute_deviation: Of the evaluated split's latents, from `collapse_measures`.
        horizons: Hours to report; those beyond the horizon are left out, the horizon's end is always in.
        draws: Bootstrap draws.
        seed: Seed of the draws.

    Returns:
        ``context_hours, horizon_hours, n_windows, n_stays, shortened, reason, horizons, draws``, each of `FIGURES` as a list over the
        horizons, ``ci95`` by figure, and ``models`` with the same figures and ``ci95`` for each model.

    Raises:
        ValueError: If a needed model is missing, or a shape does not fit.
    """
    hours = report_hours(horizons, windows.horizon_hours)
    models = _figures_by_model(errors_by_model, windows, mean_absolute_deviation, hours, draws, seed)
    return {
        "context_hours": windows.context_hours,
        "horizon_hours": windows.horizon_hours,
        "n_windows": len(windows),
        "n_stays": windows.n_stays,
        "shortened": windows.shortened,
        "reason": windows.reason,
        "draws": draws,
        "horizons": hours,
        **models[TRUE_ACTIONS],
        "models": models,
    }


def drift_curves(
    errors_by_model: Mapping[str, Tensor],
    windows: EvaluationWindows,
    mean_absolute_deviation: float,
    draws: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """The figures of `drift_report` at every hour of the horizon, for plots: ``{"horizons": [1 ... H], "models": {...}}``."""
    hours = list(range(1, windows.horizon_hours + 1))
    return {"horizons": hours, "models": _figures_by_model(errors_by_model, windows, mean_absolute_deviation, hours, draws, seed)}


def report_hours(horizons: Sequence[int], horizon_hours: int) -> list[int]:
    """The hours to report: those within the horizon, the first and the last always.

    >>> report_hours((1, 6, 12, 24, 48), 20)
    [1, 6, 12, 20]
    """
    return sorted({1, horizon_hours, *(hour for hour in horizons if 1 <= hour <= horizon_hours)})


def _figures_by_model(
    errors_by_model: Mapping[str, Tensor],
    windows: EvaluationWindows,
    mean_absolute_deviation: float,
    hours: Sequence[int],
    draws: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    _check(errors_by_model, windows)
    mean_errors = {name: error_NH.detach().cpu().double().mean(dim=0) for name, error_NH in errors_by_model.items()}
    drawn_errors = resampled_means(errors_by_model, torch.from_numpy(windows.stay_index_N), draws, seed)
    index_H = torch.tensor(hours) - 1
    models: dict[str, dict[str, Any]] = {}
    for name in errors_by_model:
        figures = _figures(name, mean_errors, mean_absolute_deviation)
        drawn = _figures(name, drawn_errors, mean_absolute_deviation)
        models[name] = {figure: _numbers(value_H[index_H]) for figure, value_H in figures.items()}
        models[name]["ci95"] = {figure: [_numbers(pair) for pair in interval_95(drawn_RH)[index_H]] for figure, drawn_RH in drawn.items()}
    return models


def _figures(name: str, errors: Mapping[str, Tensor], mean_absolute_deviation: float) -> dict[str, Tensor]:
    e_H = errors[name]
    return {
        "l1": e_H,
        "drift_percent": drift_percent(e_H),
        "mase": mase(e_H, errors[COPY_FORWARD]),
        "skill_vs_mean": skill_vs_mean(e_H, errors[TRAINING_MEAN]),
        "l1_over_mad": l1_over_mad(e_H, mean_absolute_deviation),
        "l1_vs_true_actions_percent": 100.0 * (e_H / errors[TRUE_ACTIONS] - 1.0),
    }


def _numbers(values: Tensor) -> list[float | None]:
    return [value if isfinite(value) else None for value in values.tolist()]


def _check(errors_by_model: Mapping[str, Tensor], windows: EvaluationWindows) -> None:
    missing = {TRUE_ACTIONS, COPY_FORWARD, TRAINING_MEAN} - errors_by_model.keys()
    if missing:
        raise ValueError(f"drift needs the errors of {', '.join(sorted(missing))}")
    expected = (len(windows), windows.horizon_hours)
    for name, error_NH in errors_by_model.items():
        if error_NH.shape != expected:
            raise ValueError(f"errors of {name} have shape {tuple(error_NH.shape)}, the windows need {expected}")
