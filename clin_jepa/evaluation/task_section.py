"""The report's section on risk tasks, as the template needs it."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup

from clin_jepa.evaluation.classification import METRICS
from clin_jepa.evaluation.displacement import RAW_NUMBERS
from clin_jepa.evaluation.page import between, shown
from clin_jepa.evaluation.risk_models import BACKBONE, BOOSTED, LOGISTIC, PREVALENCE, REPORTED_PROBE, TUNED
from clin_jepa.evaluation.task_plots import legend, plot_task

LABELS = {
    BACKBONE: "Clin-JEPA, frozen, with probes",
    REPORTED_PROBE: "Clin-JEPA, frozen, with the probe as published",
    TUNED: "Encoder before the curriculum, with probes",
    LOGISTIC: "Logistic regression on six summaries",
    BOOSTED: "LightGBM on six summaries",
    "lstm": "LSTM",
    "tcn": "TCN",
    "gru_d": "GRU-D",
    PREVALENCE: "Prevalence",
    RAW_NUMBERS: "Raw numbers, standardised",
}
TITLES = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier", "ece": "calibration error"}
# A bootstrap of fewer subjects gives intervals that are too narrow.
_FEW_SUBJECTS, _FEW = 30, " - too few subjects to trust the intervals"
_HIGHER_IS_BETTER = {"auroc": True, "auprc": True, "brier": False, "ece": False}


def task_section(metrics: Mapping[str, Any], by_task: Mapping[str, pl.DataFrame]) -> dict[str, Any] | None:
    """Tables and curves of all tasks; None where none was asked for.

    Args:
        metrics: The content of ``metrics.json``.
        by_task: Predictions by task; a task without them gets no curves.
    """
    tasks = metrics.get("tasks")
    if not tasks:
        return None
    measured = {name: figures for name, figures in tasks.items() if "unavailable" not in figures}
    return {
        "overview": _overview(metrics, measured),
        "columns": list(TITLES.values()),
        "legend": legend(LABELS),
        "tasks": [
            {
                "title": task_title(name),
                "about": f"{figures['n']:,} rows of {figures['n_subjects']:,} subjects, {figures['n_positive']:,} of them events "
                f"({100 * figures['prevalence']:.1f} %){_FEW if figures['n_subjects'] < _FEW_SUBJECTS else ''}",
                "rows": _rows(metrics, name),
                "svg": Markup(plot_task(name, by_task[name])) if name in by_task else None,
            }
            for name, figures in measured.items()
        ],
        "not_measured": [(LABELS.get(model, model), reason) for model, reason in metrics.get("not_measured", {}).items()],
        "unavailable": [(task_title(name), figures["unavailable"]) for name, figures in tasks.items() if "unavailable" in figures],
    }


def _overview(metrics: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """AUROC of every model on every task, the best of a task marked."""
    models = _models(metrics)
    rows = []
    for task in measured:
        best = _best(metrics, task, "auroc")
        cells = [_cell(_figures(metrics, model, task), "auroc", best) for model in models]
        rows.append({"title": task_title(task), "cells": cells})
    return {"models": [LABELS.get(model, model) for model in models], "rows": rows}


def _rows(metrics: Mapping[str, Any], task: str) -> list[dict[str, Any]]:
    models = _models(metrics)
    best = {name: _best(metrics, task, name) for name in METRICS}
    rows = []
    for model in models:
        figures = _figures(metrics, model, task)
        cells = [_cell(figures, name, best[name]) for name in METRICS]
        difference = figures.get("backbone_minus_this", {"ci95": {}})
        rows.append({"model": LABELS.get(model, model), "cells": cells, "difference": cell(difference, "auroc", "+.3f")})
    return rows


def _models(metrics: Mapping[str, Any]) -> list[str]:
    return [BACKBONE, *metrics.get("other_probes", {}), *metrics.get("baselines", {})]


def _figures(metrics: Mapping[str, Any], model: str, task: str) -> Mapping[str, Any]:
    source = metrics["tasks"] if model == BACKBONE else {**metrics.get("other_probes", {}), **metrics["baselines"]}[model]
    figures: Mapping[str, Any] = source.get(task, {"ci95": {}})
    return figures


def _best(metrics: Mapping[str, Any], task: str, name: str) -> float | None:
    """Of all models but the prevalence, which tells no patient from another."""
    values = [_figures(metrics, model, task).get(name) for model in _models(metrics) if model != PREVALENCE]
    return (max if _HIGHER_IS_BETTER[name] else min)([value for value in values if value is not None], default=None)


def _cell(figures: Mapping[str, Any], name: str, best: float | None) -> dict[str, Any]:
    value = figures.get(name)
    return cell(figures, name, ".3f") | {"best": value is not None and value == best}


def cell(figures: Mapping[str, Any], name: str, form: str) -> dict[str, Any]:
    """A figure and its interval as a cell of a table; no interval where it has no width.

    Args:
        figures: Figures by name, and ``ci95`` by name.
        name: Of the figure.
        form: How a number reads.
    """
    value, pair = figures.get(name), figures["ci95"].get(name)
    has_width = pair is not None and pair[0] != pair[1]
    return {"value": shown(value, form), "interval": between(pair, form) if has_width else "", "best": False}


def task_title(task: str) -> str:
    """How a reader sees a task named.

    >>> task_title("icu_mortality_at_24h"), task_title("sepsis_onset")
    ('ICU mortality at 24 h', 'Sepsis onset')
    """
    return task.replace("_", " ").replace("icu ", "ICU ").replace(" 24h", " 24 h").capitalize().replace("Icu ", "ICU ")
