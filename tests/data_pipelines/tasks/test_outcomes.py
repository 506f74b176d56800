"""Tasks of outcome: death, length of stay and sepsis, asked once or every hour."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward

DAY = 24


def died(hour: float, stay: float = 48, in_hospital: bool = True) -> Stay:
    return Stay(stay, death=hour, died_in_hospital=in_hospital)


def septic(hour: float, stay: float = 100) -> Stay:
    """Two points of SOFA all along, and a suspicion at this hour."""
    return Stay(stay).series(range(0, int(stay), 12), "platelets", 99).infected([hour], [hour])


# Expected: the label at hour 23; None where the stay is not asked.
ONCE = {
    "hospital_mortality": [
        ("died in the ICU", died(40), True), ("died on the ward", died(100), True), ("survived", Stay(48), False),
        ("died at home", died(100, in_hospital=False), False), ("not known", Stay(48, died_in_hospital=None), None),
        ("a stay of a second less than 24 hours", Stay(24 - SECOND), None), ("a stay of exactly 24 hours", Stay(24), False),
        ("died exactly at 24 hours", died(24, stay=24), True), ("died a second before 24 hours", died(24 - SECOND, stay=25), None),
        ("time of death not known", Stay(48, died_in_hospital=True), True),
    ],
    "icu_mortality": [
        ("died in the ICU", died(40), True), ("died at ICU discharge", died(48), True),
        ("died a second after ICU discharge", died(48 + SECOND), False), ("survived", Stay(48), False),
        ("died at home", died(100, in_hospital=False), False), ("a stay of 23 hours", died(22, stay=23), None),
        ("a stay of exactly 24 hours", Stay(24), False), ("died before 24 hours", died(23.9, stay=24.5), None),
        ("died exactly at 24 hours", died(24, stay=25), True), ("a stay of 340 hours", died(339.5, stay=340), True),
    ],
    **{
        f"death_within_{days}_days": [
            ("exactly so many days after ICU admission", died(days * DAY, in_hospital=False), True),
            ("a second later", died(days * DAY + SECOND, in_hospital=False), False),
            ("in hospital", died(40), True), ("no death known", Stay(48), False), ("exactly at 24 hours", died(24), True),
            ("a second before 24 hours", died(24 - SECOND, stay=25), None), ("a stay of 23 hours", Stay(23), None),
            ("after a stay of exactly 24 hours", died(6 * DAY, stay=24, in_hospital=False), True),
        ]
        for days in (7, 14, 30, 90)
    },
    "prolonged_stay": [
        ("exactly 7 days", Stay(7 * DAY), False), ("a second more than 7 days", Stay(7 * DAY + SECOND), True), ("2 days", Stay(48), False),
        ("longer than the hours that count", Stay(400), True), ("23 hours", Stay(23), None), ("exactly 24 hours", Stay(24), False),
        ("died on the eighth day", died(7.5 * DAY, stay=7.5 * DAY), True), ("died after a stay of 2 days", died(8 * DAY), False),
        ("died a second before 24 hours, left the bed later", died(24 - SECOND, stay=8 * DAY), None),
    ],
    "sepsis": [
        ("suspected exactly at 24 hours", septic(24), True), ("suspected a second before 24 hours", septic(24 - SECOND), None),
        ("suspected in hour 60", septic(60), True), ("suspected at admission", septic(0), None), ("suspected before", septic(-5), None),
        ("never suspected", Stay(48), False), ("suspected without organ failure", Stay(48).infected([30], [30]), False),
        ("a stay of 23 hours", septic(10, stay=23), None), ("a stay of exactly 24 hours, suspected after it", septic(30, stay=24), True),
        ("antibiotic after 24 hours, culture before", Stay(60).series(range(0, 60, 12), "platelets", 99).infected([30], [20]), None),
        ("died a second before 24 hours, left the bed later", died(24 - SECOND, stay=25), None),
        ("died at home", died(100, in_hospital=False), False),
        ("the source says hour 24", Stay(48, given_sepsis=24), True), ("the source says hour 23", Stay(48, given_sepsis=23), None),
    ],
}  # fmt: skip
ONCE_CASES = [Case(f"{task}: {name}", stay, (task, expected)) for task, rows in ONCE.items() for name, stay, expected in rows]

# Expected: the label at hour 24, or None.
AT_24_HOURS = [
    Case("still there, survives", Stay(48), False),
    Case("still there, dies in the ICU", died(40), True),
    Case("dies in hour 24, of which a model may see all", died(24.5, stay=24.5), None),
    Case("dies exactly at 25 hours", died(25, stay=25.5), True),
    Case("dies on the ward", died(60), False),
    Case("a stay of exactly 24 hours has no hour 24", died(24, stay=24), None),
    Case("a stay of 24 hours and a second", Stay(24 + SECOND), False),
    Case("a stay of 8 hours", died(7, stay=8), None),
    Case("died exactly at 24 hours", died(24, stay=25), None),
    Case("died before 24 hours, left the bed later", died(23.9, stay=24.5), None),
    Case("died at home", died(100, in_hospital=False), False),
]

# Expected: decompensation, an hour each; a dot where it is not asked.
EVERY_HOUR = [
    Case("survives", Stay(8), "F" * 8),
    Case("dies in hour 30 of 31", died(30.5, stay=30.5), "F" * 6 + "T" * 24 + "."),
    Case("dies exactly at the edge of hour 30", died(30, stay=30.5), "F" * 6 + "T" * 24 + "."),
    Case("dies a second before the edge", died(30 - SECOND, stay=30.5), "F" * 5 + "T" * 24 + ".."),
    Case("dies after discharge, within 24 hours of the last hours", died(40.2, stay=20, in_hospital=False), "F" * 16 + "T" * 4),
    Case("dies more than 24 hours after the last hour", died(44, stay=20), "F" * 20),
    Case("dies at home long after", died(1000, stay=20, in_hospital=False), "F" * 20),
    Case("dies at discharge of a short stay", died(6, stay=6), "TTTTTT"),
    Case("leaves the bed after death", died(26.5, stay=29), "FF" + "T" * 24 + "..."),
]
# Expected: sepsis onset within 6 hours, an hour each; a dot where it is not asked.
BEFORE_ONSET = [
    Case("never septic", Stay(8), "F" * 8),
    Case("suspected in hour 10", septic(10.5, stay=16), "FFFFTTTTTT" + "." * 6),
    Case("suspected exactly at hour 10", septic(10, stay=16), "FFFFTTTTTT" + "." * 6),
    Case("suspected a second before hour 10", septic(10 - SECOND, stay=16), "FFFTTTTTT" + "." * 7),
    Case("suspected at admission", septic(0, stay=8), "." * 8),
    Case("suspected before", septic(-5, stay=8), "." * 8),
    Case("suspected in hour 3", septic(3, stay=8), "TTT" + "." * 5),
    Case("suspected without organ failure", Stay(16).infected([10], [10]), "F" * 16),
    Case("suspected after discharge, within 6 hours of the last hours", septic(18, stay=16), "F" * 12 + "TTTT"),
    Case("suspected more than 6 hours after the last hour", septic(22, stay=16), "F" * 16),
    Case("dead within 6 hours, not septic", died(14, stay=16), "F" * 16),
    Case("the source says hour 12", Stay(16, given_sepsis=12), "F" * 6 + "T" * 6 + "." * 4),
]
CASES = [*ONCE_CASES, *(Case(f"24 h: {c.name}", c.stay, c.expected) for c in AT_24_HOURS),
         *(Case(f"decompensation: {c.name}", c.stay, c.expected) for c in EVERY_HOUR),
         *(Case(f"onset: {c.name}", c.stay, c.expected) for c in BEFORE_ONSET)]  # fmt: skip


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


@pytest.mark.parametrize("case", each(ONCE_CASES))
def test_asked_once(stays: Ward, case: Case) -> None:
    task, expected = case.expected
    assert stays.by_hour(f"(FROM labels WHERE task = '{task}')", "label", case.name) == ({} if expected is None else {23: expected})


@pytest.mark.parametrize("case", each(AT_24_HOURS))
def test_icu_mortality_at_24_hours(stays: Ward, case: Case) -> None:
    found = stays.by_hour("(FROM labels WHERE task = 'icu_mortality_at_24h')", "label", f"24 h: {case.name}")
    assert found == ({} if case.expected is None else {24: case.expected})


@pytest.mark.parametrize("case", each(EVERY_HOUR))
def test_decompensation(stays: Ward, case: Case) -> None:
    assert stays.labels("decompensation", f"decompensation: {case.name}") == case.expected


@pytest.mark.parametrize("case", each(BEFORE_ONSET))
def test_sepsis_onset_within_6_hours(stays: Ward, case: Case) -> None:
    assert stays.labels("sepsis_onset", f"onset: {case.name}") == case.expected
