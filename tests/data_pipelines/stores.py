"""Read a store's tables in the form in which tests ask for them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl


@dataclass
class Store:
    """A store's tables in memory."""

    path: Path
    stays: pl.DataFrame
    hours: pl.DataFrame
    values: pl.DataFrame
    labels: pl.DataFrame
    dataset: dict[str, Any]

    def stay(self, stay_id: int) -> dict[str, Any]:
        """The row of a stay."""
        return self.stays.row(by_predicate=pl.col("stay_id") == stay_id, named=True)

    def states(self, stay_id: int) -> list[str]:
        """State texts of a stay, an hour each."""
        return self.hours.filter(pl.col("stay_id") == stay_id)["state_text"].to_list()

    def actions(self, stay_id: int) -> list[str]:
        """Action texts of a stay, an hour each."""
        return self.hours.filter(pl.col("stay_id") == stay_id)["action_text"].to_list()

    def value(self, stay_id: int, hour: int, variable: str) -> tuple[float, ...]:
        """Mean, last, min, max and n of a variable in an hour, rounded to 4 digits; empty where nothing was recorded."""
        is_it = (pl.col("stay_id") == stay_id) & (pl.col("hour") == hour) & (pl.col("variable") == variable)
        rows = self.values.filter(is_it).select("mean", "last", "min", "max", "n").rows()
        return tuple(round(number, 4) for number in rows[0]) if rows else ()


def read_store(path: Path) -> Store:
    """Read every table of a store."""
    return Store(
        path=path,
        stays=pl.read_parquet(path / "stays.parquet"),
        hours=pl.read_parquet(path / "hours" / "*.parquet"),
        values=pl.read_parquet(path / "values" / "*.parquet"),
        labels=pl.read_parquet(path / "labels" / "*.parquet"),
        dataset=json.loads((path / "dataset.json").read_text()),
    )


def content(path: Path) -> dict[str, bytes]:
    """Every file of a store and its bytes."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
