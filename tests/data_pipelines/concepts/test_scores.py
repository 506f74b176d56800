"""Scores as variables of the numeric grid, and in the text of hours with an observation."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import Stay, Ward, ward

SICK = Stay(12).read(1, "creatinine", 2.5).read(1, "bilirubin_total", 2).read(1, "inr", 1.5).read(1, "gcs", 14).read(1.5, "gcs", 9)


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward({"sick": SICK, "nothing": Stay(8)}) as run:
        yield run


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("sofa", {0: 0, **dict.fromkeys(range(1, 12), 2 + 2 + 3)}),  # kidney 2, liver 2, brain 3
        ("kdigo_stage", dict.fromkeys(range(1, 12), 0)),
        ("meld", dict.fromkeys(range(1, 12), 22.3605)),  # 3.78 x 0.6931 + 11.2 x 0.4055 + 9.57 x 0.9163 + 6.43
        ("gcs_total", {1: 9}),
    ],
)
def test_scores(stays: Ward, variable: str, expected: dict[int, float]) -> None:
    found = stays.by_hour(f"(FROM scores WHERE variable = '{variable}')", "value", "sick")
    assert found == {hour: pytest.approx(value, abs=1e-3) for hour, value in expected.items()}


def test_grid_holds_the_scores_once(stays: Ward) -> None:
    rows = stays.rows("hourly_values", "sick", "variable", "mean", "n")
    assert ("sofa", 7.0, 1) in rows and ("kdigo_stage", 0.0, 1) in rows


def test_a_score_speaks_where_something_was_observed(stays: Ward) -> None:
    texts = stays.by_hour("hours", "state_text", "sick")
    assert texts[1].startswith("t=1h | SOFA score: 7; KDIGO stage: 0; MELD score: 22; creatinine: 2.5 mg/dL")
    assert texts[2] == "t=2h | no observations recorded"


def test_sofa_is_no_score_where_its_inputs_are_not_mapped() -> None:
    with ward({"sick": SICK}, knows_scores=False) as run:
        assert not run.by_hour("(FROM scores WHERE variable = 'sofa')", "value", "sick")
