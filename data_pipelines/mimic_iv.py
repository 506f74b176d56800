"""The source ``mimic_iv``: MIMIC-IV in its original layout, folders ``hosp/`` and ``icu/``."""

import re
from pathlib import Path

from data_pipelines.database import Database
from data_pipelines.tables import Table, create_view

_ID, _TIME, _TEXT, _NUMBER = "BIGINT", "TIMESTAMP", "VARCHAR", "DOUBLE"

TABLES = (
    Table("hosp/patients", {"subject_id": _ID, "gender": _TEXT, "anchor_age": _ID, "anchor_year": _ID, "dod": _TIME}),
    Table(
        "hosp/admissions",
        {"subject_id": _ID, "hadm_id": _ID, "deathtime": _TIME, "race": _TEXT, "hospital_expire_flag": _ID},
    ),
    Table("icu/icustays", {"subject_id": _ID, "hadm_id": _ID, "stay_id": _ID, "intime": _TIME, "outtime": _TIME}),
    Table(
        "icu/chartevents",
        {"subject_id": _ID, "stay_id": _ID, "charttime": _TIME, "storetime": _TIME, "itemid": _ID, "value": _TEXT, "valuenum": _NUMBER},
    ),
    Table(
        "hosp/labevents",
        {"subject_id": _ID, "itemid": _ID, "charttime": _TIME, "storetime": _TIME, "value": _TEXT, "valuenum": _NUMBER},
    ),
    Table(
        "icu/outputevents",
        {"subject_id": _ID, "stay_id": _ID, "charttime": _TIME, "storetime": _TIME, "itemid": _ID, "value": _NUMBER},
    ),
    Table(
        "icu/inputevents",
        {
            "subject_id": _ID,
            "stay_id": _ID,
            "starttime": _TIME,
            "endtime": _TIME,
            "itemid": _ID,
            "amount": _NUMBER,
            "amountuom": _TEXT,
            "rate": _NUMBER,
            "rateuom": _TEXT,
            "ordercategorydescription": _TEXT,
        },
    ),
    Table("icu/procedureevents", {"subject_id": _ID, "stay_id": _ID, "starttime": _TIME, "endtime": _TIME, "itemid": _ID}),
)


def open_mimic_iv(database: Database, root: Path) -> str:
    """Lay views over the tables of a MIMIC-IV folder.

    Args:
        database: Session that gets the views; ``given_splits`` is empty, for MIMIC-IV brings no splits.
        root: Folder that holds ``hosp/`` and ``icu/``.

    Returns:
        The version of MIMIC-IV, as far as the folder's name or its README tells, else ``unknown``.

    Raises:
        InputError: If a table or a column is missing or a file is damaged.
    """
    for table in TABLES:
        create_view(database, root, table)
    database.execute("CREATE TABLE given_splits (subject_id BIGINT, split VARCHAR)")
    return _version(root)


def _version(root: Path) -> str:
    if found := re.search(r"(\d+\.\d+)$", root.resolve().name):
        return found.group(1)
    for file in sorted(root.glob("README*")):
        text = file.read_text(encoding="utf-8", errors="ignore") if file.is_file() else ""
        if found := re.search(r"\b(?:v|version )(\d+\.\d+)", text, re.IGNORECASE):
            return found.group(1)
    return "unknown"
