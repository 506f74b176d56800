"""KDIGO stage per hour: creatinine against its baselines, urine against weight and time, renal replacement."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward

DAY = 24


def rise(baseline: float, later: float, before: float = 24) -> Stay:
    """A creatinine at admission of ICU, and a baseline so many hours before it."""
    return Stay(6).read(-before, "creatinine", baseline).read(0, "creatinine", later)


def urine(n_hours: int, *rates: tuple[int, float], weight: float | None = 50) -> Stay:
    """Hourly urine: ml from an hour on."""
    stay = Stay(n_hours)
    for hour in range(n_hours):
        stay.read(hour + 0.5, "urine_output", [ml for first, ml in rates if first <= hour][-1])
    return stay if weight is None else stay.read(0, "weight", weight)


# Expected: stage at hour 0, where the later creatinine is.
CREATININE = [
    ("a first creatinine has no baseline", Stay(6).read(0, "creatinine", 6), "0"),
    ("1.5 times and + 0.3", rise(0.6, 0.9), "1"),
    ("+ 0.3 alone", rise(1.0, 1.3), "1"),
    ("+ 0.3 in floats: 1.1 to 1.4", rise(1.1, 1.4), "1"),
    ("+ 0.3 in floats: 1.8 to 2.1", rise(1.8, 2.1), "1"),
    ("+ 0.2", rise(1.0, 1.2), "0"),
    ("1.5 times alone", rise(0.4, 0.6), "1"),
    ("1.5 times in floats: 0.2 to 0.3", rise(0.2, 0.3), "1"),
    ("1.4 times and + 0.2", rise(0.5, 0.7), "0"),
    ("1.9 times", rise(1.0, 1.9), "1"),
    ("2 times", rise(1.0, 2.0), "2"),
    ("2 times in floats: 0.7 to 1.4", rise(0.7, 1.4), "2"),
    ("2.9 times", rise(1.0, 2.9), "2"),
    ("3 times", rise(1.0, 3.0), "3"),
    ("3 times in floats: 1.1 to 3.3", rise(1.1, 3.3), "3"),
    ("3 times in floats: 0.7 to 2.1", rise(0.7, 2.1), "3"),
    ("4.0 with + 0.3", rise(3.7, 4.0), "3"),
    ("3.9 with + 0.3", rise(3.6, 3.9), "1"),
    ("4.0 without an acute rise", rise(3.8, 4.0), "0"),
    ("above 4.0 with + 0.3 from above 3.7", rise(5.0, 5.3), "3"),
    ("4.0 with 1.5 times in 7 days only", rise(2.6, 4.0, before=3 * DAY), "3"),
    ("4.2 with + 0.4 in 3 days only", rise(3.8, 4.2, before=3 * DAY), "0"),
    ("falling", rise(3.0, 1.0), "0"),
    ("+ 0.3 exactly 48 hours apart", rise(1.0, 1.3, before=48), "1"),
    ("+ 0.3 a second more than 48 hours apart", rise(1.0, 1.3, before=48 + SECOND), "0"),
    ("1.5 times exactly 7 days apart", rise(1.0, 1.5, before=7 * DAY), "1"),
    ("1.5 times a second more than 7 days apart", rise(1.0, 1.5, before=7 * DAY + SECOND), "0"),
    ("the lowest of several", rise(1.0, 2.0).read(-12, "creatinine", 1.8), "2"),
    ("not the lowest after it", rise(1.0, 1.0).read(1, "creatinine", 0.4), "0"),
    ("an implausible baseline does not count", rise(0.05, 1.0), "0"),
    ("the worst of an hour", rise(1.0, 3.0).read(0.5, "creatinine", 1.0), "3"),
    ("two values of one second: the higher", rise(1.0, 1.2).read(0, "creatinine", 2.0), "2"),
    ("a baseline at the same second is none", Stay(6).read(0, "creatinine", 1.0).read(0, "creatinine", 3.0), "0"),
    ("urine tells nothing yet", Stay(6).read(0.5, "urine_output", 0).read(0, "weight", 50), "."),
    ("no data", Stay(6), "."),
]


def holding(stage_hours: int, n_hours: int = 60) -> str:
    """Stage 1 from hour 5 on for so many hours, unknown after; stage 0 before."""
    return "0" * 5 + "1" * stage_hours + "." * (n_hours - 5 - stage_hours)


LINES = [
    # A stage of hour 5 holds through hour 53: 48 hours.
    Case("holds 48 hours", Stay(60).read(0, "creatinine", 1.0).read(5.5, "creatinine", 1.5), holding(49)),
    Case("until the next", Stay(10).read(0, "creatinine", 1.0).read(5, "creatinine", 1.5).read(8, "creatinine", 1.0), "0000011100"),
    Case("creatinine before ICU admission holds too", Stay(6).read(-60, "creatinine", 1.0).read(-46, "creatinine", 2.0), "222..."),
    Case("before admission, and nothing in 48 hours", Stay(6).read(-60, "creatinine", 2.0), "......"),
    Case(
        "the hour before ICU admission is not its first",
        Stay(6).read(-10, "creatinine", 1.0).read(-0.5, "creatinine", 2.0).read(0.5, "creatinine", 1.0),
        "000000",
    ),
    # Urine of a patient of 50 kg: 25 ml/h is 0.5 ml/kg/h, 15 ml/h is 0.3.
    Case("0.5 exactly is normal", urine(14, (0, 25)), "....." + "0" * 9),
    Case("below 0.5 for 6 hours, then 12", urine(14, (0, 24)), "....." + "1" * 6 + "2" * 3),
    Case("0.3 exactly for 24 hours", urine(26, (0, 15)), "....." + "1" * 6 + "2" * 15),
    Case("below 0.3 for 24 hours", urine(26, (0, 14)), "....." + "1" * 6 + "2" * 12 + "3" * 3),
    Case("none for 12 hours", urine(14, (0, 0)), "....." + "1" * 6 + "3" * 3),
    Case("little for 12 hours is not none", urine(14, (0, 0), (11, 1)), "....." + "1" * 6 + "2" * 3),
    Case("from normal to none", urine(20, (0, 60), (6, 0)), "....." + "0000" + "1111" + "2222" + "333"),
    Case("recovery", urine(12, (0, 20), (6, 200)), "....." + "1" + "0" * 6),
    Case("no weight, no stage", urine(8, (0, 20), weight=None), "........"),
    Case("weighed in hour 7", urine(9, (0, 20), weight=None).read(7.9, "weight", 50), "......." + "11"),
    Case("a heavier weight lowers the rate", urine(9, (0, 30)).read(7, "weight", 100), "....." + "0011"),
    Case("a stage of urine holds 6 hours", Stay(20).read(0, "weight", 50).read(6, "urine_output", 60), "......" + "1" * 7 + "." * 7),
    Case(
        "none for 12 hours needs no weight",
        urine(14, (0, 0), weight=None),
        "." * 11 + "333",
    ),
    Case("0.5 exactly in floats, 40.2 kg", Stay(8).read(0, "weight", 40.2).read(5, "urine_output", 120.6), ".....000"),
    Case("irrigation is no urine", urine(8, (0, 0)).series([h + 0.2 for h in range(8)], "irrigant_in", 100)
         .series([h + 0.8 for h in range(8)], "irrigant_urine_out", 130), ".....000"),
    # Renal replacement.
    Case("renal replacement", Stay(6).give(2, "crrt", until=4), "..33.."),
    Case("creatinine falls under renal replacement", rise(1.0, 3.0).read(1, "creatinine", 1.0).give(1, "hemodialysis", until=2), "33"),
    Case("after dialysis the creatinine tells", Stay(6).read(0, "creatinine", 1.0).give(1, "hemodialysis", until=2), "030000"),
    Case("the worst of the three", urine(8, (0, 20)).read(0, "creatinine", 1.0).read(6, "creatinine", 2.0), "0" * 5 + "1" + "22"),
]  # fmt: skip
CASES = [*(Case(f"creatinine {name}", stay, stage) for name, stay, stage in CREATININE), *LINES]


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward([*CASES, *READMISSION]) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_stage(stays: Ward, case: Case) -> None:
    assert stays.line("kdigo", "kdigo_stage", case.name)[: len(case.expected)] == case.expected


# A baseline drawn in one stay serves the next of the same patient, within 7 days, and no other patient.
READMISSION = [
    Case("first", Stay(20, subject="one").read(10, "creatinine", 1.0), "0"),
    Case("next", Stay(6, subject="one", admitted=24 * 30 + 72).read(2, "creatinine", 2.0), "..2222"),
    Case("much later", Stay(6, subject="one", admitted=24 * 60).read(2, "creatinine", 2.0), "..0000"),
    Case("another patient", Stay(6, admitted=24 * 30 + 72).read(2, "creatinine", 2.0), "..0000"),
]


@pytest.mark.parametrize("case", each(READMISSION[1:]))
def test_baseline_of_an_earlier_stay(stays: Ward, case: Case) -> None:
    assert stays.line("kdigo", "kdigo_stage", case.name) == case.expected


def test_earlier_creatinine(stays: Ward) -> None:
    """Of the 7 days before ICU admission only; what is drawn at admission is a reading of the stay."""
    stay = Stay(6).read(-7 * DAY, "creatinine", 1.0).read(-7 * DAY - SECOND, "creatinine", 0.5).read(-SECOND, "creatinine", 1.1)
    stay.read(0, "creatinine", 1.2).read(-5, "bun", 20)
    with ward({"stay": stay}) as run:
        assert run.rows("earlier_creatinine", "stay", "second", "round(CAST(value AS DOUBLE), 2)") == [(-604800, 1.0), (-1, 1.1)]
    # the readmission above: its baseline lies 62 hours before its admission
    assert stays.rows("earlier_creatinine", "next", "second", "value") == [(-62 * 3600, 1.0)]


def test_storetime_moves_the_baseline() -> None:
    """Drawn before ICU admission, known in it: a reading of the stay, no baseline of its first hour."""
    stay = Stay(6).read(-3, "creatinine", 1.0, known=1.5).read(0.5, "creatinine", 2.0)
    with ward({"stay": stay}) as run:
        assert run.line("kdigo", "kdigo_stage", "stay") == "222222"
    with ward({"stay": stay}, time_policy="storetime") as run:
        assert run.line("kdigo", "kdigo_stage", "stay") == "000000"
        assert not run.rows("earlier_creatinine", "stay", "second")
