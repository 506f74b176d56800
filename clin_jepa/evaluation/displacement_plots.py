"""Histograms of how far latents travel within a day: deteriorating patients beside stable ones."""

# Shapes: N windows, K bins.

from collections.abc import Mapping
from html import escape

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from clin_jepa.evaluation.displacement import Floats
from clin_jepa.evaluation.inline_svg import STYLE, inline_svg

# By whether the patient deteriorates.
COLOURS = {False: "#2f7de1", True: "#d2544b"}
_NAMES = {False: "stable", True: "deteriorating"}
_BINS = 30
# Of the windows; the few that travel farther lie beyond the frame.
_SHOWN = 0.995


def plot_displacements(tables: Mapping[str, pl.DataFrame], *, relative: bool = False, name: str = "displacements") -> str:
    """A panel for each encoder or run: densities of both kinds of window over the same bins, with medians.

    Args:
        tables: By what a panel is of: ``distance`` and ``is_worse`` of each window; windows without a distance are left out.
        relative: Whether distances are in units of the median stable window. Then all panels share their axes; otherwise each has its
            own, as each latent space has a scale of its own.
        name: Prefix of the ids, unique on the page.

    Returns:
        A legend and a ``<div>`` of ``<svg>`` elements, as many side by side as the page is wide; empty if there is no window.
    """
    found = {title: cohorts for title, table in tables.items() if (cohorts := _cohorts(table, relative))}
    if not found:
        return ""
    edges_K = {title: _edges(np.concatenate(list(cohorts.values()))) for title, cohorts in found.items()}
    if relative:
        shared_K = _edges(np.concatenate([distance_N for cohorts in found.values() for distance_N in cohorts.values()]))
        edges_K = dict.fromkeys(found, shared_K)
    densities = {title: {worse: _density(each, edges_K[title]) for worse, each in cohorts.items()} for title, cohorts in found.items()}
    highest = max(density_K.max() for of_panel in densities.values() for density_K in of_panel.values())
    panels = [
        _panel(title, cohorts, densities[title], edges_K[title], 1.05 * highest if relative else None, f"{name}-{number}")
        for number, (title, cohorts) in enumerate(found.items())
    ]
    return f'<ul class="legend">{"".join(_swatch(worse) for worse in COLOURS)}</ul>\n<div class="panels">\n{"".join(panels)}</div>'


def _cohorts(table: pl.DataFrame, relative: bool) -> dict[bool, Floats]:
    """Distances of each kind of window that there is."""
    known = table.select("is_worse", "distance").drop_nulls().filter(pl.col("distance").is_finite())
    found = {worse: known.filter(pl.col("is_worse") == worse)["distance"].to_numpy().astype(np.float64) for worse in COLOURS}
    unit = float(np.median(found[False])) if relative and len(found[False]) else 0.0 if relative else 1.0
    return {worse: distance_N / unit for worse, distance_N in found.items() if len(distance_N) and unit > 0}


def _edges(distance_N: Floats) -> Floats:
    return np.linspace(0, float(np.quantile(distance_N, _SHOWN)) or 1.0, _BINS + 1)


def _density(distance_N: Floats, edges_K: Floats) -> Floats:
    """Of all windows, those beyond the frame too."""
    density_K: Floats = np.histogram(distance_N, edges_K)[0] / (len(distance_N) * np.diff(edges_K))
    return density_K


def _panel(
    title: str, cohorts: Mapping[bool, Floats], densities: Mapping[bool, Floats], edges_K: Floats, top: float | None, name: str
) -> str:
    medians = {worse: float(np.median(distance_N)) for worse, distance_N in cohorts.items()}
    words = ", ".join(f"{_NAMES[worse]} {median:.3g}" for worse, median in medians.items())
    with mpl.rc_context({**STYLE, "svg.hashsalt": name, "font.size": 11}):
        plot = Figure(figsize=(3.6, 2.4), layout="constrained")
        axes = plot.add_subplot()
        for worse, density_K in densities.items():
            axes.stairs(density_K, edges_K, fill=True, color=COLOURS[worse], alpha=0.35, linewidth=0)
            axes.stairs(density_K, edges_K, color=COLOURS[worse], linewidth=1.3)
            axes.axvline(medians[worse], color=COLOURS[worse], linewidth=1.6, linestyle="--")
        axes.set_xlim(0, edges_K[-1])
        axes.set_ylim(0, top)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("displacement" if top is None else "displacement / median of stable")
        svg = inline_svg(plot, name, f"Displacement, {title}: medians {words}")
    return f"<figure><figcaption>{escape(title)}<small>median: {words}</small></figcaption>\n{svg}</figure>\n"


def _swatch(worse: bool) -> str:
    box = f'<rect width="30" height="8" fill="{COLOURS[worse]}" fill-opacity="0.5"/>'
    return f'<li><svg viewBox="0 0 30 8" aria-hidden="true">{box}</svg>{_NAMES[worse]}</li>'
