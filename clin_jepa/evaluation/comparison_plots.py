"""Plots of a comparison: rollout figures over the forecast hours, and curves of the risk tasks, a line an arm."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clin_jepa.evaluation.arm_lines import GREY, Line
from clin_jepa.evaluation.inline_svg import INK, STYLE, inline_svg
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN
from clin_jepa.evaluation.plots import fit_frame, gaps, label_hours
from clin_jepa.evaluation.risk_curves import FALSE_ALARMS_P, RECALL_P, RiskCurves

PANELS = {"roc": "ROC", "precision_recall": "Precision and recall", "reliability": "Reliability"}
SIMPLE_LINES = {
    COPY_FORWARD: Line("Copy-forward, in the reference's latents", GREY, "--", width=1.5),
    TRAINING_MEAN: Line("Training mean, in the reference's latents", GREY, ":", width=1.8),
}

_FEW_BANDS = 3


def plot_by_hour(
    arms: Mapping[str, Any],
    lines: Mapping[str, Line],
    simple: Mapping[str, Sequence[float | None]],
    figure: str,
    title: str,
    even: float | None = None,
) -> str:
    """A figure of all arms against the forecast hour, with 95 % bands of the arms in ink and colour.

    The frame fits these; a grey arm may leave it, and a simple forecast where there is a line for "no better, no worse".

    Args:
        arms: The section ``arms`` of a comparison.
        lines: From `arm_lines`.
        simple: The same figure of simple forecasts, by name.
        figure: One of `HOURLY`.
        title: Label of the vertical axis.
        even: Where that line is.

    Returns:
        An ``<svg>`` element.
    """
    # Many bands one over the other would hide the lines.
    opacity = 0.14 if sum(line.is_main for line in lines.values()) <= _FEW_BANDS else 0.07
    with mpl.rc_context({**STYLE, "svg.hashsalt": figure}):
        plot = Figure(figsize=(6, 3.6), layout="constrained")
        axes = plot.add_subplot()
        framed: list[float | None] = [even]
        for name, values in simple.items():
            _line(axes, range(1, len(values) + 1), gaps(values), SIMPLE_LINES[name])
            framed += values if even is None else []
        if even is not None:
            axes.axhline(even, color=INK, linewidth=0.8, alpha=0.5, zorder=0)
        hours = 1
        for arm, line in lines.items():
            curve = arms[arm]["by_hour"][figure]
            hours = len(curve["value"])
            _line(axes, range(1, hours + 1), gaps(curve["value"]), line)
            if line.is_main:
                low, high = zip(*((None, None) if pair is None else pair for pair in curve["ci95"]), strict=True)
                axes.fill_between(range(1, hours + 1), gaps(low), gaps(high), color=line.colour, alpha=opacity, linewidth=0)
                framed += [*curve["value"], *low, *high]
        if finite := [value for value in framed if value is not None and isfinite(value)]:
            fit_frame(axes, finite)
        label_hours(axes, range(1, hours + 1))
        axes.set_ylabel(title)
        return inline_svg(plot, f"by-hour-{figure}", f"{title} of each arm at each forecast hour")


def plot_risk(panel: str, curves: Mapping[str, RiskCurves], lines: Mapping[str, Line], prevalence: float, name: str) -> str:
    """One panel of a task.

    Args:
        panel: One of `PANELS`.
        curves: By arm or baseline.
        lines: By the same names, in the order in which they are drawn.
        prevalence: Rate of events among the rows.
        name: Prefix of the ids, unique on the page.

    Returns:
        An ``<svg>`` element.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": name, "font.size": 11}):
        plot = Figure(figsize=(3.6, 3.0), layout="constrained")
        axes = plot.add_subplot()
        end = 1.0
        if panel == "reliability":
            shown = [curves[model] for model, line in lines.items() if line.is_main]
            end = min(1.0, 1.05 * max(float(max(each.predicted_K.max(), each.observed_K.max())) for each in shown))
        even = [prevalence, prevalence] if panel == "precision_recall" else [0, end]
        axes.plot([0, end], even, color=INK, linewidth=0.8, alpha=0.5)
        for model, line in lines.items():
            _line(axes, *_points(panel, curves[model]), line)
        across, up = {
            "roc": ("1 - specificity", "sensitivity"),
            "precision_recall": ("recall", "precision"),
            "reliability": ("predicted risk, tenths of the rows", "rate of events"),
        }[panel]
        axes.set(xlabel=across, ylabel=up, xlim=(0, end), ylim=(0, 1.02 * end))
        axes.locator_params(nbins=5)
        axes.grid(color=INK, alpha=0.12, linewidth=0.8)
        return inline_svg(plot, f"{name}-{panel}", PANELS[panel])


def _points(panel: str, curves: RiskCurves) -> tuple[Sequence[float], Sequence[float]]:
    pairs = {
        "roc": (FALSE_ALARMS_P, curves.sensitivity_P),
        "precision_recall": (RECALL_P, curves.precision_P),
        "reliability": (curves.predicted_K, curves.observed_K),
    }
    across, up = pairs[panel]
    return across.tolist(), up.tolist()


def _line(axes: Axes, across: Sequence[float], up: Sequence[float], line: Line) -> None:
    axes.plot(across, up, color=line.colour, linestyle=line.style, linewidth=line.width, alpha=line.opacity)
