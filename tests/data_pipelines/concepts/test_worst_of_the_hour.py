"""Laboratory and ventilator concepts: which value of an hour counts, variable by variable."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Stay, Ward, ward

# View, column, variables of the three readings (the same where one is named), which one counts.
# Readings of an hour: low at 1:00:00, high at 1:20, middle at 1:59:59; a lone one an hour later.
COLUMNS = [
    ("chemistry", "albumin", "albumin", (2.1, 4.0, 3.0), "low"),
    ("chemistry", "anion_gap", "anion_gap", (8, 20, 12), "high"),
    ("chemistry", "bicarbonate", "bicarbonate", (12, 30, 24), "low"),
    ("chemistry", "bun", "bun", (10, 60, 20), "high"),
    ("chemistry", "calcium", "calcium", (6.5, 10, 8), "low"),
    ("chemistry", "chloride", "chloride", (90, 120, 100), "high"),
    ("chemistry", "creatinine", "creatinine", (0.8, 3.1, 1.2), "high"),
    ("chemistry", "glucose", "glucose", (60, 400, 120), "high"),
    ("chemistry", "sodium", "sodium", (125, 155, 140), "high"),
    ("chemistry", "potassium", "potassium", (3.0, 6.0, 4.0), "high"),
    ("chemistry", "magnesium", "magnesium", (1.2, 3.0, 2.0), "high"),
    ("chemistry", "phosphate", "phosphate", (1.2, 6.0, 3.0), "high"),
    ("chemistry", "lactate", "lactate", (0.9, 4.2, 2.0), "high"),
    ("blood_count", "hematocrit", "hematocrit", (21, 40, 30), "low"),
    ("blood_count", "hemoglobin", "hemoglobin", (6.9, 12, 9), "low"),
    ("blood_count", "platelets", "platelets", (19, 200, 100), "low"),
    ("blood_count", "wbc", "wbc", (0.5, 22, 10), "high"),
    ("blood_count", "neutrophils", "neutrophils", (10, 92, 70), "high"),
    ("blood_count", "lymphocytes", "lymphocytes", (2, 40, 20), "low"),
    ("blood_count", "bands", "bands", (0, 12, 5), "high"),
    ("coagulation", "inr", "inr", (1.0, 3.4, 1.5), "high"),
    ("coagulation", "pt", "pt", (11, 40, 14), "high"),
    ("coagulation", "ptt", "ptt", (25, 120, 40), "high"),
    ("coagulation", "fibrinogen", "fibrinogen", (80, 500, 200), "low"),
    ("enzymes", "alt", "alt", (20, 900, 40), "high"),
    ("enzymes", "ast", "ast", (20, 900, 40), "high"),
    ("enzymes", "alp", "alp", (50, 300, 80), "high"),
    ("enzymes", "bilirubin_total", "bilirubin_total", (0.4, 12.0, 1.2), "high"),
    ("enzymes", "bilirubin_direct", "bilirubin_direct", (0.1, 8.0, 1.0), "high"),
    ("enzymes", "ck", "ck", (50, 9000, 200), "high"),
    ("enzymes", "ck_mb", "ck_mb", (1, 90, 5), "high"),
    ("enzymes", "ldh", "ldh", (150, 2000, 300), "high"),
    ("enzymes", "lipase", "lipase", (20, 700, 60), "high"),
    ("enzymes", "troponin_t", "troponin_t", (0.01, 2.5, 0.4), "high"),
    ("oxygen", "oxygen_flow", "oxygen_flow", (2, 15, 6), "high"),
    ("oxygen", "fio2", "fio2", (21, 100, 40), "high"),
    ("oxygen", "peep", "peep", (5, 14, 8), "high"),
    ("oxygen", "peep", "peep_total", (5, 14, 8), "high"),
    ("oxygen", "tidal_volume_set", "tidal_volume_set", (300, 600, 420), "mean"),
    ("oxygen", "tidal_volume_observed", "tidal_volume_observed", (300, 600, 420), "mean"),
    ("oxygen", "respiratory_rate_set", "respiratory_rate_set", (10, 26, 18), "mean"),
    ("oxygen", "minute_volume", "minute_volume", (6, 15, 9), "mean"),
    ("oxygen", "peak_inspiratory_pressure", "peak_inspiratory_pressure", (12, 45, 20), "high"),
    ("oxygen", "plateau_pressure", "plateau_pressure", (12, 35, 20), "high"),
]
ACTIONS = {"oxygen_flow", "fio2", "peep", "tidal_volume_set", "respiratory_rate_set"}


def _stay(variable: str, values: tuple[float, float, float]) -> Stay:
    stay = Stay(8)
    write = stay.give if variable in ACTIONS else stay.read
    low, high, middle = values
    for hour, value in ((1, low), (4 / 3, high), (2 - SECOND, middle), (2, middle)):
        write(hour, variable, value)
    return stay


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward({f"{view} {variable}": _stay(variable, values) for view, _, variable, values, _ in COLUMNS}) as run:
        yield run


@pytest.mark.parametrize(("view", "column", "variable", "values", "which"), COLUMNS, ids=[f"{c[0]}-{c[2]}" for c in COLUMNS])
def test_which_value_of_an_hour_counts(
    stays: Ward, view: str, column: str, variable: str, values: tuple[float, float, float], which: str
) -> None:
    counts = {"low": values[0], "high": values[1], "mean": sum(values) / 3}[which]
    found = stays.by_hour(view, column, f"{view} {variable}")
    assert found == {1: pytest.approx(counts, abs=1e-4), 2: pytest.approx(values[2], abs=1e-4)}


@pytest.mark.parametrize("view", ["chemistry", "blood_count", "coagulation", "enzymes", "oxygen"])
def test_every_column_has_its_case(stays: Ward, view: str) -> None:
    columns = {str(row[0]) for row in stays.database.execute(f"DESCRIBE {view}")} - {"stay_id", "hour"}
    assert columns == {column for name, column, *_ in COLUMNS if name == view}


def test_the_larger_of_set_and_total_peep() -> None:
    with ward({"both": Stay(8).give(1, "peep", 8).read(1.5, "peep_total", 11)}) as run:
        assert run.by_hour("oxygen", "peep", "both") == {1: 11}
