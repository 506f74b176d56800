"""ROC, precision-recall and reliability curves of the risk tasks."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clin_jepa.evaluation.inline_svg import INK, STYLE, inline_svg
from clin_jepa.evaluation.risk_curves import precision_recall_points, reliability_points, roc_points
from clin_jepa.evaluation.risk_models import BACKBONE, BOOSTED, LOGISTIC

COLOURS = {BACKBONE: "#2f7de1", BOOSTED: "#e08a2c", LOGISTIC: "#2aa198", "lstm": "#9b6dd6", "tcn": "#d2544b", "gru_d": "#8a929c"}
# Points of a curve that are drawn; a curve of 100,000 rows looks the same.
_POINTS = 200

Floats = NDArray[np.float64]


def plot_task(task: str, table: pl.DataFrame) -> str:
    """Three panels: ROC, precision-recall, and predicted risk against the rate of events.

    Args:
        task: Its name.
        table: Predictions of all models on it.

    Returns:
        An ``<svg>`` element.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": task}):
        plot = Figure(figsize=(8.6, 2.9), layout="constrained")
        roc, precision_recall, reliability = plot.subplots(1, 3)
        for (name,), part in table.group_by("model", maintain_order=True):
            if name not in COLOURS:
                continue
            label_N, score_N = part["label"].to_numpy().astype(bool), part["score"].to_numpy()
            colour = COLOURS[str(name)]
            for axes, points in ((roc, roc_points), (precision_recall, precision_recall_points)):
                axes.plot(*_thinned(*points(label_N, score_N)), color=colour, linewidth=1.8)
            mean_K, rate_K = reliability_points(label_N, score_N)
            reliability.plot(mean_K, rate_K, color=colour, linewidth=1.8, marker="o", markersize=3)
        prevalence = float(table["label"].mean() or 0.0)  # type: ignore[arg-type]
        roc.plot([0, 1], [0, 1], color=INK, linewidth=0.8, alpha=0.5)
        precision_recall.axhline(prevalence, color=INK, linewidth=0.8, alpha=0.5)
        reliability.plot([0, 1], [0, 1], color=INK, linewidth=0.8, alpha=0.5)
        _label(roc, "1 - specificity", "sensitivity")
        _label(precision_recall, "recall", "precision")
        _label(reliability, "predicted risk, tenths of the rows", "rate of events")
        return inline_svg(plot, task, f"ROC, precision-recall and reliability curves of {task.replace('_', ' ')}")


def legend(models: Mapping[str, str]) -> list[dict[str, str]]:
    """Name and colour of each model that has curves."""
    return [{"label": label, "colour": COLOURS[name], "dashes": ""} for name, label in models.items() if name in COLOURS]


def _thinned(across: Floats, up: Floats) -> tuple[Floats, Floats]:
    chosen = np.unique(np.linspace(0, len(across) - 1, min(len(across), _POINTS)).astype(int))
    return across[chosen], up[chosen]


def _label(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid(color=INK, alpha=0.12, linewidth=0.8)
