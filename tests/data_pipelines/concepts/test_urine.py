"""Urine per hour: coverage of records, windows, irrigation, and the weight that is known."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import Case, Stay, Ward, each, ward


def urine(*hours: int, ml: float = 60, weight: float | None = 60, weighed: float = 0) -> Stay:
    """The same urine in the middle of each hour."""
    stay = Stay().series([hour + 0.5 for hour in hours], "urine_output", ml)
    return stay if weight is None else stay.read(weighed, "weight", weight)


COLUMNS = ("ml", "ml_6", "covered_6", "ml_12", "covered_12", "ml_24", "covered_24", "rate_6", "rate_12", "rate_24", "weight")
# Expected: what these columns are at an hour; a hole where the hour has no row.
CASES = [
    Case("a first record covers the hours since admission", urine(4), {4: {"covered_6": 5, "ml_6": 60, "rate_6": None}}),
    Case("five hours are too few for a rate", urine(*range(5)), {4: {"covered_6": 5, "rate_6": None}}),
    Case("six hours give a rate", urine(*range(6)), {5: {"covered_6": 6, "ml_6": 360, "rate_6": 1.0, "rate_12": None}}),
    Case("a first record in hour 5 covers six hours", urine(5), {5: {"covered_6": 6, "rate_6": 0.1667}}),
    Case("the window forgets the seventh hour", urine(*range(8)), {7: {"covered_6": 6, "ml_6": 360, "ml_12": 480}}),
    Case("a record covers the hours since the one before", urine(0, 3, 6), {6: {"covered_6": 6, "ml_6": 120, "rate_6": 0.3333}}),
    Case("eleven hours, then twelve", urine(*range(12)), {10: {"rate_12": None}, 11: {"rate_12": 1.0, "covered_12": 12}}),
    Case("twenty-three hours, then twenty-four", urine(*range(24)), {22: {"rate_24": None}, 23: {"rate_24": 1.0, "covered_24": 24}}),
    Case("the day's window forgets hour 0", urine(*range(25)), {24: {"covered_24": 24, "ml_24": 24 * 60}}),
    Case("a long gap is covered by the record after it", urine(0, 30), {30: {"covered_6": 30, "ml_6": 60, "covered_24": 30, "ml_24": 60}}),
    Case("no row where nothing is recorded", urine(0, 2), {1: {}}),
    Case("two records of an hour", urine(0).read(0.6, "urine_output", 40), {0: {"ml": 100, "covered_6": 1}}),
    Case("none at all is a record", urine(*range(12), ml=0), {11: {"ml": 0, "rate_6": 0, "rate_12": 0}}),
    Case("no weight, no rate", urine(*range(6), weight=None), {5: {"ml_6": 360, "rate_6": None, "weight": None}}),
    Case("weighed after the urine", urine(*range(8), weighed=6.9), {5: {"rate_6": None}, 6: {"rate_6": 1.0}}),
    Case("weighed later in the hour of the urine", urine(5, weighed=5.9), {5: {"rate_6": 0.1667}}),
    Case("the last weight counts", urine(*range(12)).read(8, "weight", 120), {7: {"rate_6": 1.0}, 11: {"rate_6": 0.5, "rate_12": 0.5}}),
    Case("weighed in pounds", urine(5, weight=None).read(0, "weight", 150, unit="lb"), {5: {"weight": 68.0389}}),
    Case("irrigation in one hour", urine().read(1, "irrigant_in", 300).read(1.5, "irrigant_urine_out", 450), {1: {"ml": 150}}),
    Case("more ran in than came out", urine().read(1, "irrigant_in", 300).read(1.5, "irrigant_urine_out", 200), {1: {"ml": 0}}),
    Case(
        "irrigation that comes out an hour later",
        urine().read(1, "irrigant_in", 500).read(2, "irrigant_urine_out", 700),
        {2: {"ml_6": 200, "ml_24": 200}},
    ),
    Case("implausible volume", urine().read(1, "urine_output", 5001), {1: {}}),
    Case("other drains are no urine", urine().read(1, "chest_tube_output", 500), {1: {}}),
]  # fmt: skip


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_urine(stays: Ward, case: Case) -> None:
    rows = {int(row[0]): dict(zip(COLUMNS, row[1:], strict=True)) for row in stays.rows("urine", case.name, "hour", *COLUMNS)}
    for hour, columns in case.expected.items():
        found = {column: rows[hour][column] for column in columns} if columns else rows.get(hour, {})
        assert found == {column: pytest.approx(value, abs=1e-4) for column, value in columns.items()}, hour
