"""MELD per hour: the formula, its bounds, the 48 hours for which a result holds, dialysis."""

import math
from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward


def liver(bilirubin: float | None, inr: float | None, creatinine: float | None, hour: float = 0, hours: float = 60) -> Stay:
    stay = Stay(hours)
    for variable, value in (("bilirubin_total", bilirubin), ("inr", inr), ("creatinine", creatinine)):
        if value is not None:
            stay.read(hour, variable, value)
    return stay


def meld(bilirubin: float, inr: float, creatinine: float) -> float:
    """Kamath et al. 2001, of inputs within the bounds."""
    return 3.78 * math.log(bilirubin) + 11.2 * math.log(inr) + 9.57 * math.log(creatinine) + 6.43


# Expected: the score, the first hour that has it, and how many do.
LEAST = 6.43
CASES = [
    Case("normal values give the least", liver(1, 1, 1), {0: LEAST}),
    Case("values below 1 count as 1", liver(0.3, 0.9, 0.4), {0: LEAST}),
    Case("by hand: 3.78 x 0.6931 + 11.2 x 0.4055 + 9.57 x 0.6931 + 6.43", liver(2, 1.5, 2), {0: 20.225}),
    Case("e, e and e", liver(2.718282, 2.718282, 2.718282), {0: 30.98}),
    Case("creatinine above 4 counts as 4", liver(1, 1, 9), {0: meld(1, 1, 4)}),
    Case("creatinine 3.9 is itself", liver(1, 1, 3.9), {0: meld(1, 1, 3.9)}),
    Case("bilirubin and INR have no upper bound", liver(40, 10, 1), {0: meld(40, 10, 1)}),
    Case("no bilirubin", liver(None, 2, 2), {}),
    Case("no INR", liver(2, None, 2), {}),
    Case("no creatinine", liver(2, 2, None), {}),
    Case("holds through 48 hours", liver(2, 1.5, 2), {0: 20.225, 47: 20.225, 48: None}),
    Case("the oldest input ends it", liver(2, 1.5, None).read(20, "creatinine", 2), {19: None, 20: 20.225, 47: 20.225, 48: None}),
    Case("the last of an hour, not the worst", liver(2, 1.5, 4).read(0.5, "creatinine", 2), {0: 20.225}),
    Case("a later value replaces an earlier", liver(8, 1.5, 2).read(3, "bilirubin_total", 2), {2: meld(8, 1.5, 2), 3: 20.225}),
    Case("the last second of an hour", liver(2, 1.5, 2, hour=3 - SECOND), {1: None, 2: 20.225}),
    Case("dialysis", liver(2, 1.5, 1.2).give(2, "hemodialysis", until=3), {1: meld(2, 1.5, 1.2), 2: meld(2, 1.5, 4), 47: meld(2, 1.5, 4)}),
    Case("dialysis without a creatinine", liver(2, 1.5, None).give(2, "crrt", until=3), {1: None, 2: meld(2, 1.5, 4)}),
    Case(
        "dialysis counts for 7 days",
        liver(2, 1.5, 1.2, hour=168, hours=200).give(2, "hemodialysis", until=3),
        {168: meld(2, 1.5, 4), 169: meld(2, 1.5, 4), 170: meld(2, 1.5, 1.2)},
    ),
    Case("drawn before ICU admission", liver(2, 1.5, 2, hour=-1), {0: None}),
]


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_meld(stays: Ward, case: Case) -> None:
    found = stays.by_hour("meld", "meld", case.name)
    if not case.expected:
        assert not found
    for hour, value in case.expected.items():
        assert found.get(hour) == (None if value is None else pytest.approx(value, abs=1e-3)), hour
