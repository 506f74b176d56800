"""A store that does not fit is refused with its file, its column and the way out."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError


@pytest.fixture
def damaged(small_store_path: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(small_store_path, tmp_path / "store", ignore=shutil.ignore_patterns("tokens")))


def test_stays_and_hours_belong_together(small_store_path: Path) -> None:
    store = TrajectoryStore(small_store_path)
    counted = store.scan_hours().group_by("stay_id").len().collect().sort("stay_id")

    assert counted["len"].to_list() == store.stays["n_hours"].to_list()


def test_a_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a trajectory store.*clinjepa extract.*--data\.store"):
        TrajectoryStore(tmp_path)


def test_another_schema_version(damaged: Path) -> None:
    dataset = json.loads((damaged / "dataset.json").read_text())
    (damaged / "dataset.json").write_text(json.dumps(dataset | {"schema_version": 99}))

    with pytest.raises(InputError, match="schema version 99, this clinjepa reads version 1: extract the store again"):
        TrajectoryStore(damaged)


def test_a_broken_description(damaged: Path) -> None:
    (damaged / "dataset.json").write_text("{")

    with pytest.raises(InputError, match=r"dataset\.json is not valid JSON"):
        TrajectoryStore(damaged)


def test_a_description_without_a_content_hash(damaged: Path) -> None:
    dataset = json.loads((damaged / "dataset.json").read_text())
    del dataset["content_hash"]
    (damaged / "dataset.json").write_text(json.dumps(dataset))

    with pytest.raises(InputError, match="content_hash"):
        _ = TrajectoryStore(damaged).fingerprint


@pytest.mark.parametrize("file", ["stays.parquet", "hours"])
def test_a_missing_table(damaged: Path, file: str) -> None:
    path = damaged / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    with pytest.raises(InputError, match=f"{file}.*extract it again"):
        _ = TrajectoryStore(damaged).stays
        TrajectoryStore(damaged).scan_hours()


def test_a_missing_column(damaged: Path) -> None:
    file = damaged / "stays.parquet"
    pl.read_parquet(file).drop("static_text").write_parquet(file)

    with pytest.raises(InputError, match=r"stays\.parquet lacks the column\(s\) static_text"):
        _ = TrajectoryStore(damaged).stays


def test_a_missing_column_of_the_hours(damaged: Path) -> None:
    file = next((damaged / "hours").glob("*.parquet"))
    pl.read_parquet(file).drop("action_text").write_parquet(file)

    with pytest.raises(InputError, match=r"lacks the column\(s\) action_text"):
        TrajectoryStore(damaged).scan_hours()


def test_a_truncated_table(damaged: Path) -> None:
    file = damaged / "stays.parquet"
    file.write_bytes(file.read_bytes()[:200])

    with pytest.raises(InputError, match=r"stays\.parquet cannot be read as Parquet"):
        _ = TrajectoryStore(damaged).stays


def test_an_empty_cohort(damaged: Path) -> None:
    file = damaged / "stays.parquet"
    pl.read_parquet(file).head(0).write_parquet(file)

    with pytest.raises(InputError, match="the cohort of this store is empty"):
        _ = TrajectoryStore(damaged).stays
