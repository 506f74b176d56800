"""Plots of an evaluation."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clin_jepa.evaluation.inline_svg import DASHES, INK, STYLE, inline_svg
from clin_jepa.evaluation.model_names import COPY_FORWARD, LAST_ACTION, LINEAR, NO_ACTION, TRAINING_MEAN, TRUE_ACTIONS, label

_LINES: dict[str, tuple[str, str]] = {
    TRUE_ACTIONS: ("#2f7de1", "-"),
    LAST_ACTION: ("#2aa198", "--"),
    NO_ACTION: ("#9b6dd6", ":"),
    COPY_FORWARD: ("#e08a2c", "-"),
    TRAINING_MEAN: ("#8a929c", "-"),
    LINEAR: ("#d2544b", "-."),
}
_OTHER = ("#b0568f", "-")


def plot_figure(curves: Mapping[str, Any], figure: str, axis_label: str, even: float | None = None, *, wide: bool = False) -> str:
    """One figure of all models against the forecast hour, with 95 % bands.

    The frame fits all models but linear extrapolation, which may leave it.

    Args:
        curves: From `drift.drift_curves`.
        figure: One of `drift.FIGURES`.
        axis_label: Label of the vertical axis.
        even: Where to draw a line for "no better, no worse".
        wide: Whether the plot has the whole width of the page to itself.

    Returns:
        An ``<svg>`` element.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": figure}):
        plot = Figure(figsize=(8.6, 3.4) if wide else (6, 3.6), layout="constrained")
        axes = plot.add_subplot()
        hours = curves["horizons"]
        for model, figures in curves["models"].items():
            colour, line = _LINES.get(model, _OTHER)
            axes.plot(hours, gaps(figures[figure]), color=colour, linestyle=line, linewidth=2, label=label(model))
            low, high = zip(*figures["ci95"][figure], strict=True)
            axes.fill_between(hours, gaps(low), gaps(high), color=colour, alpha=0.14, linewidth=0)
        if even is not None:
            axes.axhline(even, color=INK, linewidth=0.8, alpha=0.5, zorder=0)
        _frame(axes, curves["models"], figure, even)
        label_hours(axes, hours)
        axes.set_ylabel(axis_label)
        return inline_svg(plot, figure, f"{axis_label} at each forecast hour")


def plot_spectrum(singular_values: Mapping[str, Sequence[float]]) -> str:
    """Singular values of the centred latents, relative to the largest, one line a phase.

    Args:
        singular_values: Descending singular values by phase.

    Returns:
        An ``<svg>`` element.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": "spectrum"}):
        plot = Figure(figsize=(8.6, 3.0), layout="constrained")
        axes = plot.add_subplot()
        shades = mpl.colormaps["viridis"]
        for index, (phase, values) in enumerate(singular_values.items()):
            colour = shades(0.3 + 0.45 * index / max(1, len(singular_values) - 1))
            relative = [value / values[0] if values[0] > 0 else 0.0 for value in values]
            shown = [max(value, 1e-6) for value in relative]
            axes.plot(range(1, len(shown) + 1), shown, color=colour, linewidth=2, label=phase.replace("_", " "))
        axes.set_yscale("log")
        axes.set_xlim(left=1)
        axes.set_xlabel("direction")
        axes.set_ylabel("singular value / largest")
        axes.legend(frameon=False, fontsize=9)
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.8)
        return inline_svg(plot, "spectrum", "Singular values of the latents, relative to the largest")


def legend(models: Sequence[str]) -> list[dict[str, str]]:
    """Name, colour and line of each model, for a legend in HTML that all plots share.

    >>> legend(["copy_forward"])
    [{'label': 'Copy-forward', 'colour': '#e08a2c', 'dashes': ''}]
    """
    lines = {model: _LINES.get(model, _OTHER) for model in models}
    return [{"label": label(model), "colour": colour, "dashes": DASHES[line]} for model, (colour, line) in lines.items()]


def _frame(axes: Axes, models: Mapping[str, Any], figure: str, even: float | None) -> None:
    framed = {name: figures for name, figures in models.items() if name != LINEAR} or models
    shown = [value for figures in framed.values() for values in (figures[figure], *figures["ci95"][figure]) for value in values]
    values = [value for value in shown if value is not None and isfinite(value)]
    if even is not None:
        values.append(even)
    if values:
        fit_frame(axes, values)


def fit_frame(axes: Axes, values: Sequence[float]) -> None:
    """Leave a little room above and below some values, and draw the lines of a grid across.

    Args:
        axes: The plot.
        values: What has to be seen, finite; at least one.
    """
    margin = 0.05 * (max(values) - min(values)) or 0.05 * abs(max(values)) or 1.0
    axes.set_ylim(min(values) - margin, max(values) + margin)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.8)


def label_hours(axes: Axes, hours: Sequence[int]) -> None:
    """Ticks and a label for forecast hours: the first one, and every sixth where there are many.

    Args:
        axes: The plot.
        hours: From the first to the last.
    """
    axes.set_xlim(min(hours), max(max(hours), min(hours) + 1))
    axes.set_xticks([hour for hour in hours if hour == 1 or hour % (6 if len(hours) > 12 else 1) == 0])
    axes.set_xlabel("forecast hour")


def gaps(values: Sequence[float | None]) -> list[float]:
    """Values of a line that is broken where there is none."""
    return [float("nan") if value is None else value for value in values]
