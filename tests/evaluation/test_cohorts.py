"""Days of deteriorating and of stable patients, one rule a case."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from clin_jepa.evaluation.cohorts import find_cohorts, why_no_cohorts
from tests.evaluation.written_store import WrittenStay, write_store

Sofa = Mapping[int, float]
LEVEL: Sofa = dict.fromkeys(range(24), 4.0)


def judged(tmp_path: Path, *stays: WrittenStay) -> dict[tuple[int, int], bool]:
    """Whether each window, by stay and first hour, is one of deterioration."""
    store = write_store(tmp_path / "store", stays)
    found = find_cohorts(store, "train")
    ids = store.stays["stay_id"].gather(found.stay_N).to_list()
    return dict(zip(zip(ids, found.start_N.tolist(), strict=True), found.is_worse_N.tolist(), strict=True))


def test_days_are_counted_by_each_criterion_that_holds(tmp_path: Path) -> None:
    risen: Sofa = {**LEVEL, 10: 6.0}
    stays = (
        WrittenStay(1, 24, values={"sofa": risen, "norepinephrine": {12: 0.1}}),
        WrittenStay(2, 24, values={"sofa": risen}, death_hour=23.6),
        WrittenStay(3, 24, values={"sofa": LEVEL}),
    )
    found = find_cohorts(write_store(tmp_path / "store", stays), "train")
    assert found.n_by_criterion == {"death": 1, "SOFA": 2, "vasopressor": 1, "ventilation": 0}


def pressor(*hours: int) -> Mapping[str, Sofa]:
    return {"sofa": LEVEL, "norepinephrine": dict.fromkeys(hours, 0.1)}


@pytest.mark.parametrize(
    ("stay", "is_worse"),
    [
        (WrittenStay(1, 24, values={"sofa": LEVEL}), False),
        (WrittenStay(1, 24, values={"sofa": {**LEVEL, 10: 5.0}}), False),
        (WrittenStay(1, 24, values={"sofa": {**LEVEL, 10: 6.0}}), True),
        (WrittenStay(1, 24, values={"sofa": {**LEVEL, 5: 9.0}}), False),  # only the first value is the start, but within its hours
        (WrittenStay(1, 24, values=pressor(8, 9)), True),
        (WrittenStay(1, 24, values=pressor(2, 8, 9)), False),  # it ran before
        (WrittenStay(1, 24, values=pressor(0, 1)), False),  # it stopped
        (WrittenStay(1, 24, values={"sofa": LEVEL}, actions={12: "invasive ventilation: ongoing"}), True),
        (WrittenStay(1, 24, values={"sofa": LEVEL}, actions={12: "propofol: 50 mg/hour; invasive ventilation: ongoing"}), True),
        (WrittenStay(1, 24, values={"sofa": LEVEL}, actions={12: "non-invasive ventilation: ongoing"}), False),
        (WrittenStay(1, 24, values={"sofa": LEVEL}, actions={12: "invasive ventilation mode: CPAP"}), False),
        (WrittenStay(1, 24, values={"sofa": LEVEL}, death_hour=23.6), True),
        (WrittenStay(1, 24, values={"sofa": LEVEL}, death_hour=200.0), False),
    ],
)
def test_a_day_is_judged_by_one_rule(tmp_path: Path, stay: WrittenStay, is_worse: bool) -> None:
    assert judged(tmp_path, stay) == {(1, 0): is_worse}


@pytest.mark.parametrize(
    "sofa",
    [
        {},
        dict.fromkeys(range(6, 24), 4.0),  # none to start from
        dict.fromkeys(range(6), 4.0),  # none after
        {**LEVEL, 12: 2.0},  # getting better is not stable
    ],
)
def test_a_day_that_is_neither_is_left_out(tmp_path: Path, sofa: Sofa) -> None:
    other = WrittenStay(2, 24, values={"sofa": LEVEL})
    assert judged(tmp_path, WrittenStay(1, 24, values={"sofa": sofa}), other) == {(2, 0): False}


def test_days_are_counted_back_from_the_end_and_others_splits_are_left_out(tmp_path: Path) -> None:
    sofa = {"sofa": dict.fromkeys(range(60), 3.0)}
    dying = WrittenStay(1, 60, values=sofa, death_hour=59.9)
    assert judged(tmp_path, dying, WrittenStay(2, 24, "held_out", sofa)) == {(1, 12): False, (1, 36): True}


def test_a_store_without_sofa_says_so(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [WrittenStay(1, 24, values={"heart_rate": {0: 80.0}})])
    assert why_no_cohorts(store) == "not available: needs sofa"
