"""The open MIMIC-IV demo v2.2: the published cohort, and the same trajectories by both routes."""

import re
from pathlib import Path

import pytest

from data_pipelines.extract import extract
from tests.data_pipelines.demo import meds_demo, mimic_iv_demo
from tests.data_pipelines.stores import Store, read_store


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
    assert meds.stays.drop("split").equals(raw.stays.drop("split"))  # the MEDS data set brings its own split
    assert meds.hours.equals(raw.hours)
    assert meds.values.equals(raw.values)


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
