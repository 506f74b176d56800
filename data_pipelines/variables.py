"""What the table of variables says of them."""

import csv
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent / "variables.csv"


@cache
def action_variables() -> frozenset[str]:
    """Variables that are treatments or their settings, and so speak in action texts."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return frozenset(row["variable"] for row in csv.DictReader(file) if row["kind"] == "action")
