"""Glasgow coma scale: parts that are not charted, the tube, and the tube out."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward


def scale(*moments: tuple[float, int | None, int | str | None, int | None]) -> Stay:
    """Moments of (hour, eye, verbal, motor); verbal "T" is a tube."""
    stay = Stay(24)
    for hour, eye, verbal, motor in moments:
        if verbal == "T":
            stay.read(hour, "gcs_intubated", "intubated")
            verbal = None
        for variable, value in (("gcs_eye", eye), ("gcs_verbal", verbal), ("gcs_motor", motor)):
            if value is not None:
                stay.read(hour, variable, float(value))
    return stay


CASES = [
    Case("awake", scale((1, 4, 5, 6)), [(1, 15)]),
    Case("lowest", scale((1, 1, 1, 1)), [(1, 3)]),
    Case("a lone part: the others are normal", scale((1, 3, None, None)), [(1, 14)]),
    Case("missing parts from the moment before", scale((1, 2, 3, 4), (3, 3, None, None)), [(1, 9), (3, 10)]),
    Case("a second less than 6 hours before counts", scale((1, 2, 3, 4), (7 - SECOND, 3, None, None)), [(1, 9), (7 - SECOND, 10)]),
    Case("exactly 6 hours before does not", scale((1, 2, 3, 4), (7, 3, None, None)), [(1, 9), (7, 14)]),
    # mimic-code looks back one moment only: the eye of hour 1 is forgotten at hour 3.
    Case("only the moment before", scale((1, 1, None, None), (2, None, None, 3), (3, None, 2, None)), [(1, 12), (2, 9), (3, 9)]),
    Case("intubated counts as 15", scale((1, 1, "T", 1)), [(1, 15)]),
    Case("still intubated at the next moment", scale((1, 1, "T", 1), (2, 2, None, 3)), [(1, 15), (2, 15)]),
    Case("a tube 6 hours ago says nothing", scale((1, 1, "T", 1), (7, 2, None, 3)), [(1, 15), (7, 10)]),
    Case("tube out: what was charted under it does not count", scale((1, 1, "T", 1), (2, None, 4, None)), [(1, 15), (2, 14)]),
    Case("tube out with all parts", scale((1, 1, "T", 1), (2, 3, 4, 5)), [(1, 15), (2, 12)]),
    Case("intubated after a low scale", scale((1, 1, 1, 1), (2, 1, "T", 1)), [(1, 3), (2, 15)]),
    Case("a moment without verbal after one that followed the tube", scale((1, 1, "T", 1), (2, 1, None, 1), (3, 2, None, 2)), [
        (1, 15), (2, 15), (3, 9),  # the moment before has no verbal response at all: as mimic-code
    ]),
    Case("a charted total", Stay(24).read(1, "gcs", 7), [(1, 7)]),
    Case("a charted total goes before its parts", scale((1, 4, 5, 6)).read(1, "gcs", 8), [(1, 8)]),
    Case("two totals of one second: the lower", Stay(24).read(1, "gcs", 9).read(1, "gcs", 6), [(1, 6)]),
    Case("parts charted a second apart are two moments", scale((1, 2, None, None), (1 + SECOND, None, 3, 4)), [(1, 13), (1 + SECOND, 9)]),
    Case("nothing charted", Stay(24), []),
    Case("an implausible part", Stay(24).read(1, "gcs_eye", 5).read(1, "gcs_motor", 5), [(1, 14)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_gcs(stays: Ward, case: Case) -> None:
    found = stays.rows("gcs", case.name, "second", "gcs")
    assert found == [(round(hour * 3600), gcs) for hour, gcs in case.expected]


def test_the_lowest_of_an_hour_is_its_score() -> None:
    with ward({"two": scale((1, 4, 5, 6), (1.5, 2, 2, 2), (2, 4, 5, 6))}) as run:
        assert run.by_hour("(FROM scores WHERE variable = 'gcs_total')", "value", "two") == {1: 6, 2: 15}
        assert run.line("sofa", "brain", "two") == "0" + "3" * 23  # 6-9 points
