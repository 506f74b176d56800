"""The files look as MIMIC-IV v3.1 writes them."""

import gzip
import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

from data_pipelines.synthetic.tables import COLUMNS
from tests.data_pipelines.synthetic.conftest import Tables

_TIME = r"^21\d\d-\d\d-\d\d \d\d:\d\d:\d\d$|^2210-\d\d-\d\d \d\d:\d\d:\d\d$"
_WHOLE = r"^\d+$"
_NUMBER = r"^-?\d+(\.\d+)?$"


def test_every_table_has_its_columns_in_order(hospital_path: Path) -> None:
    for table, columns in COLUMNS.items():
        with gzip.open(hospital_path / f"{table}.csv.gz", "rt", encoding="utf-8") as file:
            assert file.readline() == ",".join(columns) + "\n", table


def test_python_polars_and_duckdb_read_all_members(hospital_path: Path, tables: Tables) -> None:
    counted = json.loads((hospital_path / "synthetic_hospital.json").read_text())["rows"]
    for table in ("icu/icustays", "icu/outputevents", "hosp/labevents"):
        path = hospital_path / f"{table}.csv.gz"
        with gzip.open(path, "rb") as file:
            lines = sum(1 for _ in file)
        [(rows,)] = duckdb.sql(f"SELECT count(*) FROM read_csv('{path}', all_varchar = true)").fetchall()
        assert lines - 1 == len(tables[table]) == rows == counted[table], table


@pytest.mark.parametrize(
    ("table", "pattern", "columns"),
    [
        ("icu/icustays", _TIME, ["intime", "outtime"]),
        ("icu/chartevents", _TIME, ["charttime", "storetime"]),
        ("icu/chartevents", _WHOLE, ["subject_id", "hadm_id", "stay_id", "caregiver_id", "itemid", "warning"]),
        ("icu/chartevents", _NUMBER, ["valuenum"]),
        ("hosp/labevents", _NUMBER, ["valuenum", "ref_range_lower", "ref_range_upper"]),
        ("hosp/labevents", _TIME, ["charttime", "storetime"]),
        ("icu/inputevents", _TIME, ["starttime", "endtime", "storetime"]),
        ("icu/inputevents", _NUMBER, ["amount", "rate", "patientweight", "originalamount", "originalrate"]),
        ("icu/procedureevents", _TIME, ["starttime", "endtime", "storetime"]),
        ("icu/outputevents", _NUMBER, ["value"]),
        ("hosp/prescriptions", _TIME, ["starttime", "stoptime"]),
        ("hosp/microbiologyevents", _TIME, ["chartdate", "charttime", "storetime"]),
        ("hosp/patients", r"^2[12]\d\d-\d\d-\d\d$", ["dod"]),
    ],
)
def test_values_are_written_as_mimic_writes_them(tables: Tables, table: str, pattern: str, columns: list[str]) -> None:
    for column in columns:
        odd = tables[table].filter(~pl.col(column).str.contains(pattern))
        assert odd.is_empty(), f"{column}: {odd[column].head(3).to_list()}"


def test_a_numeric_reading_has_its_number_twice_and_a_word_at_most_once(tables: Tables) -> None:
    chart = tables["icu/chartevents"]
    heart_rate = chart.filter(pl.col("itemid") == "220045")
    assert (heart_rate["value"] == heart_rate["valuenum"]).all()
    rhythm = chart.filter(pl.col("itemid") == "220048")
    assert rhythm["valuenum"].null_count() == len(rhythm)
    assert "SR (Sinus Rhythm)" in set(rhythm["value"])
    verbal = chart.filter(pl.col("itemid") == "223900").select("value", "valuenum").unique()
    assert ("No Response-ETT", "1") in verbal.rows()


def test_rows_are_sorted_by_subject(tables: Tables) -> None:
    for table in ("hosp/patients", "hosp/labevents", "icu/chartevents", "icu/inputevents"):
        subjects = tables[table]["subject_id"].cast(pl.Int64)
        assert subjects.is_sorted(), table


def test_ids_are_unique_and_refer_to_something(tables: Tables) -> None:
    stays, chart = tables["icu/icustays"], tables["icu/chartevents"]
    assert stays["stay_id"].n_unique() == 200
    assert tables["hosp/admissions"]["hadm_id"].is_unique().all()
    assert tables["hosp/labevents"]["labevent_id"].is_unique().all()
    assert chart.join(stays, on=["subject_id", "hadm_id", "stay_id"], how="anti").is_empty()
    assert stays.join(tables["hosp/admissions"], on=["subject_id", "hadm_id"], how="anti").is_empty()
    assert tables["hosp/admissions"].join(tables["hosp/patients"], on="subject_id", how="anti").is_empty()
    for table in ("chartevents", "inputevents", "outputevents", "procedureevents"):
        assert tables[f"icu/{table}"].join(tables["icu/d_items"], on="itemid", how="anti").is_empty(), table
    assert tables["hosp/labevents"].join(tables["hosp/d_labitems"], on="itemid", how="anti").is_empty()


def test_what_is_charted_is_stored_later(tables: Tables) -> None:
    for table in ("icu/chartevents", "hosp/labevents", "icu/outputevents"):
        assert (tables[table]["storetime"] > tables[table]["charttime"]).all(), table


def test_a_carried_drug_and_its_fluid_share_order_and_times(tables: Tables) -> None:
    given = tables["icu/inputevents"]
    drug = given.filter(pl.col("itemid") == "221906")
    fluid = given.filter((pl.col("itemid") == "225158") & (pl.col("ordercomponenttypedescription") == "Mixed solution"))
    assert len(drug) > 20
    assert len(drug.join(fluid, on=["stay_id", "orderid", "starttime", "endtime", "linkorderid"])) == len(drug)
    assert set(drug["ordercategorydescription"]) == {"Continuous Med"}
    assert {"ChangeDose/Rate", "FinishedRunning"} <= set(drug["statusdescription"])


def test_blood_gases_have_their_specimen_type(tables: Tables) -> None:
    types = tables["hosp/labevents"].filter(pl.col("itemid") == "52033")
    assert {"ART.", "VEN."} <= set(types["value"])
