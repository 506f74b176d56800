"""Windows of patients who deteriorate and of patients who stay stable, by what was recorded.

A window is a day of a stay; days are counted back from the stay's last hour, and do not overlap. The first six hours of a day are the
state that it starts from.

- *deteriorating*: the patient dies at the day's end, or SOFA is later 2 or more above its first value, or a vasopressor or invasive
  ventilation runs later that did not in the first six hours;
- *stable*: none of these, and SOFA never differs from its first value by more than 1;
- neither: all other days, and days without a SOFA score in the first six hours or after them.
"""

# Shapes: N windows, T hours.

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.data.datamodule import Split
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.evaluation.displacement import EDGE_HOURS

WINDOW_HOURS = 24
VASOPRESSORS = ("norepinephrine", "epinephrine", "dopamine", "dobutamine", "vasopressin", "phenylephrine", "milrinone")
# As an action text says it; "ventilation mode" and non-invasive ventilation are something else.
_VENTILATED = r"(?:^|\| |; )invasive ventilation: "


@dataclass(frozen=True)
class Cohorts:
    """The windows of both cohorts.

    Args:
        stay_N: Row of each window's stay in the store's table of stays, ``[N]`` int64.
        start_N: First hour of stay, ``[N]`` int64.
        is_worse_N: Whether the patient deteriorates; else stays stable, ``[N]`` bool.
        measured_N: Observations in the window, ``[N]`` int64.
        n_by_criterion: How many windows each criterion of deterioration holds for; several may hold. One that a data set cannot tell is
            0, so that what deterioration means differs from one to another.
    """

    stay_N: NDArray[np.int64]
    start_N: NDArray[np.int64]
    is_worse_N: NDArray[np.bool_]
    measured_N: NDArray[np.int64]
    n_by_criterion: Mapping[str, int]


def why_no_cohorts(store: TrajectoryStore) -> str | None:
    """Why a store has no cohorts, in a sentence; None where it has."""
    known = set(store.dataset.get("variables", [])) - set(store.dataset.get("unavailable", {}))
    return None if "sofa" in known else "not available: needs sofa"


def find_cohorts(store: TrajectoryStore, split: Split, hours: int = WINDOW_HOURS) -> Cohorts:
    """The windows of a split.

    Args:
        store: The store.
        split: Train, tuning or held_out.
        hours: Length of a window.
    """
    stays = store.stays.with_row_index("stay").filter(pl.col("split") == split).select("stay", "stay_id", "n_hours", "death_hour")
    # Counted back from the last hour: the day that a patient dies in is a whole one.
    to_the_end = pl.col("n_hours") - 1 - pl.col("hour")
    placed = {"window": to_the_end // hours, "after": to_the_end % hours < hours - EDGE_HOURS}

    def by_window(frame: pl.LazyFrame, **figures: pl.Expr) -> pl.LazyFrame:
        return frame.join(stays.lazy(), on="stay_id").with_columns(**placed).sort("stay", "hour").group_by("stay", "window").agg(**figures)

    after, sofa = pl.col("after"), pl.col("last")
    values, texts = store.scan_values(), store.scan_hours()
    table = (
        by_window(texts, measured=pl.col("n_observations").sum(), hours=pl.len())
        .filter(pl.col("hours") == hours)
        .join(stays.lazy(), on="stay")
        .join(
            by_window(
                values.filter(pl.col("variable") == "sofa"),
                first=sofa.filter(~after).first(),
                most=sofa.filter(after).max(),
                least=sofa.filter(after).min(),
            ),
            on=["stay", "window"],
        )
        .drop_nulls(["first", "most"])
    )
    treated = {
        "vasopressor": values.filter(pl.col("variable").is_in(VASOPRESSORS) & (pl.col("max") > 0)),
        "ventilation": texts.filter(pl.col("action_text").str.contains(_VENTILATED)),
    }
    for name, frame in treated.items():
        begun = by_window(frame, **{name: after.any() & ~(~after).any()})
        table = table.join(begun, on=["stay", "window"], how="left").with_columns(pl.col(name).fill_null(False))
    ends_with_death = (pl.col("window") == 0) & (pl.col("death_hour").floor() <= pl.col("n_hours")).fill_null(False)
    rises, level = pl.col("most") - pl.col("first") >= 2, (pl.col("most") - pl.col("first") <= 1) & (pl.col("first") - pl.col("least") <= 1)
    criteria = ("death", "SOFA", *treated)
    found = (
        table.with_columns(death=ends_with_death, SOFA=rises)
        .with_columns(worse=pl.any_horizontal(*criteria))
        .filter(pl.col("worse") | level)
        .with_columns(start=pl.col("n_hours") - (pl.col("window") + 1) * hours)
        .sort("stay", "start")
        .collect()
    )
    stay_N, start_N, measured_N = (found[name].to_numpy().astype(np.int64) for name in ("stay", "start", "measured"))
    counts = {name: int(found[name].sum()) for name in criteria}
    return Cohorts(stay_N, start_N, found["worse"].to_numpy().astype(bool), measured_N, counts)
