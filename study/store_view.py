"""A store with other splits, or with some of the stays: the same rows, copied."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from clin_jepa.atomic_file import write_atomically
from clin_jepa.data.trajectory_store import TrajectoryStore

_TABLES = ("hours", "values", "labels")


def write_view(store: TrajectoryStore, output: Path, split_of_stay: Mapping[int, str]) -> TrajectoryStore:
    """Write the stays named, each in the split named; a view that is there already is kept, unless it is of others.

    Args:
        store: The whole store.
        output: Folder of the view.
        split_of_stay: Split by stay.
    """
    named = hashlib.sha256(repr(sorted(split_of_stay.items())).encode()).hexdigest()
    content_hash = hashlib.sha256(f"{store.fingerprint} {named}".encode()).hexdigest()
    if (output / "dataset.json").is_file() and TrajectoryStore(output).fingerprint == content_hash:
        return TrajectoryStore(output)
    shutil.rmtree(output, ignore_errors=True)
    chosen = pl.DataFrame({"stay_id": list(split_of_stay), "split": list(split_of_stay.values())})
    output.mkdir(parents=True, exist_ok=True)
    store.stays.drop("split").join(chosen, on="stay_id").select(store.stays.columns).sort("stay_id").write_parquet(output / "stays.parquet")
    for table in _TABLES:
        (output / table).mkdir(exist_ok=True)
        rows = pl.scan_parquet(sorted((store.path / table).glob("*.parquet"))).join(
            chosen.lazy().select("stay_id"), on="stay_id", how="semi"
        )
        keys = ["task", "stay_id", "hour"] if table == "labels" else ["stay_id", "hour"]
        rows.sort(keys, maintain_order=True).sink_parquet(output / table / "00000.parquet")
    about = {**store.dataset, "content_hash": content_hash}
    write_atomically(output / "dataset.json", json.dumps(about, indent=2) + "\n")  # last: with it the view is whole
    return TrajectoryStore(output)


def sampled_stays(store: TrajectoryStore, most: Mapping[str, int], seed: int) -> dict[int, str]:
    """Some stays of each split, all of a subject's or none, in the split that they are in.

    Args:
        store: The store.
        most: Most stays by split.
        seed: Of the draw.
    """
    chosen: dict[int, str] = {}
    for split, count in most.items():
        stays = store.stays.filter(pl.col("split") == split)
        chosen |= dict.fromkeys(_drawn_by_subject(stays, count, seed), split)
    return chosen


def with_validation_stays(store: TrajectoryStore, chosen: Mapping[int, str], count: int, seed: int) -> dict[int, str]:
    """The same stays to train and tune, and in place of the held-out ones others of the split that tunes; of training where it has too few.

    Args:
        store: The store.
        chosen: As `sampled_stays` gives it.
        count: Most stays in place of the held-out ones.
        seed: Of the draw.
    """
    kept = {stay: split for stay, split in chosen.items() if split != "held_out"}
    subject_of = dict(store.stays.select("stay_id", "subject_id").iter_rows())
    used = {subject_of[stay] for stay in kept}
    left = store.stays.filter((pl.col("split") != "held_out") & ~pl.col("subject_id").is_in(list(used)))
    tuning = left.filter(pl.col("split") == "tuning")
    return {**kept, **dict.fromkeys(_drawn_by_subject(tuning if len(tuning) >= count else left, count, seed), "held_out")}


def _drawn_by_subject(stays: pl.DataFrame, count: int, seed: int) -> list[int]:
    """So many stays at most, subject by subject in an order drawn at random."""
    subjects = stays["subject_id"].unique().sort().to_numpy()
    order = {subject: place for place, subject in enumerate(np.random.default_rng(seed).permutation(subjects).tolist())}
    ranked = sorted(stays.select("stay_id", "subject_id").iter_rows(), key=lambda row: (order[row[1]], row[0]))
    return [stay for stay, _ in ranked[:count]]


def fold_of_stays(store: TrajectoryStore, folds: int, fold: int, seed: int) -> dict[int, str]:
    """All stays, a part of the subjects held out; of the others a quarter tunes. Parts are stratified by hospital death.

    Args:
        store: The store.
        folds: Number of parts.
        fold: Which one is held out, from 0.
        seed: Of the parts.
    """
    by_subject = store.stays.group_by("subject_id").agg(pl.col("hospital_death").fill_null(False).any().alias("died")).sort("subject_id")
    part: dict[int, int] = {}
    random, place = np.random.default_rng(seed), 0
    for died in (True, False):
        for subject in random.permutation(by_subject.filter(pl.col("died") == died)["subject_id"].to_numpy()).tolist():
            part[subject] = place % folds
            place += 1
    rest = [subject for subject, number in part.items() if number != fold]
    tuning = set(rest[::4])  # of the dead, who come first, as of the others
    return {
        stay: "held_out" if part[subject] == fold else "tuning" if subject in tuning else "train"
        for stay, subject in store.stays.select("stay_id", "subject_id").iter_rows()
    }
