"""What a comparison keeps of each run once its rows are read: figures and curves, in shared bootstrap draws."""

# Shapes: R draws, H horizon hours. Row 0 of every [1 + R] is the figure itself, without a draw.

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from clin_jepa.evaluation.arms import Draws, Floats, MeasuredRun, figures_of_run, task_metrics
from clin_jepa.evaluation.displacement import in_median_stable
from clin_jepa.evaluation.hourly_figures import figures_by_hour, mean_errors
from clin_jepa.evaluation.model_names import TRUE_ACTIONS
from clin_jepa.evaluation.risk_curves import RiskCurves, risk_curves

HOURLY = ("drift_percent", "mase", "skill_vs_mean", "l1_over_mad")


@dataclass(frozen=True)
class RiskFigures:
    """One model's figures on the risk tasks.

    Args:
        metrics: By task and metric, ``[1 + R]`` each.
        curves: By task.
    """

    metrics: Mapping[str, Mapping[str, Floats]]
    curves: Mapping[str, RiskCurves]


@dataclass(frozen=True)
class RunFigures:
    """The figures of one run.

    Args:
        figures: From `figures_of_run`, ``[1 + R]`` each.
        by_hour: Each of `HOURLY`, ``[1 + R, H]``.
        other_forecasts: The same of every other forecast in this run's latents: other actions, copy-forward, training mean, linear.
        risk: Its risk tasks.
        displacements: ``is_worse`` and ``distance`` of each window, in units of the run's median stable one.
    """

    figures: Mapping[str, Floats]
    by_hour: Mapping[str, Floats]
    other_forecasts: Mapping[str, Mapping[str, Floats]]
    risk: RiskFigures
    displacements: pl.DataFrame


def run_figures(run: MeasuredRun, draws: Draws, spread: float) -> RunFigures:
    """Everything of a run.

    Args:
        run: What ``clinjepa evaluate`` left of it.
        draws: Of the subjects.
        spread: Mean absolute deviation of its latents.
    """
    errors = mean_errors(run.errors, draws.weights)
    risk = risk_figures(run.predictions, draws)
    of_forecast = {name: _with_spread(figures_by_hour(errors, name), spread) for name in errors}
    by_hour = {name: {figure: figures[figure] for figure in HOURLY} for name, figures in of_forecast.items()}
    return RunFigures(
        figures_of_run(run, draws, errors, risk.metrics),
        by_hour.pop(TRUE_ACTIONS),
        by_hour,
        risk,
        _relative(run.displacements),
    )


def risk_figures(predictions: pl.DataFrame, draws: Draws) -> RiskFigures:
    """Metrics and curves of one model on each task.

    Args:
        predictions: Of one model, as in ``predictions.parquet``.
        draws: Of the subjects.
    """
    parts = {str(task): part for (task,), part in predictions.group_by("task", maintain_order=True)}
    curves = {task: risk_curves(part["label"].to_numpy().astype(bool), part["score"].to_numpy()) for task, part in parts.items()}
    return RiskFigures(task_metrics(predictions, draws), curves)


def _with_spread(figures: dict[str, Floats], spread: float) -> dict[str, Floats]:
    return {**figures, "l1_over_mad": figures["l1"] / spread if spread > 0 else np.full_like(figures["l1"], np.nan)}


def _relative(displacements: pl.DataFrame) -> pl.DataFrame:
    """Seeds of an arm have latent spaces of their own; relative to the median stable window their distances are put together."""
    if displacements.is_empty():
        return pl.DataFrame(schema={"is_worse": pl.Boolean, "distance": pl.Float64})
    return displacements.select("is_worse", in_median_stable("distance"))
