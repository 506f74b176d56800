"""The flaws of real records are there, and as rare as there."""

import numpy as np
import polars as pl

from data_pipelines.synthetic.chunks import chunks_of
from data_pipelines.synthetic.people import admit
from tests.data_pipelines.synthetic.conftest import Tables


def test_a_few_stays_end_before_they_begin() -> None:
    stays = [admit(chunk) for chunk in chunks_of(64 * 1000, seed=0)]
    backwards = sum(int((people.stay_end < people.stay_start).sum()) for people in stays)
    assert 1 <= backwards <= 20


def test_a_few_patients_are_below_eighteen_by_the_books() -> None:
    ages = []
    for chunk in chunks_of(64 * 300, seed=0):
        people = admit(chunk)
        year = people.stay_start.astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
        ages.append(people.age[people.stay_patient] + year - people.anchor_year[people.stay_patient])
    age = np.concatenate(ages)
    assert age.min() == 17
    assert (age < 18).mean() < 0.002


def test_first_and_later_icu_stays_and_readmissions(tables: Tables) -> None:
    stays = tables["icu/icustays"]
    assert stays["hadm_id"].n_unique() < len(stays)
    assert stays["subject_id"].n_unique() < stays["hadm_id"].n_unique()


def test_implausible_values(tables: Tables) -> None:
    rate = tables["icu/chartevents"].filter(pl.col("itemid").is_in(["220045", "220210", "220277"]))["valuenum"].cast(pl.Float64)
    assert 0.00005 < ((rate <= 0) | (rate > 300)).mean() < 0.002


def test_rows_that_stand_twice(tables: Tables) -> None:
    chart = tables["icu/chartevents"].drop("warning")
    assert 0.0001 < 1 - chart.n_unique() / len(chart) < 0.002


def test_events_outside_their_stay(tables: Tables) -> None:
    chart = tables["icu/chartevents"].join(tables["icu/icustays"].select("stay_id", "intime", "outtime"), on="stay_id")
    outside = (chart["charttime"] < chart["intime"]) | (chart["charttime"] > chart["outtime"])
    assert 0.0005 < outside.mean() < 0.006


def test_worded_laboratory_values(tables: Tables) -> None:
    labs = tables["hosp/labevents"].filter((pl.col("itemid") == "50912") & pl.col("valuenum").is_null())
    assert {"ERROR", "HEMOLYZED"} & set(labs["value"])
