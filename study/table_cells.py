"""Cells and rows of the study's tables, in Markdown."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from study.design import REFERENCE

# The reference as arms with one seed are held against it.
FIRST_SEED = f"{REFERENCE.name}, first seed"

_FORMS = {"drift_percent": "+.0f", "mase": ".3f", "skill": "+.3f", "displacement": ".2f", "matched": ".2f"}
_LESS_IS_BETTER = ("drift", "mase", "brier")


def table_head(first: str, names: Sequence[str]) -> list[str]:
    """The head of a table and the line below it."""
    return [table_row(first, [name.replace("_", " ") for name in names]), "|" + "---|" * (1 + len(names))]


def table_row(first: str, cells: Sequence[str]) -> str:
    """A row: its name and its cells."""
    return f"| {first} | {' | '.join(cells)} |"


def value_cell(figure: Mapping[str, Any] | None, name: str) -> str:
    """An arm's figure of that name: value, interval and spread over seeds; a dash where there is none."""
    if figure is None:
        return "-"
    form, spread = form_of(name), figure["seed_std"]
    seeds = "" if spread is None else f"; seeds {shown(spread, form.lstrip('+'))}"
    return f"{shown(figure['value'], form)} {between(figure['ci95'], form)}{seeds}"


def difference_cell(figure: Mapping[str, Any] | None, name: str) -> str:
    """An arm's figure minus the reference's."""
    if figure is None or figure["minus_reference"] is None:
        return "-"
    spread = figure["minus_reference_seed_std"]
    seeds = "" if spread is None else f"; seeds {shown(spread, form_of(name).lstrip('+'))}"
    return marked_difference({"value": figure["minus_reference"], "ci95": figure["minus_reference_ci95"]}, name) + seeds


def marked_difference(difference: Mapping[str, Any] | None, name: str) -> str:
    """A difference and its interval, marked as by `marked`."""
    if difference is None or difference["value"] is None:
        return "-"
    form = f"+{form_of(name).lstrip('+')}"
    pair = difference["ci95"]
    return f"{marked(shown(difference['value'], form), pair, name)} {between(pair, form)}"


def marked(words: str, difference: Sequence[float] | None, name: str) -> str:
    """In bold where the interval of a difference says better, with a dagger where it says worse.

    >>> marked("0.7", (-0.2, -0.1), "mase 24 h"), marked("0.9", (0.1, 0.2), "mase 24 h"), marked("0.8", (-0.1, 0.1), "mase 24 h")
    ('**0.7**', '0.9†', '0.8')
    """
    low, high = (0.0, 0.0) if difference is None else difference
    if low <= 0 <= high:
        return words
    return f"**{words}**" if (high < 0) == name.startswith(_LESS_IS_BETTER) else f"{words}†"


def baseline_rows(columns: Sequence[tuple[Mapping[str, Any], str]], skipped: int = 0, left_out: Collection[str] = ()) -> list[str]:
    """A row for each baseline that has a figure in one of the columns.

    Args:
        columns: Of each the baselines, ``[value, interval]`` by ``model / figure``, and the figure's name.
        skipped: Cells before the columns, which stay empty.
        left_out: Baselines that have no row.
    """
    rows = []
    models = dict.fromkeys(key.partition(" / ")[0] for baselines, _ in columns for key in baselines)
    for model in [each for each in models if each not in left_out]:
        found = [(baselines.get(f"{model} / {name}"), form_of(name)) for baselines, name in columns]
        cells = ["" if each is None else f"{shown(each[0], form)} {between(each[1], form)}" for each, form in found]
        if any(cells):
            rows.append(table_row(f"*{model.replace('_', ' ')}*", [""] * skipped + cells))
    return rows


def figure_named(figures: Mapping[str, Mapping[str, Any]], start: str) -> str | None:
    """The first figure that is defined and whose name begins so; of several horizons that is the longest."""
    return next((name for name, figure in figures.items() if name.startswith(start) and figure["value"] is not None), None)


def form_of(name: str) -> str:
    """How a figure of that name is written, as a format."""
    return next((form for start, form in _FORMS.items() if name.startswith(start)), ".3f")


def shown(value: float | None, form: str) -> str:
    """A value; a dash where it is none."""
    return "-" if value is None or not np.isfinite(value) else f"{value:{form}}"


def between(pair: Sequence[float] | None, form: str) -> str:
    """An interval; nothing where there is none."""
    return "" if pair is None else f"({pair[0]:{form}} to {pair[1]:{form}})"
