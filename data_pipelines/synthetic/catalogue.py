"""The items that the synthetic hospital records, as told by the CSV files beside this one.

The rates, shares and ranges in them are rounded aggregates of the open MIMIC-IV demo v2.2; no row of it is kept. `per_day` counts the
moments a day at which an item is recorded while its condition `when` holds, in the `share` of stays that record it at all.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import Flags, Ints, Numbers

_FOLDER = Path(__file__).parent
_NUMBERS = {
    "share", "per_day", "values", "low", "high", "minutes", "hours", "worded", "in_icu", "elsewhere", "weight",
    "ref_range_lower", "ref_range_upper",
}  # fmt: skip
_INTEGERS = {"itemid", "decimals", "carrier", "antibiotic"}


@dataclass(frozen=True)
class Items:
    """The columns of a CSV file that say how often an item is recorded, as arrays.

    Attributes:
        frame: The whole file.
        itemid: Item ids.
        when: Name of the condition under which each item is recorded.
        share: Share of the stays that record it at all.
        per_day: Moments a day at which it is recorded.
        group: Number of its category: items of one category are recorded in the same stays and at the same moments.
        low: Low end of its usual range; NaN where it has none.
        high: High end.
    """

    frame: pl.DataFrame
    itemid: Ints
    when: tuple[str, ...]
    share: Numbers
    per_day: Numbers
    group: Ints
    low: Numbers
    high: Numbers

    def __len__(self) -> int:
        return len(self.itemid)

    def strings(self, column: str) -> tuple[str, ...]:
        """A column of the file as strings, empty where nothing stands."""
        return tuple(self.frame[column].fill_null("").to_list())

    def numbers(self, column: str) -> Numbers:
        """A column of the file as numbers, NaN where nothing stands."""
        return self.frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()

    def only(self, chosen: Flags) -> "Items":
        """Some of the items."""
        return _items(self.frame.filter(pl.Series(chosen)))


@cache
def read_items(name: str) -> Items:
    """Read one of this package's CSV files, such as ``charted_items``."""
    return _items(read_frame(name))


@cache
def read_frame(name: str) -> pl.DataFrame:
    """Read one of this package's CSV files as it is, with typed columns."""
    frame = pl.read_csv(_FOLDER / f"{name}.csv", infer_schema=False)
    types: dict[str, type[pl.DataType]] = dict.fromkeys(_NUMBERS, pl.Float64) | dict.fromkeys(_INTEGERS, pl.Int64)
    return frame.with_columns(pl.col(column).cast(kind) for column, kind in types.items() if column in frame.columns)


def _items(frame: pl.DataFrame) -> Items:
    n = len(frame)
    empty = np.full(n, np.nan)
    return Items(
        frame=frame,
        itemid=frame["itemid"].to_numpy(),
        when=tuple(frame["when"].to_list()) if "when" in frame.columns else ("always",) * n,
        share=frame["share"].to_numpy() if "share" in frame.columns else np.ones(n),
        per_day=frame["per_day"].to_numpy() if "per_day" in frame.columns else np.ones(n),
        group=np.unique(frame["category"].to_numpy(), return_inverse=True)[1].astype(np.int64),
        low=frame["low"].fill_null(np.nan).to_numpy() if "low" in frame.columns else empty,
        high=frame["high"].fill_null(np.nan).to_numpy() if "high" in frame.columns else empty,
    )
