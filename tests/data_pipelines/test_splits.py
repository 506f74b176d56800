"""Splits are by subject, stratified by hospital death, stable, and a MEDS data set's own where it brings them."""

from pathlib import Path

import polars as pl
import pytest

from data_pipelines.extract import extract
from tests.data_pipelines.hospital import write_meds, write_mimic_iv
from tests.data_pipelines.stores import Store, read_store


@pytest.fixture(scope="module")
def drifting_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 invented subjects, a stay each."""
    return write_mimic_iv(tmp_path_factory.mktemp("drifting"), n_subjects=80, seed=1)


@pytest.fixture(scope="module")
def drifting(drifting_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Their store."""
    return read_store(extract("mimic_iv", drifting_folder, tmp_path_factory.mktemp("stores") / "store"))


def test_shares_hold_in_each_stratum(drifting: Store) -> None:
    for died in (False, True):
        stays = drifting.stays.filter(pl.col("hospital_death") == died)
        counts = dict(stays["split"].value_counts().rows())
        assert stays.height > 10
        for split, share in (("train", 0.70), ("tuning", 0.15), ("held_out", 0.15)):
            assert abs(counts[split] - share * stays.height) <= 1


def test_a_subject_is_in_one_split(store: Store) -> None:
    assert store.stays.group_by("subject_id").agg(pl.col("split").n_unique())["split"].to_list() == [1, 1, 1, 1]
    assert store.stay(304)["split"] == store.stay(324)["split"]


def test_another_seed_draws_another_split_and_nothing_else(drifting: Store, drifting_folder: Path, tmp_path: Path) -> None:
    other = read_store(extract("mimic_iv", drifting_folder, tmp_path / "store", seed=1))
    assert not other.stays["split"].equals(drifting.stays["split"])
    assert other.stays.drop("split").equals(drifting.stays.drop("split"))
    assert other.hours.equals(drifting.hours)


def test_a_subject_keeps_its_rank_when_the_input_order_changes(drifting: Store, drifting_folder: Path, tmp_path: Path) -> None:
    raw = write_mimic_iv(tmp_path / "raw", fmt="csv", n_subjects=80, seed=1)
    file = raw / "icu" / "icustays.csv"
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert read_store(extract("mimic_iv", raw, tmp_path / "store")).stays.equals(drifting.stays)


def test_meds_keeps_its_own_splits(tmp_path: Path) -> None:
    own = {101: "held_out", 102: "tuning", 104: "held_out", 109: "train"}
    stays = read_store(extract("meds", write_meds(tmp_path / "meds", splits=own), tmp_path / "store")).stays
    assert dict(stays.select("subject_id", "split").rows()) == own
