"""Figures of a trajectory store."""

from typing import Any

import polars as pl
from transformers import PreTrainedTokenizerBase

from clin_jepa.data.trajectory_store import SPLITS, TrajectoryStore

# Token lengths are measured on at most this many texts of a kind, evenly spread over the store.
_SAMPLED_TEXTS = 20_000


def splits(store: TrajectoryStore) -> list[dict[str, Any]]:
    """A row a split and one for all: stays, subjects, hours, length of stay, age, sex, outcomes in percent of the stays that tell."""
    rows = []
    for name in (*SPLITS, "all"):
        stays = store.stays if name == "all" else store.stays.filter(pl.col("split") == name)
        row = {
            "split": name,
            "stays": stays.height,
            "subjects": stays["subject_id"].n_unique(),
            "hours": int(stays["n_hours"].sum()),
            "median_los_hours": stays["los_hours"].median(),
            "median_age": stays["age"].median(),
            "female_percent": _percent(stays["sex"].str.to_uppercase().str.starts_with("F")),
        }
        for outcome in ("hospital_death", "icu_death", "sepsis3"):
            row[f"{outcome}_percent"] = _percent(stays[outcome])
        rows.append(row)
    return rows


def variables(store: TrajectoryStore) -> list[dict[str, Any]]:
    """A row a variable, the most frequent first: share of hours and of stays that have a value, median and middle 90 % of the values."""
    n_hours, n_stays = int(store.stays["n_hours"].sum()), store.stays.height
    table = (
        store.scan_values()
        .group_by("variable")
        .agg(
            pl.len().alias("hours"),
            pl.col("stay_id").n_unique().alias("stays"),
            pl.col("mean").quantile(0.05).alias("low"),
            pl.col("mean").median().alias("median"),
            pl.col("mean").quantile(0.95).alias("high"),
        )
        .with_columns(hours_percent=100 * pl.col("hours") / n_hours, stays_percent=100 * pl.col("stays") / n_stays)
        .sort("hours", "variable", descending=[True, False])
        .collect(engine="streaming")
    )
    return table.to_dicts()


def token_lengths(store: TrajectoryStore, tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """A row a kind of text: number of tokens, mean, median, 95 %, 99 % and most, and the lengths themselves (``lengths``)."""
    hours = store.scan_hours()
    n_hours = int(store.stays["n_hours"].sum())
    step = max(1, n_hours // _SAMPLED_TEXTS)
    sampled = hours.with_row_index("row").filter(pl.col("row") % step == 0).select("state_text", "action_text").collect(engine="streaming")
    static = store.stays["static_text"].gather_every(max(1, store.stays.height // _SAMPLED_TEXTS))
    rows = []
    for kind, texts in (("static", static), ("state", sampled["state_text"]), ("action", sampled["action_text"])):
        lengths = pl.Series([len(ids) for ids in tokenizer(texts.to_list(), add_special_tokens=False)["input_ids"]])
        rows.append(
            {
                "text": kind,
                "measured": len(lengths),
                "mean": lengths.mean(),
                "median": lengths.median(),
                "p95": lengths.quantile(0.95),
                "p99": lengths.quantile(0.99),
                "most": lengths.max(),
                "lengths": lengths.to_list(),
            }
        )
    return rows


def labels(store: TrajectoryStore) -> list[dict[str, Any]]:
    """A row a task: rows, stays and prevalence in percent, of all and of each split; or why the data set does not have it."""
    counted = (
        store.scan_labels()
        .join(store.stays.lazy().select("stay_id", "split"), on="stay_id")
        .group_by("task", "split")
        .agg(pl.len().alias("rows"), pl.col("stay_id").n_unique().alias("stays"), pl.col("label").sum().alias("positive"))
        .collect(engine="streaming")
    )
    rows = []
    for task, availability in store.dataset["tasks"].items():
        mine = counted.filter(pl.col("task") == task)
        row: dict[str, Any] = {
            "task": task,
            "availability": availability,
            "rows": int(mine["rows"].sum()),
            "stays": int(mine["stays"].sum()),
        }
        for name in ("all", *SPLITS):
            part = mine if name == "all" else mine.filter(pl.col("split") == name)
            row[f"{name}_percent"] = 100 * int(part["positive"].sum()) / int(part["rows"].sum()) if part["rows"].sum() else None
        rows.append(row)
    return rows


def flow(store: TrajectoryStore) -> list[dict[str, Any]]:
    """Each stage of the extraction: rows in, kept, and dropped by reason, the largest reason first."""
    stages = []
    for stage, counts in store.dataset["row_counts"].items():
        dropped = sorted(counts["dropped"].items(), key=lambda item: -item[1])
        stages.append({"stage": stage, "in": counts["in"], "kept": counts["kept"], "dropped": dropped})
    return stages


def _percent(flags: pl.Series) -> float | None:
    known = flags.drop_nulls()
    return 100 * float(known.mean()) if len(known) else None  # type: ignore[arg-type]
