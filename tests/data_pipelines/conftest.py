"""Stores of the worked hospital, extracted once for all tests of this folder."""

from pathlib import Path

import pytest

from data_pipelines.extract import extract
from tests.data_pipelines.hospital import write_meds, write_mimic_iv
from tests.data_pipelines.stores import Store, read_store


@pytest.fixture(scope="session")
def hospital_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worked hospital in MIMIC-IV's layout, ``.csv.gz``."""
    return write_mimic_iv(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="session")
def store(hospital_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The worked hospital's store, by the original layout."""
    return read_store(extract("mimic_iv", hospital_folder, tmp_path_factory.mktemp("stores") / "mimic_iv"))


@pytest.fixture(scope="session")
def meds_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The worked hospital's store, by MEDS."""
    folder = write_meds(tmp_path_factory.mktemp("meds"))
    return read_store(extract("meds", folder, tmp_path_factory.mktemp("stores") / "meds"))
