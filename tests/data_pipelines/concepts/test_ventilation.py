"""Invasive ventilation per hour: devices, modes, procedures, and how long a charted one holds."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward

TUBE, CANNULA, MASK = "Endotracheal tube", "Nasal cannula", "Bipap mask"


def charted(*events: tuple[float, str, str], hours: int = 24) -> Stay:
    """Charted (hour, "device" or "mode", text)."""
    stay = Stay(hours)
    for hour, what, text in events:
        stay.give(hour, {"device": "oxygen_device", "mode": "ventilator_mode"}[what], text)
    return stay


def hours(first: int, last: int, n: int = 24) -> str:
    """A line of hours with an x from the first to the last."""
    return "".join("x" if first <= hour <= last else "." for hour in range(n))


CASES = [
    Case("nothing charted", charted(), hours(1, 0)),
    Case("a tube holds 14 hours", charted((1, "device", TUBE)), hours(1, 15)),
    Case("charted at the end of an hour", charted((2 - SECOND, "device", TUBE)), hours(1, 15)),
    Case("charted again within 14 hours", charted((1, "device", TUBE), (8, "device", TUBE)), hours(1, 22)),
    Case("a gap of more than 14 hours", charted((0, "device", TUBE), (17, "device", TUBE)), "x" * 15 + ".." + "x" * 7),
    Case("a cannula ends it", charted((1, "device", TUBE), (5, "device", CANNULA)), hours(1, 4)),
    Case("tube and cannula in one hour", charted((5.1, "device", TUBE), (5.5, "device", CANNULA)), hours(5, 5)),
    Case("cannula, then tube, in one hour", charted((5.1, "device", CANNULA), (5.5, "device", TUBE)), hours(5, 19)),
    Case("an invasive mode without a device", charted((3, "mode", "CMV/ASSIST/AutoFlow")), hours(3, 17)),
    Case("pressure support through a tube", charted((3, "mode", "CPAP/PSV")), hours(3, 17)),
    Case("a mask", charted((3, "device", MASK)), hours(1, 0)),
    Case("high flow cannula", charted((3, "device", "High flow nasal cannula")), hours(1, 0)),
    Case("non-invasive modes", charted((3, "mode", "NIV"), (4, "mode", "NIV-ST"), (5, "mode", "DuoPaP")), hours(1, 0)),
    Case("a non-invasive mode after a tube", charted((1, "device", TUBE), (4, "mode", "NIV")), hours(1, 3)),
    Case("standby says nothing", charted((1, "device", TUBE), (4, "mode", "Standby"), (5, "mode", "SPONT")), hours(1, 15)),
    Case("device 'Other' says nothing", charted((1, "device", TUBE), (4, "device", "Other")), hours(1, 15)),
    Case("T-piece says nothing", charted((1, "device", TUBE), (4, "device", "T-piece")), hours(1, 15)),
    Case("tracheostomy tube alone", charted((3, "device", "Tracheostomy tube")), hours(1, 0)),
    Case("tracheostomy tube with an invasive mode", charted((3, "device", "Tracheostomy tube"), (3, "mode", "PRVC/AC")), hours(3, 17)),
    Case("tracheostomy mask ends it", charted((3, "mode", "PRVC/AC"), (6, "device", "Trach mask")), hours(3, 5)),
    Case("tube and a mask's mode at one second", charted((3, "device", TUBE), (3, "mode", "NIV")), hours(3, 17)),
    Case("the procedure", Stay(24).give(2.5, "invasive_ventilation", until=6), hours(2, 5)),
    Case("the procedure into the hour", Stay(24).give(2.5, "invasive_ventilation", until=6 + SECOND), hours(2, 6)),
    Case("the procedure, despite a cannula", charted((3, "device", CANNULA)).give(1, "invasive_ventilation", until=6), hours(1, 5)),
    Case("procedure begun before ICU admission", Stay(24).give(-5, "invasive_ventilation", until=3), hours(0, 2)),
    Case("non-invasive procedure", Stay(24).give(1, "noninvasive_ventilation", until=6), hours(1, 0)),
    Case("device charted before ICU admission is not of the stay", charted((-1, "device", TUBE)), hours(1, 0)),
    Case("text with blanks around", charted((1, "device", " Endotracheal tube ")), hours(1, 15)),
]  # fmt: skip


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_ventilation(stays: Ward, case: Case) -> None:
    assert stays.present("invasive_ventilation", case.name) == case.expected
