"""The same hospital gives the same trajectories, whatever the layout and the file format."""

from pathlib import Path
from typing import Literal

import polars as pl
import pytest

from clin_jepa.data.trajectory_store import TrajectoryStore
from data_pipelines.extract import extract
from tests.data_pipelines.hospital import write_meds, write_mimic_iv
from tests.data_pipelines.stores import Store, content, read_store


def test_meds_equals_mimic_iv(store: Store, meds_store: Store) -> None:
    assert meds_store.stays.equals(store.stays)
    assert meds_store.hours.equals(store.hours)
    assert meds_store.values.equals(store.values)


def test_meds_equals_mimic_iv_on_drifting_patients(tmp_path: Path) -> None:
    raw = read_store(extract("mimic_iv", write_mimic_iv(tmp_path / "raw", n_subjects=20, seed=3), tmp_path / "raw_store"))
    meds = read_store(extract("meds", write_meds(tmp_path / "meds", n_subjects=20, seed=3), tmp_path / "meds_store"))
    assert raw.stays.height == 20
    assert meds.stays.equals(raw.stays)
    assert meds.hours.equals(raw.hours)
    assert meds.values.equals(raw.values)


@pytest.mark.parametrize("fmt", ["csv", "parquet"])
def test_file_formats_give_the_same_bytes(fmt: Literal["csv", "parquet"], tmp_path: Path, store: Store) -> None:
    other = extract("mimic_iv", write_mimic_iv(tmp_path / "raw", fmt=fmt), tmp_path / "store")
    assert content(other) == content(store.path)


def test_formats_may_be_mixed(tmp_path: Path, store: Store) -> None:
    raw = write_mimic_iv(tmp_path / "raw")
    write_mimic_iv(tmp_path / "plain", fmt="parquet")
    (raw / "icu" / "chartevents.csv.gz").unlink()
    (tmp_path / "plain" / "icu" / "chartevents.parquet").rename(raw / "icu" / "chartevents.parquet")
    assert content(extract("mimic_iv", raw, tmp_path / "store")) == content(store.path)


@pytest.mark.parametrize("meds_version", ["0.3", "0.3.3", "0.4.0"])
def test_meds_versions(meds_version: str, tmp_path: Path, store: Store) -> None:
    folder = write_meds(tmp_path / "meds", meds_version=meds_version)
    assert read_store(extract("meds", folder, tmp_path / "store")).hours.equals(store.hours)


@pytest.mark.parametrize("limits", [{}, {"threads": 1}, {"threads": 4, "memory_limit": "500MB"}])
def test_a_rerun_gives_the_same_bytes(limits: dict[str, str | int], hospital_folder: Path, tmp_path: Path, store: Store) -> None:
    again = extract("mimic_iv", hospital_folder, tmp_path / "store", **limits)  # type: ignore[arg-type]
    assert content(again) == content(store.path)


def test_the_reader_opens_the_store(store: Store) -> None:
    reader = TrajectoryStore(store.path)
    assert reader.fingerprint == store.dataset["content_hash"]
    assert reader.stays.height == 5
    assert reader.scan_hours().collect().equals(store.hours)
    assert reader.scan_values().collect().equals(store.values)


def test_column_types(store: Store) -> None:
    assert store.values.schema == {
        "stay_id": pl.Int64,
        "hour": pl.Int32,
        "variable": pl.String,
        "mean": pl.Float32,
        "last": pl.Float32,
        "min": pl.Float32,
        "max": pl.Float32,
        "n": pl.Int32,
    }
    assert store.stays.schema["hospital_death"] == store.stays.schema["icu_death"] == pl.Boolean


def test_dataset_json(store: Store, meds_store: Store) -> None:
    dataset = store.dataset
    assert (dataset["schema_version"], dataset["source"], dataset["seed"]) == (1, "mimic_iv", 0)
    assert meds_store.dataset["source_version"] == "invented 1.0"
    assert dataset["content_hash"] == meds_store.dataset["content_hash"]
    assert dataset["settings_hash"] != meds_store.dataset["settings_hash"]
    assert set(dataset["row_counts"]) >= {"stays", "observations", "actions", "hours", "values", "chartevents", "labevents"}
