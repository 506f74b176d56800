"""A synthetic hospital of 200 ICU stays, written once for all tests of its files."""

from pathlib import Path

import polars as pl
import pytest

from data_pipelines.synthetic.synthesize import synthesize

Tables = dict[str, pl.DataFrame]
_TABLES = (
    "hosp/patients",
    "hosp/admissions",
    "hosp/labevents",
    "hosp/microbiologyevents",
    "hosp/prescriptions",
    "hosp/d_labitems",
    "icu/icustays",
    "icu/chartevents",
    "icu/inputevents",
    "icu/outputevents",
    "icu/procedureevents",
    "icu/d_items",
)


@pytest.fixture(scope="session")
def hospital_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the hospital."""
    return synthesize(tmp_path_factory.mktemp("synthetic") / "hospital", stays=200, seed=3, workers=1)


@pytest.fixture(scope="session")
def tables(hospital_path: Path) -> Tables:
    """Its tables, every column as text."""
    return {table: pl.read_csv(hospital_path / f"{table}.csv.gz", infer_schema=False) for table in _TABLES}
