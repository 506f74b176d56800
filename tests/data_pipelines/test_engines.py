"""The store does not depend on threads, processes, shards or the engine."""

import json
from pathlib import Path

import polars as pl
import pytest

from clin_jepa.errors import InputError
from data_pipelines.extract import extract
from tests.data_pipelines.hospital import write_mimic_iv
from tests.data_pipelines.stores import content


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hospital of 40 stays."""
    return write_mimic_iv(tmp_path_factory.mktemp("drifting"), n_subjects=40)


@pytest.fixture(scope="module")
def reference(drifting: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its store by four shards in this process, with one thread."""
    return extract("mimic_iv", drifting, tmp_path_factory.mktemp("reference") / "store", shards=4, threads=1)


@pytest.mark.parametrize("options", [{"threads": 4, "workers": 1}, {"threads": 4, "workers": 2}, {"threads": 2, "memory_limit": "1GB"}])
def test_threads_and_processes_do_not_show(drifting: Path, reference: Path, tmp_path: Path, options: dict[str, object]) -> None:
    assert content(extract("mimic_iv", drifting, tmp_path / "store", shards=4, **options)) == content(reference)  # type: ignore[arg-type]


@pytest.mark.parametrize("shards", [1, 7, 30])
def test_shards_show_in_the_number_of_files_only(drifting: Path, reference: Path, tmp_path: Path, shards: int) -> None:
    store = extract("mimic_iv", drifting, tmp_path / "store", shards=shards, threads=1)
    for name in ("stays.parquet", "dataset.json"):
        assert (store / name).read_bytes() == (reference / name).read_bytes()
    for table, keys in (
        ("hours", ["stay_id", "hour"]),
        ("values", ["stay_id", "hour", "variable"]),
        ("labels", ["task", "stay_id", "hour"]),
    ):
        found, expected = (pl.read_parquet(folder / table / "*.parquet").sort(keys) for folder in (store, reference))
        assert found.equals(expected)


def test_content_hash_sees_every_table(drifting: Path, reference: Path, tmp_path: Path) -> None:
    """Another seed changes the splits, another policy the hours: both change the hash."""
    hashes = {json.loads((reference / "dataset.json").read_text())["content_hash"]}
    for number, options in enumerate(({"seed": 1}, {"time_policy": "storetime"}, {"hour_stamp": False})):
        store = extract("mimic_iv", drifting, tmp_path / str(number), **options)  # type: ignore[arg-type]
        hashes.add(json.loads((store / "dataset.json").read_text())["content_hash"])
    assert len(hashes) == 4


def test_ray(drifting: Path, reference: Path, tmp_path: Path) -> None:
    """A real Ray cluster on this machine."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'clin-jepa[ray]'")
    assert content(extract("mimic_iv", drifting, tmp_path / "store", shards=4, engine="ray", threads=2)) == content(reference)


def test_limits_that_cannot_be(drifting: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers 0 is not possible"):
        extract("mimic_iv", drifting, tmp_path / "store", workers=0)
    with pytest.raises(InputError, match="engine 'spark' is unknown: use processes or ray"):
        extract("mimic_iv", drifting, tmp_path / "store", engine="spark")  # type: ignore[arg-type]
