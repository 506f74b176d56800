"""Vital signs per hour: the lowest pressure of either kind, means of what drifts."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward

CASES = [
    Case("lowest of two cuff pressures", Stay().read(1.2, "mbp", 71).read(1.8, "mbp", 64), {"mbp_lowest": {1: 64}}),
    Case("arterial line below the cuff", Stay().read(1, "mbp", 80).read(1, "mbp_arterial", 60), {"mbp_lowest": {1: 60}}),
    Case("cuff below the arterial line", Stay().read(1, "mbp", 58).read(1, "mbp_arterial", 60), {"mbp_lowest": {1: 58}}),
    Case("arterial line alone", Stay().read(1, "mbp_arterial", 66), {"mbp_lowest": {1: 66}}),
    Case(
        "last second of an hour and first of the next",
        Stay().read(2 - SECOND, "mbp", 50).read(2, "mbp", 90),
        {"mbp_lowest": {1: 50, 2: 90}},
    ),
    Case("systolic alone is no mean pressure", Stay().read(1, "sbp", 90), {"sbp_lowest": {1: 90}, "mbp_lowest": {}}),
    Case("diastolic of both kinds", Stay().read(1, "dbp", 40).read(1, "dbp_arterial", 38), {"dbp_lowest": {1: 38}}),
    Case("systolic of both kinds", Stay().read(1, "sbp", 100).read(1, "sbp_arterial", 96), {"sbp_lowest": {1: 96}}),
    Case("implausible pressure", Stay().read(1, "mbp", 9).read(1, "mbp_arterial", 301), {"mbp_lowest": {}}),
    Case("edges of the plausible range", Stay().read(1, "mbp", 10).read(2, "mbp", 300), {"mbp_lowest": {1: 10, 2: 300}}),
    Case("mean heart rate", Stay(charted=False).read(0, "heart_rate", 80).read(0.5, "heart_rate", 101), {"heart_rate": {0: 90.5}}),
    Case(
        "mean respiratory rate", Stay().read(3, "respiratory_rate", 12).read(3.5, "respiratory_rate", 15), {"respiratory_rate": {3: 13.5}}
    ),
    Case("Fahrenheit", Stay().read(1, "temperature", 98.6, unit="degF").read(1.5, "temperature", 38), {"temperature": {1: 37.5}}),
    Case("lowest saturation", Stay().read(1, "spo2", 97).read(1.5, "spo2", 88), {"spo2_lowest": {1: 88}}),
]


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_vital_signs(stays: Ward, case: Case) -> None:
    assert {column: stays.by_hour("vital_signs", column, case.name) for column in case.expected} == case.expected
