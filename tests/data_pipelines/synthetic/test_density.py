"""As many rows as MIMIC-IV v3.1 has, and as many of each item a day as the open demo has."""

import polars as pl
import pytest

from tests.data_pipelines.synthetic.conftest import Tables

_STAYS = 200
_MEAN_LOS = 3.55
# Rows of v3.1 for each of its 94,458 ICU stays.
_ROWS_A_STAY = {
    "icu/chartevents": 433.0e6 / 94_458,
    "icu/inputevents": 10.95e6 / 94_458,
    "icu/outputevents": 5.36e6 / 94_458,
    "icu/procedureevents": 0.81e6 / 94_458,
    "hosp/labevents": 158.0e6 / 94_458,
    "hosp/microbiologyevents": 3.99e6 / 94_458,
    "hosp/prescriptions": 20.3e6 / 94_458,
    "hosp/admissions": 546_028 / 94_458,
    "hosp/patients": 364_627 / 94_458,
}


def _days(tables: Tables) -> float:
    return float(tables["icu/icustays"]["los"].cast(pl.Float64).sum())


@pytest.mark.parametrize("table", [table for table in _ROWS_A_STAY if table.startswith("icu/")])
def test_rows_of_the_icu_a_day(tables: Tables, table: str) -> None:
    # A sample of 200 stays has another mean length of stay than 94,458, so the ICU's tables are compared by the day.
    per_day = len(tables[table]) / _days(tables)
    assert per_day == pytest.approx(_ROWS_A_STAY[table] / _MEAN_LOS, rel=0.2)


@pytest.mark.parametrize("table", [table for table in _ROWS_A_STAY if table.startswith("hosp/")])
def test_rows_of_the_hospital_a_stay(tables: Tables, table: str) -> None:
    assert len(tables[table]) / _STAYS == pytest.approx(_ROWS_A_STAY[table], rel=0.2)


# Rows per ICU day in the open demo, rounded.
_READINGS_A_DAY = {"220045": 27, "220277": 26, "220181": 16, "223761": 6.6, "220739": 6.4, "226732": 6.1, "220052": 10.8}


@pytest.mark.parametrize(("itemid", "per_day"), _READINGS_A_DAY.items())
def test_readings_a_day(tables: Tables, itemid: str, per_day: float) -> None:
    rows = tables["icu/chartevents"].filter(pl.col("itemid") == itemid)
    assert len(rows) / _days(tables) == pytest.approx(per_day, rel=0.35)


def test_a_fifth_of_the_chart_is_what_variables_read(tables: Tables) -> None:
    from data_pipelines.synthetic.catalogue import read_items

    items = read_items("charted_items").frame
    unmapped = items.filter(pl.col("quantity").is_null()).select(pl.col("itemid").cast(pl.String))
    share = len(tables["icu/chartevents"].join(unmapped, on="itemid", how="semi")) / len(tables["icu/chartevents"])
    assert 0.7 < share < 0.85


def test_most_laboratory_results_lie_outside_icu_stays(tables: Tables) -> None:
    stays = tables["icu/icustays"].select("hadm_id", "intime", "outtime")
    labs = tables["hosp/labevents"]
    inside = labs.join(stays, on="hadm_id").filter(pl.col("charttime").is_between(pl.col("intime"), pl.col("outtime")))
    assert 0.08 < len(inside) / len(labs) < 0.3
    assert 0.4 < labs["hadm_id"].null_count() / len(labs) < 0.65


def test_lengths_of_stay(tables: Tables) -> None:
    days = tables["icu/icustays"]["los"].cast(pl.Float64)
    assert days.median() == pytest.approx(1.97, rel=0.25)
    assert days.mean() == pytest.approx(_MEAN_LOS, rel=0.3)
    assert 0 < (days < 0.25).sum() < 0.08 * _STAYS
