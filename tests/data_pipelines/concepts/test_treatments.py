"""Drugs, fluids, blood and renal replacement per hour: overlaps, units, the highest of an hour, and lost numbers."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward([*VASOACTIVE, *AGENTS, *ANTIBIOTICS, *RENAL_REPLACEMENT]) as run:
        yield run


def running(agent: str, rate: float | None, start: float = 1, until: float = 3, unit: str = "") -> Stay:
    return Stay(12).give(start, agent, rate, until=until, unit=unit)


# Expected: a column of `vasoactive` by hour.
VASOACTIVE = [
    Case("ends on the edge of an hour", running("norepinephrine", 0.1, 1.5, 3), ("norepinephrine", {1: 0.1, 2: 0.1})),
    Case("ends a second into the hour", running("norepinephrine", 0.1, 1.5, 3 + SECOND), ("norepinephrine", {1: 0.1, 2: 0.1, 3: 0.1})),
    Case("the highest rate", running("epinephrine", 0.05, 1, 1.5).give(1.5, "epinephrine", 0.2, until=2), ("epinephrine", {1: 0.2})),
    Case("vasopressin an hour", running("vasopressin", 2.4, unit="units/hour"), ("vasopressin", {1: 0.04, 2: 0.04})),
    Case("mg to mcg", running("norepinephrine", 0.0002, unit="mg/kg/min"), ("norepinephrine", {1: 0.2, 2: 0.2})),
    Case("angiotensin II in ng", running("angiotensin_ii", 0.02, unit="mcg/kg/min"), ("angiotensin_ii", {1: 20, 2: 20})),
    Case("stopped", running("dopamine", 0), ("dopamine", {})),
    Case("begun before ICU admission", running("dobutamine", 5, -2, 1), ("dobutamine", {0: 5})),
    Case("ended at ICU admission", running("milrinone", 0.3, -2, 0), ("milrinone", {})),
    Case("goes on after the stay", running("phenylephrine", 1, 10.5, 20), ("phenylephrine", {10: 1, 11: 1})),
    Case("isoproterenol", running("isoproterenol", 0.02, 1, 2), ("isoproterenol", {1: 0.02})),
    Case("an unknown unit has no rate", running("norepinephrine", 8, unit="mcg/min"), ("norepinephrine", {})),
    Case("implausible rate", running("norepinephrine", 11), ("norepinephrine", {})),
]  # fmt: skip


@pytest.mark.parametrize("case", each(VASOACTIVE))
def test_vasoactive(stays: Ward, case: Case) -> None:
    column, expected = case.expected
    assert stays.by_hour("vasoactive", column, case.name) == {hour: pytest.approx(rate, abs=1e-6) for hour, rate in expected.items()}


# Expected: the view, and its rows.
AGENTS = [
    Case("sedation by the hour", running("propofol", 30), ("sedatives", [(1, "propofol", 30), (2, "propofol", 30)])),
    Case("highest rate", running("propofol", 30, 1, 1.5).give(1.5, "propofol", 50, until=2), ("sedatives", [(1, "propofol", 50)])),
    Case("a bolus counts in its own hour", Stay(12).give(1.9, "fentanyl_dose", 50), ("sedatives", [(1, "fentanyl_dose", 50)])),
    Case("largest dose", Stay(12).give(1, "fentanyl_dose", 50).give(1.5, "fentanyl_dose", 100), ("sedatives", [(1, "fentanyl_dose", 100)])),
    Case("paralysis", running("cisatracurium", 2, 1, 2), ("sedatives", [(1, "cisatracurium", 2)])),
    Case("a lost rate keeps its place", running("fentanyl", 75000, 1, 2), ("sedatives", [(1, "fentanyl", None)])),
    Case("a pressor is no sedative", running("norepinephrine", 0.1, 1, 2), ("sedatives", [])),
    Case("fluid", running("lactated_ringers", 125, 1, 2), ("fluids", [(1, "lactated_ringers", 125)])),
    Case("fluid bolus", Stay(12).give(1, "albumin_5_bolus", 500), ("fluids", [(1, "albumin_5_bolus", 500)])),
    Case("blood is no fluid", running("red_blood_cells", 150, 1, 2), ("fluids", [])),
    Case("blood", running("red_blood_cells", 150, 1, 2), ("blood_products", [(1, "red_blood_cells", 150)])),
    Case("perioperative plasma", Stay(12).give(2, "fresh_frozen_plasma_perioperative", 600),
         ("blood_products", [(2, "fresh_frozen_plasma_perioperative", 600)])),
    Case("albumin is no blood product", Stay(12).give(1, "albumin_25_bolus", 100), ("blood_products", [])),
]  # fmt: skip


@pytest.mark.parametrize("case", each(AGENTS))
def test_agents(stays: Ward, case: Case) -> None:
    view, expected = case.expected
    assert stays.rows(view, case.name, "hour", "CAST(variable AS VARCHAR)", "value") == expected


ANTIBIOTICS = [
    Case("given", Stay(12).give(1.5, "vancomycin"), [(1, "vancomycin")]),
    Case("two doses of an hour are one", Stay(12).give(1, "vancomycin").give(1.5, "vancomycin"), [(1, "vancomycin")]),
    Case("prescribed", Stay(12).give(2, "antibiotic_prescribed", "ceftriaxone"), [(2, "ceftriaxone")]),
    Case("given and prescribed", Stay(12).give(2, "antibiotic_prescribed", "cefepime").give(2.5, "cefepime"), [(2, "cefepime")]),
    Case("antivirals and antifungals are none", Stay(12).give(1, "acyclovir").give(1, "fluconazole"), []),
    Case("before ICU admission", Stay(12).give(-1, "vancomycin"), []),
    Case("at ICU admission", Stay(12).give(0, "meropenem"), [(0, "meropenem")]),
]


@pytest.mark.parametrize("case", each(ANTIBIOTICS))
def test_antibiotics(stays: Ward, case: Case) -> None:
    assert stays.rows("antibiotics_given", case.name, "hour", "antibiotic") == case.expected


RENAL_REPLACEMENT = [
    Case("none", Stay(6), "......"),
    Case("continuous", Stay(6).give(1.5, "crrt", until=4), ".xxx.."),
    Case("hemodialysis", Stay(6).give(1, "hemodialysis", until=2 + SECOND), ".xx..."),
    Case("peritoneal dialysis", Stay(6).give(5, "peritoneal_dialysis", until=9), ".....x"),
    Case("a setting alone", Stay(6).give(2, "crrt_blood_flow", 150), "..x..."),
    Case("a mode alone", Stay(6).give(3, "crrt_mode", "CVVHDF"), "...x.."),
    Case("citrate alone", Stay(6).give(3, "crrt_citrate", 200), "...x.."),
    Case("a setting within a session counts once", Stay(6).give(2, "crrt_blood_flow", 150).give(2, "crrt", until=3), "..x..."),
    Case("plasmapheresis is none", Stay(6).give(1, "plasmapheresis", until=3), "......"),
    Case("potassium for renal replacement is none", Stay(6).give(1, "potassium_chloride_crrt", 4, until=3), "......"),
]


@pytest.mark.parametrize("case", each(RENAL_REPLACEMENT))
def test_renal_replacement(stays: Ward, case: Case) -> None:
    assert stays.present("renal_replacement", case.name) == case.expected
