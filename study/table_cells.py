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
    difference = minus_reference(figure)
    if figure is None or difference is None:
        return "-"
    spread = figure["minus_reference_seed_std"]
    seeds = "" if spread is None else f"; seeds {shown(spread, form_of(name).lstrip('+'))}"
    return marked_difference(difference, name) + seeds


def minus_reference(figure: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """An arm's difference to the reference: ``value``, ``ci95`` over patients and ``seed_ci95``; None where there is none."""
    if figure is None or figure["minus_reference"] is None:
        return None
    return {name: figure[f"minus_reference{of}"] for name, of in (("value", ""), ("ci95", "_ci95"), ("seed_ci95", "_seed_ci95"))}


def marked_difference(difference: Mapping[str, Any] | None, name: str) -> str:
    """A difference and its interval over patients, marked as by `marked`."""
    if difference is None or difference["value"] is None:
        return "-"
    form = f"+{form_of(name).lstrip('+')}"
    return f"{marked(shown(difference['value'], form), difference, name)} {between(difference['ci95'], form)}"


def marked(words: str, difference: Mapping[str, Any] | None, name: str) -> str:
    """In bold where a difference says better, with a dagger where it says worse.

    It says so by its interval over patients and, where there are several seeds, by that over seeds too; not where it is written as 0.

    >>> less, more = {"ci95": (-0.2, -0.1)}, {"ci95": (0.1, 0.2)}
    >>> marked("0.7", less, "mase 24 h"), marked("0.9", more, "mase 24 h"), marked("0.8", {"ci95": (-0.1, 0.1)}, "mase 24 h")
    ('**0.7**', '0.9†', '0.8')
    >>> marked("0.7", less | {"seed_ci95": (-0.3, -0.0)}, "mase 24 h"), marked("0.7", less | {"seed_ci95": (-0.3, 0.1)}, "mase 24 h")
    ('0.7', '0.7')
    >>> marked("0.800", {"ci95": (-3e-4, -1e-4), "value": -2e-4}, "mase 24 h")
    '0.800'
    """
    value = None if difference is None else difference.get("value")
    if value is not None and float(shown(value, form_of(name))) == 0:
        return words
    intervals = [] if difference is None else [difference["ci95"], difference.get("seed_ci95")]
    known = [pair for pair in intervals if pair is not None]
    if known and all(high < 0 for _, high in known):
        return f"**{words}**" if name.startswith(_LESS_IS_BETTER) else f"{words}†"
    if known and all(low > 0 for low, _ in known):
        return f"{words}†" if name.startswith(_LESS_IS_BETTER) else f"**{words}**"
    return words


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
