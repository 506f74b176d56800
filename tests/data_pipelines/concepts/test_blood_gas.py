"""Arterial blood gases with the oxygen that the patient breathed: which FiO2 belongs to a gas, and for how long."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward


def gas(hour: float = 6, po2: float | None = 80, own: float | None = None) -> Stay:
    stay = Stay()
    if po2 is not None:
        stay.read(hour, "po2_arterial", po2)
    if own is not None:
        stay.read(hour, "fio2_gas", own)
    return stay


# Expected: (hour, PaO2, FiO2, PaO2/FiO2) of each gas.
CASES = [
    Case("oxygen of the gas itself", gas(po2=100, own=50), [(6, 100, 50, 200)]),
    Case("the gas's own oxygen goes before the charted", gas(po2=100, own=50).give(5.9, "fio2", 100), [(6, 100, 50, 200)]),
    Case("charted before", gas().give(5, "fio2", 40), [(6, 80, 40, 200)]),
    Case("the last charted counts", gas().give(4, "fio2", 100).give(5, "fio2", 40), [(6, 80, 40, 200)]),
    Case("charted at the same second", gas().give(6, "fio2", 40), [(6, 80, 40, 200)]),
    Case("charted a second later is not known yet", gas().give(6 + SECOND, "fio2", 40), [(6, 80, None, None)]),
    Case("charted exactly 4 hours before", gas().give(2, "fio2", 40), [(6, 80, 40, 200)]),
    Case("charted a second more than 4 hours before", gas().give(2 - SECOND, "fio2", 40), [(6, 80, None, None)]),
    Case("two charted at one second: the higher", gas().give(5, "fio2", 40).give(5, "fio2", 50), [(6, 80, 50, 160)]),
    Case("room air exactly", gas(po2=84, own=21), [(6, 84, 21, 400)]),
    Case("less than room air cannot be", gas(po2=80, own=20), [(6, 80, None, None)]),
    Case("less than room air: the charted counts", gas(po2=80, own=20).give(5, "fio2", 40), [(6, 80, 40, 200)]),
    Case("charted as a fraction", gas().give(5, "fio2", 0.4, unit="fraction or %"), [(6, 80, 40, 200)]),
    Case("a fraction of 1 is pure oxygen", gas().give(5, "fio2", 1.0, unit="fraction or %"), [(6, 80, 100, 80)]),
    Case("a fraction of 0.21 is room air", gas(po2=84).give(5, "fio2", 0.21, unit="fraction or %"), [(6, 84, 21, 400)]),
    Case("an implausible charted value does not hide the one before", gas().give(4, "fio2", 40).give(5, "fio2", 5), [(6, 80, 40, 200)]),
    Case("no oxygen pressure: no ratio", gas(po2=None, own=50).read(6, "ph_arterial", 7.1), [(6, None, 50, None)]),
    Case("inspired oxygen alone is no gas", gas(po2=None, own=50), []),
    Case("a venous gas does not count", Stay().read(6, "po2_other", 40).give(6, "fio2", 40), []),
    Case("two gases of an hour", gas().read(6.5, "po2_arterial", 60).give(6, "fio2", 40), [(6, 80, 40, 200), (6.5, 60, 40, 150)]),
    Case(
        "parts of another second are another gas", gas(own=50).read(6 + SECOND, "po2_arterial", 90), [(6, 80, 50, 160), (6, 90, None, None)]
    ),
    Case("charted before ICU admission", gas(hour=1).give(-1, "fio2", 40), [(1, 80, None, None)]),
    Case("one third", gas(po2=60, own=30), [(6, 60, 30, 200)]),
]


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_blood_gas(stays: Ward, case: Case) -> None:
    assert stays.rows("blood_gas", case.name, "round(second / 3600, 3)", "po2", "fio2", "round(pao2_fio2, 3)") == case.expected


def test_worst_of_one_specimen() -> None:
    """Two values of one second, as of a corrected report: the lower oxygen and pH, the higher carbon dioxide."""
    stay = Stay()
    for name, values in {"po2_arterial": (70, 90), "pco2_arterial": (40, 60), "ph_arterial": (7.25, 7.5)}.items():
        for value in values:
            stay.read(1, name, value)
    with ward({"twice": stay}) as run:
        assert run.rows("blood_gas", "twice", "po2", "pco2", "ph") == [(70, 60, 7.25)]


def test_inspired_oxygen_of_a_gas_as_a_fraction(stays: Ward) -> None:
    """As mimic-code: item 50816 from 0.2 to 1 is a fraction."""
    unit = stays.database.execute("SELECT unit FROM items WHERE itemid = 50816")[0][0]
    with ward({"fraction": gas(po2=100).read(6, "fio2_gas", 0.5, unit=unit)}) as run:
        assert run.by_hour("blood_gas", "pao2_fio2", "fraction") == {6: 200}
