"""The open MIMIC-IV demo v2.2: the published cohort, and the same trajectories by both routes."""

import re
from pathlib import Path

import polars as pl
import pytest

from data_pipelines.extract import extract
from tests.data_pipelines.demo import meds_demo, mimic_iv_demo
from tests.data_pipelines.stores import Store, read_store

NOTHING_DONE = "no interventions recorded"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The demo's store by its original layout."""
    return _extracted("mimic_iv", mimic_iv_demo(), tmp_path_factory)


@pytest.fixture(scope="module")
def meds(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The demo's store by MEDS."""
    return _extracted("meds", meds_demo(), tmp_path_factory)


def _extracted(source: str, folder: Path, factory: pytest.TempPathFactory) -> Store:
    return read_store(extract(source, folder, factory.mktemp("demo") / source))  # type: ignore[arg-type]


def test_cohort(raw: Store) -> None:
    assert (raw.stays.height, raw.stays["hospital_death"].sum()) == (126, 14)
    assert raw.dataset["row_counts"]["stays"]["in"] == 140
    assert raw.dataset["source_version"] == "2.2"


def test_meds_cohort(meds: Store) -> None:
    assert (meds.stays.height, meds.stays["hospital_death"].sum()) == (126, 14)
    assert set(meds.stays["split"]) == {"train", "tuning", "held_out"}


def test_both_routes_give_the_same_trajectories(raw: Store, meds: Store) -> None:
    """The numeric grid with SOFA, KDIGO and MELD, the texts and the labels; MEDS keeps no prescriptions and no cultures."""
    differs = ["split", "sepsis3", "sepsis3_onset_hour"]  # the MEDS data set brings its own split
    assert meds.stays.drop(differs).equals(raw.stays.drop(differs))
    assert meds.values.equals(raw.values)
    assert meds.hours["state_text"].equals(raw.hours["state_text"])
    prescribed = r"(; )?antibiotic prescribed: [a-z-]+"
    actions = raw.hours["action_text"].str.replace_all(prescribed, "").str.replace(r"\| ; ", "| ").str.replace(r"\| $", f"| {NOTHING_DONE}")
    assert meds.hours["action_text"].equals(actions)
    assert meds.labels.equals(raw.labels.filter(~raw.labels["task"].is_in(["sepsis", "sepsis_onset"])))
    assert meds.dataset["tasks"]["sepsis"] == "not available: needs sepsis-3"


def test_severity_of_the_demo(raw: Store) -> None:
    """What a change of a definition would move."""
    worst = raw.values.group_by("stay_id", "variable").agg(pl.col("max").max())
    kdigo = worst.filter(pl.col("variable") == "kdigo_stage")["max"]
    assert [int((kdigo == stage).sum()) for stage in range(4)] == [43, 22, 31, 30]
    assert worst.filter(pl.col("variable") == "sofa")["max"].median() == 4.0
    assert raw.stays["sepsis3"].sum() == 62


def test_most_hours_speak(raw: Store) -> None:
    assert (raw.hours["n_observations"] == 0).mean() < 0.05
    assert raw.hours["n_observations"].mean() > 10
    assert raw.hours["n_actions"].mean() > 3


def test_no_text_leaks(raw: Store) -> None:
    stays, subjects = set(map(str, raw.stays["stay_id"])), set(map(str, raw.stays["subject_id"]))
    for column in ("state_text", "action_text"):
        for text in raw.hours[column].unique():
            assert text.isascii()
            assert not re.search(r"\b2[01]\d\d-\d\d|\d\d:\d\d", text)
            assert not (stays | subjects) & set(re.findall(r"\d{8}", text))
