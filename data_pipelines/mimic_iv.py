"""The source ``mimic_iv``: MIMIC-IV in its original layout, folders ``hosp/`` and ``icu/``."""

import re
from pathlib import Path

from data_pipelines.database import Database
from data_pipelines.plan import ExtractionPlan
from data_pipelines.source import OpenedSource, Source
from data_pipelines.tables import Table, create_empty_view, create_view, is_there

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

# Sepsis-3 needs them; an extraction without them goes on, and says so.
OPTIONAL_TABLES = (
    Table("hosp/prescriptions", {"subject_id": _ID, "starttime": _TIME, "drug_type": _TEXT, "drug": _TEXT, "route": _TEXT}),
    Table("hosp/microbiologyevents", {"subject_id": _ID, "micro_specimen_id": _ID, "charttime": _TIME, "chartdate": _TIME}),
)


def open_mimic_iv(database: Database, plan: ExtractionPlan) -> OpenedSource:
    """Lay views over the tables of a MIMIC-IV folder.

    Args:
        database: Session that gets the views; ``given_splits`` is empty, for MIMIC-IV brings no splits.
        plan: The extraction; its root holds ``hosp/`` and ``icu/``.

    Returns:
        The version of MIMIC-IV, as far as the folder's name or its README tells, and what missing tables make unavailable.

    Raises:
        InputError: If a table or a column is missing or a file is damaged.
    """
    for table in TABLES:
        create_view(database, plan.root, table)
    unavailable = {}
    for table in OPTIONAL_TABLES:
        if is_there(plan.root, table):
            create_view(database, plan.root, table)
        else:
            create_empty_view(database, table)
            unavailable["sepsis-3"] = f"{table.name} is missing"
    database.execute("CREATE TABLE given_splits (subject_id BIGINT, split VARCHAR)")
    return OpenedSource(_version(plan.root), unavailable)


def _version(root: Path) -> str:
    if found := re.search(r"(\d+\.\d+)$", root.resolve().name):
        return found.group(1)
    for file in sorted(root.glob("README*")):
        text = file.read_text(encoding="utf-8", errors="ignore") if file.is_file() else ""
        if found := re.search(r"\b(?:v|version )(\d+\.\d+)", text, re.IGNORECASE):
            return found.group(1)
    return "unknown"


MIMIC_IV = Source(
    name="mimic_iv",
    open=open_mimic_iv,
    relations=(
        "chartevents",
        "labevents",
        "inputevents",
        "outputevents",
        "procedureevents",
        "prescriptions",
        "microbiologyevents",
    ),
    shard_sql=(
        "sources/mimic_iv/events.sql",
        "sources/mimic_items/observations.sql",
        "sources/mimic_items/actions.sql",
        "sources/mimic_iv/actions.sql",
        "sources/empty/given_sepsis.sql",
    ),
    needs="the folders hosp/ and icu/",
)
