"""Cells and rows of the study's tables, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_FORMS = {"drift_percent": "+.0f", "mase": ".3f", "skill": "+.3f", "displacement": ".2f", "matched": ".2f"}


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
    return bold_where_clear({"value": figure["minus_reference"], "ci95": figure["minus_reference_ci95"]}, name) + seeds


def bold_where_clear(difference: Mapping[str, Any] | None, name: str) -> str:
    """A difference, in bold where its interval excludes 0."""
    if difference is None:
        return "-"
    form = f"+{form_of(name).lstrip('+')}"
    value = shown(difference["value"], form)
    return f"{f'**{value}**' if excludes_zero(difference['ci95']) else value} {between(difference['ci95'], form)}"


def excludes_zero(pair: Sequence[float] | None) -> bool:
    """Whether an interval does."""
    return pair is not None and (pair[0] > 0 or pair[1] < 0)


def form_of(name: str) -> str:
    """How a figure of that name is written, as a format."""
    return next((form for start, form in _FORMS.items() if name.startswith(start)), ".3f")


def shown(value: float | None, form: str) -> str:
    """A value; a dash where it is none."""
    return "-" if value is None or not np.isfinite(value) else f"{value:{form}}"


def between(pair: Sequence[float] | None, form: str) -> str:
    """An interval; nothing where there is none."""
    return "" if pair is None else f"({pair[0]:{form}} to {pair[1]:{form}})"
