"""Early event prediction: what is an event of each organ, and the labels that follow."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward


def circulation(mbp: float | None, lactate: float | None, drug: str = "", rate: float = 0.05, unit: str = "") -> Stay:
    """Hour 4 of a stay."""
    stay = Stay(8)
    if mbp is not None:
        stay.read(4.2, "mbp", mbp)
    if lactate is not None:
        stay.read(4.8, "lactate", lactate)
    return stay.give(4, drug, rate, until=5, unit=unit) if drug else stay


def gas(po2: float, fio2: float | None = None, tube: bool = False) -> Stay:
    stay = Stay(8).read(4.5, "po2_arterial", po2)
    if fio2 is not None:
        stay.read(4.5, "fio2_gas", fio2)
    return stay.give(4, "invasive_ventilation", until=5) if tube else stay


def creatinine(baseline: float, later: float, before: float = 10) -> Stay:
    return Stay(8).read(4.5 - before, "creatinine", baseline).read(4.5, "creatinine", later)


def liver(bilirubin: float, inr: float, level: float) -> Stay:
    return Stay(8).read(4.5, "bilirubin_total", bilirubin).read(4.5, "inr", inr).read(4.5, "creatinine", level)


# Expected: status in hour 4: T an event, F a non-event, a dot not observed.
STATUS = {
    "circulatory_failure": [
        ("pressure 65 and lactate 2", circulation(65, 2), "T"), ("pressure 66 and lactate 2", circulation(66, 2), "."),
        ("pressure 65 and lactate 1.9", circulation(65, 1.9), "."), ("pressure 66 and lactate 1.9", circulation(66, 1.9), "F"),
        ("no lactate", circulation(50, None), "."), ("lactate alone", circulation(None, 5), "."),
        ("norepinephrine and lactate, no pressure", circulation(None, 2, "norepinephrine"), "T"),
        ("norepinephrine, normal lactate", circulation(None, 1, "norepinephrine"), "."),
        ("norepinephrine, normal pressure, high lactate", circulation(90, 4, "norepinephrine"), "T"),
        ("norepinephrine, normal pressure and lactate", circulation(90, 1, "norepinephrine"), "."),
        *((drug, circulation(90, 2, drug), "T") for drug in ("dobutamine", "milrinone", "epinephrine", "dopamine", "vasopressin")),
        ("phenylephrine is not among them", circulation(90, 2, "phenylephrine"), "."),
        ("phenylephrine, normal lactate", circulation(90, 1, "phenylephrine"), "F"),
        ("stopped norepinephrine", circulation(90, 1, "norepinephrine", rate=0), "F"),
        ("the lowest pressure", circulation(90, 2).read(4.9, "mbp_arterial", 60), "T"),
        ("the highest lactate", circulation(60, 1).read(4.1, "lactate", 3), "T"),
        ("the pressure of another hour", Stay(8).read(3.9, "mbp", 60).read(4.5, "lactate", 3), "."),
        ("low systolic alone", Stay(8).read(4, "sbp", 60).read(4.5, "lactate", 3), "."),
        ("norepinephrine of an unknown unit", circulation(90, 3, "norepinephrine", 8, "mcg/min"), "T"),
        ("norepinephrine of an unknown unit, normal lactate", circulation(90, 1, "norepinephrine", 8, "mcg/min"), "."),
    ],
    "respiratory_failure": [
        ("200", gas(100, 50), "F"), ("198", gas(99, 50), "T"), ("no oxygen known: room air, 42 mmHg is 200", gas(42), "F"),
        ("no oxygen known: room air, 41 mmHg", gas(41), "T"), ("ventilated, no oxygen known", gas(41, tube=True), "."),
        ("ventilated", gas(99, 50, tube=True), "T"), ("venous", Stay(8).read(4, "po2_other", 30), "."),
        ("the lowest of an hour", gas(100, 50).read(4.6, "po2_arterial", 90).read(4.6, "fio2_gas", 50), "T"),
        ("oxygen charted within 4 hours", gas(80).give(1, "fio2", 50), "T"),
        ("oxygen charted before that: room air", gas(80).give(0.4, "fio2", 50), "F"),
        ("one of two gases of a ventilated hour has no oxygen known", gas(41, tube=True).read(4.6, "po2_arterial", 120)
         .read(4.6, "fio2_gas", 50), "F"),
    ],
    "severe_respiratory_failure": [
        ("100", gas(50, 50), "F"), ("98", gas(49, 50), "T"), ("room air: 21 is 100", gas(21), "F"), ("room air, 20 mmHg", gas(20), "T"),
        ("150 is not severe", gas(75, 50), "F"), ("ventilated, no oxygen known", gas(20, tube=True), "."),
    ],
    "kidney_failure": [
        ("3 times", creatinine(1.0, 3.0), "T"), ("2.9 times", creatinine(1.0, 2.9), "F"), ("4.0 with + 0.3", creatinine(3.7, 4.0), "T"),
        ("4.0 without a rise", creatinine(3.9, 4.0), "F"), ("6.0 without a baseline", Stay(8).read(4, "creatinine", 6), "F"),
        ("renal replacement", Stay(8).give(4, "crrt", until=5), "T"), ("nothing known", Stay(8), "."),
        ("renal replacement, normal creatinine", creatinine(1.0, 1.0).give(4, "crrt", until=5), "T"),
    ],
    "severe_liver_dysfunction": [
        ("by hand: 3.78 x 2.3026 + 11.2 x 0.9163 + 9.57 x 0.4700 + 6.43 = 29.89", liver(10, 2.5, 1.6), "F"),
        ("by hand: 3.78 x 2.3026 + 11.2 x 0.9163 + 9.57 x 0.5306 + 6.43 = 30.47", liver(10, 2.5, 1.7), "T"),
        ("the same patient on dialysis", liver(10, 2.5, 1.0).give(4, "hemodialysis", until=5), "T"),
        ("no INR", Stay(8).read(4, "bilirubin_total", 30).read(4, "creatinine", 4), "."),
        ("bilirubin of 40 alone is none: 3.78 x 3.6889 + 6.43 = 20.37", liver(40, 1, 1), "F"),
    ],
}  # fmt: skip
STATUSES = [Case(f"{task}: {name}", stay, (task, expected)) for task, rows in STATUS.items() for name, stay, expected in rows]


def low(hour: float) -> tuple[float, float, float]:
    """Failing at this hour: pressure and lactate."""
    return hour, 55, 4


def fine(hour: float) -> tuple[float, float, float]:
    return hour, 80, 1


def shock(hours: int, *moments: tuple[float, float, float]) -> Stay:
    stay = Stay(hours)
    for hour, mbp, lactate in moments:
        stay.read(hour, "mbp", mbp).read(hour, "lactate", lactate)
    return stay


def gases(hours: int, **ratios: float) -> Stay:
    """Gases at hours (h5=..., h5_5=...) with this PaO2/FiO2, at 50 % oxygen."""
    stay = Stay(hours)
    for name, ratio in ratios.items():
        hour = float(name[1:].replace("_", "."))
        stay.read(hour, "po2_arterial", ratio / 2).read(hour, "fio2_gas", 50)
    return stay


def failing_liver(hours: int, *moments: float) -> Stay:
    stay = Stay(hours)
    for hour in moments:
        stay.read(hour, "bilirubin_total", 40).read(hour, "inr", 4).read(hour, "creatinine", 1)
    return stay


# Expected: labels of the task, an hour each.
LABELS = [
    Case("shock: event at t + 8, not at t + 9", shock(20, low(12.5)), ("circulatory_failure", "...." + "T" * 8 + "........")),
    Case("shock: first second of an hour", shock(20, low(12)), ("circulatory_failure", "...." + "T" * 8 + "........")),
    Case("shock: last second of an hour", shock(20, low(13 - SECOND)), ("circulatory_failure", "...." + "T" * 8 + "........")),
    Case("shock: only non-events", shock(20, fine(12)), ("circulatory_failure", "...." + "F" * 8 + "........")),
    Case("shock: nothing observed", shock(20), ("circulatory_failure", "." * 20)),
    Case("shock: goes on failing", shock(20, low(2), low(6), low(9)), ("circulatory_failure", "TT" + "." * 18)),
    Case("shock: recovers", shock(20, low(2), fine(6)), ("circulatory_failure", "TT" + "." + "FFF" + "." * 14)),
    Case("shock: recovers, fails again", shock(20, low(2), fine(6), low(12)), ("circulatory_failure", "TT.F.." + "T" * 6 + "." * 8)),
    Case("shock: at the very end", shock(10, low(9)), ("circulatory_failure", ".TTTTTTTT.")),
    Case("lungs: 24 hours", gases(40, h30=150), ("respiratory_failure", "." * 6 + "T" * 24 + "." * 10)),
    Case("lungs: nothing observed", gases(40), ("respiratory_failure", "." * 40)),
    Case("lungs: goes on failing", gases(40, h3=150, h9=150), ("respiratory_failure", "TTT" + "." * 37)),
    Case("lungs: recovers, fails again", gases(40, h3=150, h9=300, h38=150), ("respiratory_failure",
         "TTT" + "." + "F" * 5 + "." * 5 + "T" * 24 + "..")),
    Case("lungs: normal and failing gas of one hour", gases(30, h26=150, h26_5=300), ("respiratory_failure", ".." + "T" * 24 + "....")),
    Case("lungs: severe, nothing observed", gases(40), ("severe_respiratory_failure", "." * 40)),
    Case("lungs: severe, goes on failing", gases(40, h3=90, h9=90), ("severe_respiratory_failure", "TTT" + "." * 37)),
    Case("lungs: severe, becomes moderate", gases(40, h3=90, h9=150), ("severe_respiratory_failure", "TTT" + "." + "F" * 5 + "." * 31)),
    Case("lungs: severe is also respiratory failure", gases(30, h26=90), ("respiratory_failure", ".." + "T" * 24 + "....")),
    Case("lungs: severe", gases(30, h26=90), ("severe_respiratory_failure", ".." + "T" * 24 + "....")),
    Case("lungs: 150 is a non-event of the severe task", gases(30, h26=150), ("severe_respiratory_failure", ".." + "F" * 24 + "....")),
    Case("kidney: 48 hours ahead", Stay(60).give(50.5, "hemodialysis", until=51), ("kidney_failure", ".." + "T" * 48 + "." * 10)),
    Case("kidney: a creatinine holds for 48 hours", Stay(60).read(3, "creatinine", 1), ("kidney_failure", "F" * 51 + "." * 9)),
    Case("kidney: nothing observed", Stay(60), ("kidney_failure", "." * 60)),
    Case("kidney: goes on failing", Stay(60).give(10, "hemodialysis", until=11).give(30, "hemodialysis", until=31),
         ("kidney_failure", "T" * 10 + "." * 50)),
    Case("liver: 48 hours ahead", failing_liver(70, 60), ("severe_liver_dysfunction", "." * 12 + "T" * 48 + "." * 10)),
    Case("liver: nothing observed", Stay(60), ("severe_liver_dysfunction", "." * 60)),
    # MELD of 35.9, known for 48 hours; nothing is known for 10 hours; MELD of 35.9 again.
    Case("liver: failing is asked again", failing_liver(70, 2, 60), ("severe_liver_dysfunction", "TT" + "." * 48 + "T" * 10 + "." * 10)),
]  # fmt: skip
CASES = [*STATUSES, *LABELS]


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


@pytest.mark.parametrize("case", each(STATUSES))
def test_status(stays: Ward, case: Case) -> None:
    task, expected = case.expected
    assert stays.line(f"{task}_status", "is_event", case.name)[4] == expected


@pytest.mark.parametrize("case", each(LABELS))
def test_labels(stays: Ward, case: Case) -> None:
    task, expected = case.expected
    assert stays.labels(task, case.name) == expected
