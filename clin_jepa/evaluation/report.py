"""``report.html``: one self-contained page that a reader understands without the code."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from clin_jepa.atomic_file import write_atomically
from clin_jepa.evaluation.cohort_flow import cohort_flow, cohort_flow_html
from clin_jepa.evaluation.geometry import Geometry
from clin_jepa.evaluation.geometry_section import geometry_section
from clin_jepa.evaluation.headline import headline
from clin_jepa.evaluation.model_names import ARMS, label
from clin_jepa.evaluation.page import between, render_page, shown
from clin_jepa.evaluation.plots import legend, plot_figure, plot_spectrum
from clin_jepa.evaluation.run_settings import setting_rows
from clin_jepa.evaluation.task_section import task_section

# Figure, title, what it means, how a value reads, and the value that is neither better nor worse.
_TABLES: tuple[tuple[str, str, str, str, float | None], ...] = (
    ("drift_percent", "Drift, %", "Growth of the error since the first forecast hour. 0 is none.", "+.1f", 0.0),
    ("mase", "MASE", "Error relative to copying the last true state forward. Below 1 is better.", ".2f", 1.0),
    ("skill_vs_mean", "Skill against the training mean", "Share of the mean's error that is gained. Above 0 is better.", "+.2f", 0.0),
    ("l1", "L1 error", "Mean absolute error of a latent feature. Comparable only within one encoder.", ".4f", None),
    ("l1_over_mad", "L1 / mean absolute deviation", "Error in units of the latents' own spread. Comparable between encoders.", ".2f", None),
)
_UNIT = re.compile(r"(\d) (h|%)")
_PLOTS = ("l1", "drift_percent", "mase")
_ARM_FIGURE = "l1_vs_true_actions_percent"
_MEASURES = (
    ("feature_std_across_samples", "std, all hours"),
    ("feature_std_within_stay", "std, within a stay"),
    ("rankme", "RankMe"),
    ("participation_ratio", "participation ratio"),
    ("mean_pairwise_cosine", "pairwise cosine"),
    ("mean_norm", "norm"),
    ("mean_absolute_deviation", "mean abs. deviation"),
)


def write_report(
    metrics: Mapping[str, Any],
    curves: Mapping[str, Any],
    output: Path,
    by_task: Mapping[str, pl.DataFrame] | None = None,
    geometry: Geometry | None = None,
) -> Path:
    """Write the page in one step.

    Args:
        metrics: The content of ``metrics.json``. ``dataset`` may hold ``splits`` ({split: {"stays", "windows", "hours", ...}}), ``run``
            may hold ``settings`` and ``versions``; all their other values, and those of ``encoder``, are listed as they are.
        curves: ``{"drift": drift.drift_curves(...)}``, and optionally ``"singular_values"``: descending values by phase.
        output: The file, ``report.html``.
        by_task: Predictions of all models by task, for curves.
        geometry: Displacements and latents of deteriorating and stable days, for histograms and a map.

    Returns:
        ``output``.

    Raises:
        InputError: If the file cannot be written.
    """
    return write_atomically(output, render_page("report.html.j2", _content(metrics, curves, by_task or {}, geometry)))


def _content(
    metrics: Mapping[str, Any], curves: Mapping[str, Any], by_task: Mapping[str, pl.DataFrame], geometry: Geometry | None
) -> dict[str, Any]:
    drift, collapse, run = metrics["drift"], metrics["collapse"], metrics["run"]
    versions, settings = run.get("versions", {}), run.get("settings", {})
    return {
        "title": str(run.get("name", "run")),
        "headline": _UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", headline(drift)),
        "drift": drift,
        "tables": [_table(drift, *table) for table in _TABLES],
        "arms": _arms(drift),
        "contexts": _contexts(drift),
        "other_contexts_missing": [
            (context, entry["unavailable"]) for context, entry in drift.get("other_contexts", {}).items() if "unavailable" in entry
        ],
        "notes": run.get("notes", []),
        "legend": legend(list(drift["models"])),
        "plots": [_plot(curves["drift"], table) for figure in _PLOTS for table in _TABLES if table[0] == figure],
        "spectrum": Markup(plot_spectrum(curves["singular_values"])) if curves.get("singular_values") else None,
        "tasks": task_section(metrics, by_task),
        "geometry": geometry_section(metrics, geometry),
        "decoded": _decoded(metrics.get("decoded", {})),
        "collapse": collapse,
        "phases": _phases(collapse),
        "measures": [name for _, name in _MEASURES],
        "flow": cohort_flow_html(cohort_flow(metrics)),
        "cards": [
            ("Data set", setting_rows({key: value for key, value in metrics["dataset"].items() if key not in ("splits", "stay_counts")})),
            ("Encoder", setting_rows(metrics["encoder"])),
            ("Run", setting_rows({key: value for key, value in run.items() if key not in ("versions", "settings", "evaluation", "notes")})),
            ("Evaluation", setting_rows(run.get("evaluation", {}))),
            ("Versions", setting_rows(versions)),
        ],
        "settings": setting_rows(settings),
    }


def _table(drift: Mapping[str, Any], figure: str, title: str, meaning: str, form: str, even: float | None) -> dict[str, Any]:
    rows = [{"model": label(model), "cells": _cells(figures, figure, form)} for model, figures in drift["models"].items()]
    return {"title": title, "meaning": meaning, "rows": rows, "shown": even is not None}


def _arms(drift: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"model": label(arm), "cells": _cells(drift["models"][arm], _ARM_FIGURE, "+.1f")}
        for arm in ARMS[1:]
        if arm in drift["models"] and _ARM_FIGURE in drift["models"][arm]
    ]


def _decoded(decoded: Mapping[str, Any]) -> dict[str, Any] | None:
    """MASE of each variable's decoded forecast at the horizons, and of ridge regression."""
    measured = {name: entry for name, entry in decoded.items() if "unavailable" not in entry}
    if not measured:
        return None

    def rows(figure: str) -> list[dict[str, Any]]:
        return [
            {
                "model": name.replace("_", " "),
                "cells": [
                    {"value": shown(value, ".2f"), "interval": "" if pair is None else _interval(pair, ".2f")}
                    for value, pair in zip(entry[figure], entry["ci95"][figure], strict=True)
                ],
            }
            for name, entry in measured.items()
        ]

    missing = [(name.replace("_", " "), entry["unavailable"]) for name, entry in decoded.items() if "unavailable" in entry]
    hours = next(iter(measured.values()))["horizons"]
    spans = [f"{first + 1} to {last}" if last - first > 1 else f"{last}" for first, last in zip([0, *hours[:-1]], hours, strict=True)]
    return {"hours": spans, "rows": rows("mase"), "ridge": rows("mase_ridge"), "unavailable": missing}


def _contexts(drift: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The last forecast hour from each context, in order, of those that could be measured."""
    others = {int(context): entry for context, entry in drift.get("other_contexts", {}).items() if "unavailable" not in entry}
    entries = {drift["context_hours"]: drift, **others}
    return [
        {
            "context": entry["context_hours"],
            "horizon": entry["horizon_hours"],
            "windows": entry["n_windows"],
            "cells": [_cells(entry, figure, form)[-1] for figure, _, _, form, even in _TABLES if even is not None],
        }
        for _, entry in sorted(entries.items())
    ]


def _plot(curves: Mapping[str, Any], table: tuple[str, str, str, str, float | None]) -> dict[str, Any]:
    figure, title, meaning, _, even = table
    return {"title": title, "meaning": meaning, "svg": Markup(plot_figure(curves, figure, title, even, wide=figure == _PLOTS[0]))}


def _cells(figures: Mapping[str, Any], figure: str, form: str) -> list[dict[str, str]]:
    pairs = zip(figures[figure], figures["ci95"][figure], strict=True)
    return [{"value": shown(value, form), "interval": _interval(pair, form)} for value, pair in pairs]


def _interval(pair: Sequence[float | None], form: str) -> str:
    """Nothing where a figure has no interval, or no width: drift at the first hour is 0 by definition."""
    if None in pair or pair[0] == pair[1]:
        return ""
    return between(pair, form)


def _phases(collapse: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "phase": str(entry["phase"]).replace("_", " "),
            "step": f"{entry['step']:,}",
            "cells": [shown(entry["measures"].get(name), ".3g") for name, _ in _MEASURES],
            "findings": entry.get("findings", []),
        }
        for entry in collapse.get("phases", [])
    ]
