"""SOFA per hour: every threshold met and just missed, the window of 24 hours, and what counts as missing."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward

TUBE = "Endotracheal tube"


def lab(variable: str, value: float) -> Stay:
    return Stay(6).read(1, variable, value)


def gas(ratio: float, tube: bool = False) -> Stay:
    """A gas at hour 1 with this PaO2/FiO2, at 50 % oxygen."""
    stay = Stay(6).read(1.5, "po2_arterial", ratio / 2).read(1.5, "fio2_gas", 50)
    return stay.give(1, "oxygen_device", TUBE) if tube else stay


def drug(name: str, rate: float | None, unit: str = "") -> Stay:
    return Stay(6).give(1, name, rate, until=2, unit=unit)


def urine(ml: int, records: int = 24) -> Stay:
    """So much urine in all, in hourly records of whole millilitres."""
    stay = Stay(40)
    for hour in range(records):
        stay.read(hour + 0.5, "urine_output", -(-ml * (hour + 1) // records) + (-ml * hour // records))
    return stay


# Expected: points of the organ in the hour of the reading (1) and until the end of these six hours.
THRESHOLDS = {
    "respiration": [
        ("400", gas(400), 0), ("398", gas(398), 1), ("300", gas(300), 1), ("298", gas(298), 2), ("200 unventilated", gas(200), 2),
        ("198 unventilated", gas(198), 2), ("98 unventilated", gas(98), 2),
        ("400 ventilated", gas(400, True), 0), ("398 ventilated", gas(398, True), 1), ("300 ventilated", gas(300, True), 1),
        ("298 ventilated", gas(298, True), 2), ("200 ventilated", gas(200, True), 2), ("198 ventilated", gas(198, True), 3),
        ("100 ventilated", gas(100, True), 3), ("98 ventilated", gas(98, True), 4),
        ("no inspired oxygen known", lab("po2_arterial", 50), 0), ("a venous gas", lab("po2_other", 30).read(1, "fio2_gas", 50), 0),
        ("two gases of an hour: the lower", gas(350).read(1.6, "po2_arterial", 125).read(1.6, "fio2_gas", 50), 2),
        ("non-invasive ventilation", gas(98).give(1, "noninvasive_ventilation", until=3), 2),
        ("ventilated by the procedure", gas(98).give(1, "invasive_ventilation", until=3), 4),
    ],
    "coagulation": [
        ("150", lab("platelets", 150), 0), ("149", lab("platelets", 149), 1), ("100", lab("platelets", 100), 1),
        ("99", lab("platelets", 99), 2), ("50", lab("platelets", 50), 2), ("49", lab("platelets", 49), 3),
        ("20", lab("platelets", 20), 3), ("19", lab("platelets", 19), 4), ("0", lab("platelets", 0), 4),
    ],
    "liver": [
        ("1.1", lab("bilirubin_total", 1.1), 0), ("1.2", lab("bilirubin_total", 1.2), 1), ("1.9", lab("bilirubin_total", 1.9), 1),
        ("2.0", lab("bilirubin_total", 2.0), 2), ("5.9", lab("bilirubin_total", 5.9), 2), ("6.0", lab("bilirubin_total", 6.0), 3),
        ("11.9", lab("bilirubin_total", 11.9), 3), ("12.0", lab("bilirubin_total", 12.0), 4),
        ("direct bilirubin does not count", lab("bilirubin_direct", 12.0), 0),
    ],
    "circulation": [
        ("MAP 70", lab("mbp", 70), 0), ("MAP 69", lab("mbp", 69), 1), ("arterial MAP 69", lab("mbp_arterial", 69), 1),
        ("low systolic alone", lab("sbp", 60), 0),
        ("dobutamine, any dose", drug("dobutamine", 0.5), 2), ("dobutamine, high dose", drug("dobutamine", 20), 2),
        ("dopamine 5", drug("dopamine", 5), 2), ("dopamine 5.1", drug("dopamine", 5.1), 3),
        ("dopamine 15", drug("dopamine", 15), 3), ("dopamine 15.1", drug("dopamine", 15.1), 4),
        ("norepinephrine 0.01", drug("norepinephrine", 0.01), 3), ("norepinephrine 0.1", drug("norepinephrine", 0.1), 3),
        ("norepinephrine 0.11", drug("norepinephrine", 0.11), 4), 
        ("norepinephrine 6 mcg/kg/hour", drug("norepinephrine", 6, "mcg/kg/hour"), 3),
        ("norepinephrine 0.0002 mg/kg/min", drug("norepinephrine", 0.0002, "mg/kg/min"), 4),
        ("epinephrine 0.1", drug("epinephrine", 0.1), 3), ("epinephrine 0.101", drug("epinephrine", 0.101), 4),
        ("vasopressin does not count", drug("vasopressin", 0.04), 0), ("phenylephrine does not count", drug("phenylephrine", 2), 0),
        ("milrinone does not count", drug("milrinone", 0.5), 0), ("stopped", drug("norepinephrine", 0), 0),
        ("low MAP under norepinephrine", drug("norepinephrine", 0.05).read(1, "mbp", 50), 3),
    ],
    "brain": [
        ("15", lab("gcs", 15), 0), ("14", lab("gcs", 14), 1), ("13", lab("gcs", 13), 1), ("12", lab("gcs", 12), 2),
        ("10", lab("gcs", 10), 2), ("9", lab("gcs", 9), 3), ("6", lab("gcs", 6), 3), ("5", lab("gcs", 5), 4), ("3", lab("gcs", 3), 4),
        ("intubated", lab("gcs_eye", 1).read(1, "gcs_motor", 1).read(1, "gcs_intubated", "intubated"), 0),
    ],
    "kidney": [
        ("1.1", lab("creatinine", 1.1), 0), ("1.2", lab("creatinine", 1.2), 1), ("1.9", lab("creatinine", 1.9), 1),
        ("2.0", lab("creatinine", 2.0), 2), ("3.4", lab("creatinine", 3.4), 2), ("3.5", lab("creatinine", 3.5), 3),
        ("4.9", lab("creatinine", 4.9), 3), ("5.0", lab("creatinine", 5.0), 4), ("little urine so far", lab("urine_output", 10), 0),
    ],
}  # fmt: skip
POINTS = [
    Case(f"{organ} {name}", stay, (organ, "0" + str(points) * 5)) for organ, rows in THRESHOLDS.items() for name, stay, points in rows
]


def until_24_hours(points: int) -> str:
    """A reading of hour 5 counts in the hours 5 to 28."""
    return "0" * 5 + str(points) * 24 + "0" * 11


def late(variable: str, value: float) -> Stay:
    return Stay(40).read(5.5, variable, value)


WINDOWS = [
    Case("the first and the last hour of the day", late("platelets", 90), ("coagulation", until_24_hours(2))),
    Case("the last second of an hour", Stay(40).read(6 - SECOND, "platelets", 90), ("coagulation", until_24_hours(2))),
    Case("the first second of an hour", Stay(40).read(5, "platelets", 90), ("coagulation", until_24_hours(2))),
    Case("a better value later does not help", late("platelets", 90).read(7, "platelets", 200), ("coagulation", until_24_hours(2))),
    Case("a worse value later", late("platelets", 90).read(10, "platelets", 10), ("coagulation", "0" * 5 + "2" * 5 + "4" * 24 + "0" * 6)),
    Case("bilirubin", late("bilirubin_total", 7), ("liver", until_24_hours(3))),
    Case("pressure", late("mbp", 60), ("circulation", until_24_hours(1))),
    Case("creatinine", late("creatinine", 2.5), ("kidney", until_24_hours(2))),
    Case("coma", late("gcs", 8), ("brain", until_24_hours(3))),
    Case("a day after the end of a drug", Stay(40).give(2.5, "norepinephrine", 0.2, until=6), ("circulation", "00" + "4" * 27 + "0" * 11)),
    Case("a drug begun before ICU admission", Stay(30).give(-3, "dopamine", 10, until=0.5), ("circulation", "3" * 24 + "0" * 6)),
    Case("creatinine before ICU admission", Stay(6).read(-1, "creatinine", 6), ("kidney", "000000")),
    Case("nothing known", Stay(6), ("kidney", "000000")),
    # The day's urine is known from 22 hours of records on, and is scaled to 24 hours.
    Case("urine 500 in 24 hours", urine(500), ("kidney", "0" * 40)),
    Case("urine 499 in 24 hours", urine(499), ("kidney", "0" * 21 + "3" * 19)),
    Case("urine 200 in 24 hours", urine(200), ("kidney", "0" * 21 + "3" * 19)),
    Case("urine 199 in 24 hours", urine(199), ("kidney", "0" * 21 + "4" * 19)),
    Case("records of 21 hours", urine(21, 21), ("kidney", "0" * 40)),
    Case("records of 22 hours", urine(22, 22), ("kidney", "0" * 21 + "4" * 19)),
    Case("22 hours scaled to 24: 459 is 500.7", urine(459, 22), ("kidney", "0" * 40)),
    Case("22 hours scaled to 24: 458 is 499.6", urine(458, 22), ("kidney", "0" * 21 + "3" * 19)),
    Case("one record that covers 30 hours", Stay(40).read(29.5, "urine_output", 100), ("kidney", "0" * 29 + "4" * 11)),
    Case("one record that covers 31 hours", Stay(40).read(30.5, "urine_output", 100), ("kidney", "0" * 40)),
    Case("creatinine goes with urine, the worse counts", urine(480).read(30, "creatinine", 5), ("kidney", "0" * 21 + "3" * 9 + "4" * 10)),
    Case("oxygen charted 4 hours before the gas", Stay(6).give(1, "fio2", 50).read(5, "po2_arterial", 100), ("respiration", "000002")),
    Case("oxygen charted earlier than that", Stay(6).give(1 - SECOND, "fio2", 50).read(5, "po2_arterial", 100), ("respiration", "000000")),
    Case("tube charted 14 hours ago", gas(98).give(0, "peep", 5), ("respiration", "022222")),
    Case(
        "a gas before the tube came out, in the same hour",
        Stay(6).give(0, "oxygen_device", TUBE).read(2.1, "po2_arterial", 75).read(2.1, "fio2_gas", 50).give(2.5, "oxygen_device", "None"),
        ("respiration", "003333"),
    ),
    Case(
        "a gas after the tube came out, in the same hour",
        Stay(6).give(2, "oxygen_device", TUBE).give(2.2, "oxygen_device", "None").read(2.5, "po2_arterial", 75).read(2.5, "fio2_gas", 50),
        ("respiration", "002222"),
    ),
    Case(
        "a gas before the tube went in, in the same hour",
        Stay(6).read(2.1, "po2_arterial", 75).read(2.1, "fio2_gas", 50).give(2.5, "oxygen_device", TUBE),
        ("respiration", "002222"),
    ),
    Case("norepinephrine of an unknown unit", drug("norepinephrine", 8, "mcg/min"), ("circulation", "033333")),
    Case("dobutamine of an unknown unit", drug("dobutamine", 8, "mcg/min"), ("circulation", "022222")),
]  # fmt: skip
CASES = [*POINTS, *WINDOWS]


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward([*CASES, Case("all", everything(), None), Case("second stay", second_stay(), None)]) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_points_of_an_organ(stays: Ward, case: Case) -> None:
    organ, expected = case.expected
    assert stays.line("sofa", organ, case.name) == expected


def everything() -> Stay:
    """Every organ at its worst."""
    stay = gas(98, tube=True).read(1, "platelets", 10).read(1, "bilirubin_total", 12).read(1, "gcs", 3).read(1, "creatinine", 5)
    return stay.give(1, "norepinephrine", 0.2, until=2)


def second_stay() -> Stay:
    """A later stay of the patient of "coagulation 19"."""
    return Stay(6, subject="coagulation 19", admitted=24 * 30 + 7)


def test_the_total_is_the_sum_of_six_organs(stays: Ward) -> None:
    assert stays.by_hour("sofa", "sofa", "all") == {0: 0, **dict.fromkeys(range(1, 6), 24)}


def test_every_hour_has_a_score(stays: Ward) -> None:
    assert stays.database.execute("SELECT count(*) FROM stay_hours ANTI JOIN sofa USING (stay_id, hour)") == [(0,)]
    assert stays.database.execute("SELECT count(*) FROM sofa WHERE sofa IS NULL OR sofa NOT BETWEEN 0 AND 24") == [(0,)]


def test_another_stay_of_the_patient_starts_anew(stays: Ward) -> None:
    assert stays.line("sofa", "sofa", "second stay") == "000000"
