"""Views of a store: the same rows under other splits, no subject in two of them."""

from pathlib import Path

import polars as pl
import pytest

from clin_jepa.data.trajectory_store import TrajectoryStore
from study.store_view import fold_of_stays, sampled_stays, with_validation_stays, write_view


@pytest.fixture(scope="module")
def store(store_path: Path) -> TrajectoryStore:
    return TrajectoryStore(store_path)


def subjects_of(store: TrajectoryStore, split_of_stay: dict[int, str]) -> dict[str, set[int]]:
    subject = dict(store.stays.select("stay_id", "subject_id").iter_rows())
    return {split: {subject[stay] for stay, own in split_of_stay.items() if own == split} for split in ("train", "tuning", "held_out")}


def test_every_stay_is_held_out_in_one_fold_and_splits_share_no_subject(store: TrajectoryStore) -> None:
    folds = [fold_of_stays(store, folds=5, fold=fold, seed=0) for fold in range(5)]
    held_out = [stay for fold in folds for stay, split in fold.items() if split == "held_out"]
    assert sorted(held_out) == store.stays["stay_id"].to_list()
    for fold in folds:
        train, tuning, held = subjects_of(store, fold).values()
        assert train and tuning and held
        assert not train & tuning and not train & held and not tuning & held
        assert len(tuning) < len(train)


def test_a_sample_keeps_splits_and_is_drawn_by_subject(store: TrajectoryStore) -> None:
    chosen = sampled_stays(store, {"train": 6, "tuning": 2, "held_out": 2}, seed=0)
    own = dict(store.stays.select("stay_id", "split").iter_rows())
    assert all(own[stay] == split for stay, split in chosen.items())
    assert [list(chosen.values()).count(split) for split in ("train", "tuning", "held_out")] == [6, 2, 2]
    assert chosen == sampled_stays(store, {"train": 6, "tuning": 2, "held_out": 2}, seed=0)
    assert chosen != sampled_stays(store, {"train": 6, "tuning": 2, "held_out": 2}, seed=1)


def test_validation_stays_are_no_subject_s_that_trains_tunes_or_is_held_out(store: TrajectoryStore) -> None:
    chosen = sampled_stays(store, {"train": 6, "tuning": 2, "held_out": 2}, seed=0)
    other = with_validation_stays(store, chosen, count=5, seed=1)
    kept = {stay: split for stay, split in chosen.items() if split != "held_out"}
    assert {stay: split for stay, split in other.items() if split != "held_out"} == kept

    stood_in = subjects_of(store, other)["held_out"]
    own = dict(store.stays.select("stay_id", "split").iter_rows())
    held_out = subjects_of(store, own)["held_out"]
    assert list(other.values()).count("held_out") == 5
    assert not stood_in & held_out and not stood_in & (subjects_of(store, other)["train"] | subjects_of(store, other)["tuning"])
    assert other == with_validation_stays(store, chosen, count=5, seed=1)


def test_a_view_holds_the_same_rows_of_its_stays(store: TrajectoryStore, tmp_path: Path) -> None:
    chosen = sampled_stays(store, {"train": 4, "held_out": 2}, seed=0)
    moved = {stay: "tuning" if split == "held_out" else split for stay, split in chosen.items()}
    view = write_view(store, tmp_path / "view", moved)

    assert dict(view.stays.select("stay_id", "split").iter_rows()) == moved
    assert view.fingerprint != store.fingerprint
    for mine, theirs in (
        (view.scan_hours(), store.scan_hours()),
        (view.scan_values(), store.scan_values()),
        (view.scan_labels(), store.scan_labels()),
    ):
        expected = theirs.filter(pl.col("stay_id").is_in(list(moved))).collect()
        assert mine.collect().sort(expected.columns).equals(expected.sort(expected.columns))
    hours = view.scan_hours().select("stay_id", "hour").collect()
    assert hours.equals(hours.sort("stay_id", "hour"))


def test_a_view_of_other_stays_is_written_anew(store: TrajectoryStore, tmp_path: Path) -> None:
    first = sampled_stays(store, {"train": 4, "held_out": 2}, seed=0)
    other = sampled_stays(store, {"train": 6, "held_out": 1}, seed=0)
    write_view(store, tmp_path / "view", first)
    written = (tmp_path / "view" / "stays.parquet").stat().st_mtime_ns
    assert write_view(store, tmp_path / "view", first).stays.height == 6
    assert (tmp_path / "view" / "stays.parquet").stat().st_mtime_ns == written
    assert dict(write_view(store, tmp_path / "view", other).stays.select("stay_id", "split").iter_rows()) == other
