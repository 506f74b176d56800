"""Describe a trajectory store: ``clinjepa extract --describe STORE``."""

import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from transformers import PreTrainedTokenizerBase

from clin_jepa.data.tokenizer import load_tokenizer, store_tokenizer
from clin_jepa.data.trajectory_store import TrajectoryStore
from data_pipelines.cohort_rules import RULES
from data_pipelines.description import statistics
from data_pipelines.description.page import write_page

_VOCABULARY = 4096
_SHOWN_VARIABLES = 30


def describe(describe: str | Path, page: str | Path | None = None, tokenizer: str | None = None) -> Path:
    """Print what a trajectory store holds, and write it as a page with plots.

    Args:
        describe: Folder of the trajectory store.
        page: HTML file to write; by default ``description.html`` in the store.
        tokenizer: Tokenizer by which texts are measured, a name on the Hugging Face hub or a folder; by default one that is trained on
            the store's training texts.

    Returns:
        The page.

    Raises:
        InputError: If the folder is no trajectory store, the tokenizer is not found, or the page cannot be written.
    """
    store = TrajectoryStore(describe)
    description = collect(store, tokenizer)
    _print(description)
    return write_page(description, Path(page) if page is not None else store.path / "description.html")


def collect(store: TrajectoryStore, tokenizer: str | None = None) -> dict[str, Any]:
    """All figures of a description."""
    measuring, name = _tokenizer(store, tokenizer)
    return {
        "name": store.path.resolve().name,
        "dataset": store.dataset,
        "splits": statistics.splits(store),
        "flow": statistics.flow(store),
        "variables": statistics.variables(store),
        "labels": statistics.labels(store),
        "tokens": statistics.token_lengths(store, measuring),
        "tokenizer": name,
        "hours_of_stays": store.stays["n_hours"].to_list(),
    }


def _tokenizer(store: TrajectoryStore, name: str | None) -> tuple[PreTrainedTokenizerBase, str]:
    if name is not None:
        return load_tokenizer(name), name
    with tempfile.TemporaryDirectory() as folder:
        return store_tokenizer(store, Path(folder), _VOCABULARY), f"byte-level BPE of {_VOCABULARY:,} tokens, trained on this store"


def _print(description: dict[str, Any]) -> None:
    console = Console()
    for table in (_cohort(description), _splits(description), _labels(description), _variables(description), _tokens(description)):
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def _cohort(description: dict[str, Any]) -> Table:
    stays = next(stage for stage in description["flow"] if stage["stage"] == "stays")
    table = _table(f"Cohort: {description['dataset']['source']} {description['dataset']['source_version']}", "", "stays")
    table.add_row("ICU stays in the data", f"{stays['in']:,}")
    for rule, n in stays["dropped"]:
        table.add_row(f"  dropped: {RULES.get(rule, rule)}", f"-{n:,}")
    table.add_row("in the cohort", f"{stays['kept']:,}")
    return table


def _splits(description: dict[str, Any]) -> Table:
    table = _table("Splits", "split", "stays", "patients", "hours", "median h", "died %", "in ICU %", "sepsis %")
    for row in description["splits"]:
        percents = [_number(row[f"{outcome}_percent"], 1) for outcome in ("hospital_death", "icu_death", "sepsis3")]
        table.add_row(
            row["split"], f"{row['stays']:,}", f"{row['subjects']:,}", f"{row['hours']:,}", _number(row["median_los_hours"], 1), *percents
        )
    return table


def _labels(description: dict[str, Any]) -> Table:
    table = _table("Labels", "task", "rows", "stays", "positive %")
    for row in description["labels"]:
        if row["availability"] == "available":
            table.add_row(row["task"], f"{row['rows']:,}", f"{row['stays']:,}", _number(row["all_percent"], 1))
        else:
            table.add_row(row["task"], "", "", row["availability"])
    return table


def _variables(description: dict[str, Any]) -> Table:
    rows = description["variables"]
    table = _table(
        f"Variables: the {min(_SHOWN_VARIABLES, len(rows))} most frequent of {len(rows)}", "variable", "hours %", "stays %", "median"
    )
    for row in rows[:_SHOWN_VARIABLES]:
        table.add_row(row["variable"], _number(row["hours_percent"], 1), _number(row["stays_percent"], 1), _number(row["median"], 2))
    return table


def _tokens(description: dict[str, Any]) -> Table:
    table = _table(f"Tokens: {description['tokenizer']}", "text", "mean", "median", "95 %", "99 %", "most")
    for row in description["tokens"]:
        table.add_row(row["text"], _number(row["mean"], 1), *(_number(row[name], 0) for name in ("median", "p95", "p99", "most")))
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
