"""Tables of a comparison: arms and baselines by figure, with intervals and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clin_jepa.evaluation.page import between, shown
from clin_jepa.evaluation.risk_models import PREVALENCE
from clin_jepa.evaluation.task_section import LABELS, TITLES, task_title

# The section of a comparison's metrics.json that a model is in, and its name there: an arm may be called as a baseline is.
Model = tuple[str, str]
Column = Mapping[Model, Mapping[str, Any]]
SECTIONS = ("arms", "baselines")
# What the first table leaves to those below it.
_SECONDARY = ("mase 1 h",)
_NOTHING = {"value": "-", "interval": "", "best": False}


@dataclass(frozen=True)
class Figure:
    """How a figure reads.

    Args:
        title: Its name for a reader.
        more_is_better: Whether more is better.
        form: How a value reads.
        meaning: A sentence on it.
    """

    title: str
    more_is_better: bool
    form: str
    meaning: str


# By how the figure's name begins.
_FIGURES = {
    "drift_percent": Figure(
        "Drift, %", False, "+.1f", "Growth of the rollout's error since its first hour, %. Read it with MASE and skill."
    ),
    "mase": Figure("MASE", False, ".3f", "Rollout error relative to copying the last true state forward. Below 1 is better than copying."),
    "skill_vs_mean": Figure("Skill", True, "+.3f", "Share of the training mean's error that is gained."),
    "displacement_ratio": Figure(
        "Displacement ratio", True, ".2f", "Latent displacement within a day, deteriorating over stable patients."
    ),
    "matched_displacement_ratio": Figure(
        "Matched displacement ratio", True, ".2f", "The same at an equal place in the stay and equal counts of measurements."
    ),
    "mean auroc": Figure("Mean AUROC", True, ".3f", "Mean AUROC of the tasks that the store can tell."),
}
_METRICS = {
    name: Figure(title, more_is_better, ".3f", "")
    for (name, title), more_is_better in zip(TITLES.items(), (True, True, False, False), strict=True)
}


def figure_named(name: str) -> Figure:
    """How a figure of ``metrics.json`` reads; not of a single task.

    >>> figure_named("mase 48 h").title
    'MASE, 48 h'
    """
    start = next(start for start in _FIGURES if name.startswith(start))
    rest = name.removeprefix(start).strip(", ")
    return replace(_FIGURES[start], title=f"{_FIGURES[start].title}, {rest}" if rest else _FIGURES[start].title)


def figure_names(report: Mapping[str, Any]) -> list[str]:
    """The figures that arms have, those of single tasks left out."""
    names = dict.fromkeys(name for content in report["arms"].values() for name in content["figures"])
    return [name for name in names if not name.startswith("auroc ")]


def overview(report: Mapping[str, Any]) -> dict[str, Any]:
    """The main figures, a row an arm; below them, of each figure that baselines have the best of them.

    Args:
        report: The content of a comparison's ``metrics.json``.
    """
    names = [name for name in figure_names(report) if not name.startswith(_SECONDARY)]
    figures = [figure_named(name) for name in names]
    columns = [{**_of_figure(report, name, "arms"), **_best_baseline(report, name)} for name in names]
    return {
        "columns": [{"title": figure.title, "better": "more" if figure.more_is_better else "less"} for figure in figures],
        "rows": _rows(report, columns, figures),
    }


def figure_table(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One figure: value, spread over seeds, paired difference to the reference.

    Args:
        report: The content of a comparison's ``metrics.json``.
        name: Of the figure.
    """
    figure, column = figure_named(name), _of_figure(report, name)
    return {"title": figure.title, "meaning": figure.meaning, "rows": _with_spread(_rows(report, [column], [figure]), column, figure)}


def task_table(report: Mapping[str, Any], task: str) -> dict[str, Any]:
    """All metrics of a task; of AUROC the spread over seeds and the paired difference to the reference too.

    Args:
        report: The content of a comparison's ``metrics.json``.
        task: A task that was asked.
    """
    columns = [_of_metric(report, task, name) for name in _METRICS]
    rows = _rows(report, columns, list(_METRICS.values()))
    return {"columns": [figure.title for figure in _METRICS.values()], "rows": _with_spread(rows, columns[0], _METRICS["auroc"])}


def task_overview(report: Mapping[str, Any]) -> dict[str, Any]:
    """AUROC of every model on every task that was asked."""
    tasks = [task for task, figures in report["tasks"].items() if "unavailable" not in figures]
    columns = [_of_metric(report, task, "auroc") for task in tasks]
    return {"columns": [task_title(task) for task in tasks], "rows": _rows(report, columns, [_METRICS["auroc"]] * len(tasks))}


def _best_baseline(report: Mapping[str, Any], name: str) -> Column:
    baselines = _of_figure(report, name, "baselines")
    return {("baselines", "best baseline"): max(baselines.values(), key=lambda figure: figure["value"] or 0.0)} if baselines else {}


def _of_figure(report: Mapping[str, Any], name: str, *sections: str) -> Column:
    return {
        (section, model): content["figures"][name]
        for section in sections or SECTIONS
        for model, content in report[section].items()
        if name in content["figures"]
    }


def _of_metric(report: Mapping[str, Any], task: str, metric: str) -> Column:
    return {(section, model): figures[metric] for section in SECTIONS for model, figures in report["tasks"][task][section].items()}


def _rows(report: Mapping[str, Any], columns: Sequence[Column], figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """A row a model, in the order of arms and baselines, the best of each column marked."""
    models = dict.fromkeys(model for column in columns for model in column)
    cells = [_cells(column, figure) for column, figure in zip(columns, figures, strict=True)]
    return [
        {
            "model": (section, name),
            "name": LABELS.get(name, name) if section == "baselines" else name,
            "kind": "baseline" if section == "baselines" else "reference" if name == report["reference"] else "",
            "cells": [of_column.get((section, name), _NOTHING) for of_column in cells],
        }
        for section, name in models
    ]


def _cells(column: Column, figure: Figure) -> dict[Model, dict[str, Any]]:
    """The prevalence, which tells no patient from another, is never the best: it has no calibration error by its nature."""
    known = [content["value"] for (_, name), content in column.items() if name != PREVALENCE and content["value"] is not None]
    best = (max if figure.more_is_better else min)(known, default=None)
    return {
        model: _cell(content["value"], content["ci95"], figure.form)
        | {"best": model[1] != PREVALENCE and content["value"] is not None and content["value"] == best}
        for model, content in column.items()
    }


def _with_spread(rows: list[dict[str, Any]], column: Column, figure: Figure) -> list[dict[str, Any]]:
    signed = figure.form if figure.form.startswith("+") else f"+{figure.form}"
    for row in rows:
        content = column[row["model"]]
        row["seeds"] = shown(content["seed_std"], figure.form.lstrip("+"))
        row["difference"] = _cell(content["minus_reference"], content["minus_reference_ci95"], signed)
        if (over_seeds := content["minus_reference_seed_ci95"]) is not None:
            parts = row["difference"]["interval"], f"seeds {between(over_seeds, signed)}"
            row["difference"]["interval"] = "; ".join(filter(None, parts))
    return rows


def _cell(value: float | None, pair: Sequence[float] | None, form: str) -> dict[str, Any]:
    return {"value": shown(value, form), "interval": between(pair, form) if pair is not None and pair[0] != pair[1] else "", "best": False}
