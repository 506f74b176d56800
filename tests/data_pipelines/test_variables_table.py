"""variables.csv and units.csv: well-formed, wide enough, and true to the names that MIMIC-IV gives its items."""

import csv
import gzip
import re
from collections import Counter
from pathlib import Path

import pytest

import data_pipelines
from tests.data_pipelines.demo import mimic_iv_demo

_PACKAGE = Path(data_pipelines.__file__).parent


def _read(name: str) -> list[dict[str, str]]:
    with (_PACKAGE / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


VARIABLES = _read("variables.csv")
UNITS = _read("units.csv")


@pytest.mark.parametrize("column", ["variable", "name", "order"])
def test_names_and_order_are_unique(column: str) -> None:
    counted = Counter(row[column] if column != "name" else row[column] + row["unit"] + row["form"] for row in VARIABLES)
    assert [value for value, n in counted.items() if n > 1] == []


def test_rows_are_well_formed() -> None:
    for row in VARIABLES:
        numeric = row["form"] in ("number", "rate", "amount")
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row["variable"]), row
        assert row["kind"] in ("observation", "action"), row
        assert row["form"] in (
            ("number", "text") if row["kind"] == "observation" else ("number", "text", "rate", "amount", "interval", "event")
        )
        assert bool(row["low"] and row["high"] and row["decimals"]) == numeric, row
        assert not numeric or (float(row["low"]) < float(row["high"]) and row["decimals"] in "0123"), row
        assert bool(row["word"]) == (row["form"] in ("rate", "amount", "interval", "event")), row
        assert (row["name"] + row["unit"] + row["word"]).isascii() and not re.search(r"[;|:]", row["name"]), row
        assert bool(row["items"]) == (row["source_table"] not in ("concept", "prescriptions", "challenge")), row
        assert all(re.fullmatch(r"\d+(@.+)?", item) for item in row["items"].split("|") if item), row


def test_an_item_has_one_meaning() -> None:
    """No item feeds two variables, unless its rate or amount, or its specimen, tells them apart."""
    meanings = Counter(
        (row["source_table"], item.split("@")[0], row["form"] if row["form"] in ("rate", "amount") else "", row["specimen"])
        for row in VARIABLES
        for item in row["items"].split("|")
        if item
    )
    assert [meaning for meaning, n in meanings.items() if n > 1] == []


def test_item_units_can_be_converted() -> None:
    known = {(row["from_unit"], row["to_unit"]) for row in UNITS}
    assert len(known) == len(UNITS)
    for row in VARIABLES:
        for item in row["items"].split("|"):
            if "@" in item:
                assert (item.split("@")[1], row["unit"]) in known, row


@pytest.mark.parametrize(
    ("categories", "at_least"),
    [
        ({"vital sign"}, 12),
        ({"blood gas"}, 12),
        ({"laboratory"}, 30),
        ({"consciousness"}, 3),
        ({"urine"}, 1),
        ({"ventilation", "respiratory measurement"}, 12),
        ({"vasoactive"}, 8),
        ({"sedation", "analgesia", "paralysis"}, 10),
        ({"fluid"}, 8),
        ({"antibiotic"}, 20),
        ({"blood product"}, 4),
        ({"renal replacement"}, 3),
    ],
)
def test_the_table_is_wide_enough(categories: set[str], at_least: int) -> None:
    assert sum(row["category"] in categories for row in VARIABLES) >= at_least


@pytest.mark.parametrize(
    ("from_unit", "to_unit", "value", "expected"),
    [
        ("degF", "degC", 212.0, 100.0),
        ("lb", "kg", 1.0, 0.45359237),
        ("fraction or %", "%", 0.21, 21.0),
        ("units/hour", "units/min", 2.4, 0.04),
        ("mg/kg/min", "mcg/kg/min", 0.0005, 0.5),
        ("mcg/kg/hour", "mcg/kg/min", 30.0, 0.5),
        ("mg/kg/hour", "mcg/kg/min", 3.0, 50.0),
        ("grams/min", "grams/hour", 0.5, 30.0),
        ("mg/min", "mg/hour", 0.5, 30.0),
    ],
)
def test_conversions(from_unit: str, to_unit: str, value: float, expected: float) -> None:
    (row,) = [row for row in UNITS if (row["from_unit"], row["to_unit"]) == (from_unit, to_unit)]
    assert value * float(row["factor"]) + float(row["shift"]) == pytest.approx(expected, rel=1e-12)


def test_conversions_undo_each_other() -> None:
    factors = {(row["from_unit"], row["to_unit"]): float(row["factor"]) for row in UNITS}
    for (first, second), factor in factors.items():
        if (second, first) in factors:
            assert factor * factors[second, first] == pytest.approx(1.0, rel=1e-12)


def test_items_belong_to_the_table_that_mimic_iv_says() -> None:
    """Each item id exists in the demo's dictionaries, for the source table that variables.csv names."""
    root = mimic_iv_demo()
    tables = {}
    for name in ("icu/d_items", "hosp/d_labitems"):
        with gzip.open(root / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as stream:
            tables.update({row["itemid"]: row.get("linksto", "labevents") for row in csv.DictReader(stream)})
    for row in VARIABLES:
        for item in filter(None, row["items"].split("|")):
            assert tables.get(item.split("@")[0]) == row["source_table"], row["variable"]
