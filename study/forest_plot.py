"""A picture of the study's figures: a panel a figure, a row an arm, with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clin_jepa.atomic_file import replacing
from study.design import RECOMMENDED, REFERENCE
from study.table_cells import FIRST_SEED, figure_named

_PANELS = (
    "drift_percent",
    "mase",
    "skill",
    "displacement_ratio",
    "matched_displacement_ratio",
    "mean auroc, early events",
    "mean auroc, binary",
    "mean auroc, all tasks",
)
_TITLES = {
    "drift_percent": "drift, %\n(less is better)",
    "mase": "MASE\n(less is better)",
    "skill": "skill",
    "displacement_ratio": "displacement\nratio",
    "matched_displacement_ratio": "displacement\nratio, matched",
    "mean auroc, early events": "mean AUROC,\nearly events",
    "mean auroc, binary": "mean AUROC,\nonce a stay",
    "mean auroc, all tasks": "mean AUROC,\nall tasks",
}
_COLOURS = {"reference": "#e08a2c", "default": "#2f7de1", "ablation": "#59636e", "baseline": "#2aa198"}
_ROW_INCHES = 0.24
# A row so many times as far from the reference as the median row, and as the next, is off the panel: others could not be told apart.
_FAR_OF_MEDIAN, _FAR_OF_NEXT = 10, 2.5


def draw_forest(data: str, report: Mapping[str, Any], baselines: Mapping[str, Any], folder: Path) -> Path:
    """Draw a data set's figures.

    Args:
        data: Its name.
        report: From `arms_report`; perhaps with a row `FIRST_SEED`.
        baselines: Value and interval of each figure of the baselines, under ``model / figure``.
        folder: Where the picture goes.

    Returns:
        ``study_<data>.png``.
    """
    names = [name for start in _PANELS if (name := figure_named(report[REFERENCE.name]["figures"], start)) is not None]
    models = [model for model in dict.fromkeys(key.partition(" / ")[0] for key in baselines) if model != "prevalence"]
    rows = [*report, *models]
    plot = Figure(figsize=(2.3 * len(names) + 1.6, _ROW_INCHES * len(rows) + 1.1), dpi=150, layout="constrained")
    panels = np.atleast_1d(plot.subplots(1, len(names), sharey=True))
    for axes, name in zip(panels, names, strict=True):
        reference = report[REFERENCE.name]["figures"][name]["value"]
        figures = [_figure(report, baselines, row, name) for row in rows]
        is_far = far_rows([None if figure is None else figure[0] for figure in figures], reference)
        for place, (row, figure, far) in enumerate(zip(rows, figures, is_far, strict=True)):
            if figure is None:
                continue
            if far:
                _point_to(axes, place, figure[0], figure[0] > reference, _kind(row, report))
            else:
                _draw(axes, place, figure, _kind(row, report))
        axes.axvline(reference, color=_COLOURS["reference"], linewidth=0.8, alpha=0.6, zorder=0)
        if FIRST_SEED in report:
            first = report[FIRST_SEED]["figures"][name]["value"]
            axes.axvline(first, color=_COLOURS["reference"], linewidth=0.8, alpha=0.6, linestyle=":", zorder=0)
        axes.set_title(next(title for start, title in _TITLES.items() if name.startswith(start)), fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(rows)), [row.replace("_", " ") for row in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    path = folder / f"study_{data}.png"
    with replacing(path) as partial:
        plot.savefig(partial, format="png", metadata={"Software": None})
    return path


def far_rows(values: Sequence[float | None], reference: float) -> list[bool]:
    """Whether each row's value lies too far from the reference to be drawn beside the others."""
    away = np.array([np.nan if value is None else abs(value - reference) for value in values])
    farthest = np.sort(away[np.isfinite(away)])[::-1]
    gaps = np.flatnonzero(farthest[:-1] > _FAR_OF_NEXT * farthest[1:])
    is_far = [each for each in farthest[gaps] if each > _FAR_OF_MEDIAN * np.median(farthest)]
    return [bool(is_far) and bool(each >= min(is_far)) for each in away]


def _figure(report: Mapping[str, Any], baselines: Mapping[str, Any], row: str, name: str) -> tuple[float, Sequence[float] | None] | None:
    if row in report:
        figure = report[row]["figures"].get(name)
        return None if figure is None or figure["value"] is None else (figure["value"], figure["ci95"])
    value, pair = baselines.get(f"{row} / {name}", (None, None))
    return None if value is None else (value, pair)


def _kind(row: str, report: Mapping[str, Any]) -> str:
    if row not in report:
        return "baseline"
    return "reference" if row in (REFERENCE.name, FIRST_SEED) else "default" if row == RECOMMENDED.name else "ablation"


def _draw(axes: Axes, place: int, figure: tuple[float, Sequence[float] | None], kind: str) -> None:
    value, pair = figure
    if pair is not None:
        axes.plot(pair, [place, place], color=_COLOURS[kind], linewidth=1.6)
    axes.plot([value], [place], marker="o", markersize=4.5, color=_COLOURS[kind])


def _point_to(axes: Axes, place: int, value: float, is_right: bool, kind: str) -> None:
    """An arrow at the edge beyond which the value lies, with the value."""
    edge, side, words = (1.0, "right", f"{value:.4g} →") if is_right else (0.0, "left", f"← {value:.4g}")
    axes.text(edge, place, words, transform=axes.get_yaxis_transform(), ha=side, va="center", fontsize=8, color=_COLOURS[kind])
