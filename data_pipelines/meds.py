"""The source ``meds``: a MEDS data set (0.3 or 0.4) whose codes carry MIMIC-IV item ids."""

import json
from collections.abc import Iterable
from pathlib import Path

from clin_jepa.data.trajectory_store import SPLITS
from clin_jepa.errors import InputError
from data_pipelines.database import Database, damage_message, quoted
from data_pipelines.plan import ExtractionPlan
from data_pipelines.source import OpenedSource, Source
from data_pipelines.tables import parquet_columns

COLUMNS = {
    "subject_id": "BIGINT",
    "time": "TIMESTAMP",
    "code": "VARCHAR",
    "numeric_value": "FLOAT",
    "text_value": "VARCHAR",
    "hadm_id": "BIGINT",
    "icustay_id": "BIGINT",
    "order_id": "BIGINT",
    "unit": "VARCHAR",
    "ordercategorydescription": "VARCHAR",
    "race": "VARCHAR",
}
_VERSIONS = ("0.3", "0.4")


def open_meds(database: Database, plan: ExtractionPlan) -> OpenedSource:
    """Lay a view over the events of a MEDS data set and take over its splits.

    Args:
        database: Session that gets the view ``meds`` and the table ``given_splits``.
        plan: The extraction; its root holds ``data/`` and ``metadata/``.

    Returns:
        Name and version of the data set, and what MEDS does not carry.

    Raises:
        InputError: If a file or a column is missing or damaged, or the MEDS version is not 0.3 or 0.4.
    """
    root = plan.root
    version = read_version(root / "metadata" / "dataset.json")
    files = event_files(database, root, COLUMNS)
    select = ", ".join(f"CAST({column} AS {kind}) AS {column}" for column, kind in COLUMNS.items())
    listed = ", ".join(quoted(str(file)) for file in files)
    database.execute(f"CREATE VIEW meds AS SELECT {select} FROM read_parquet([{listed}], union_by_name = true)")
    database.run_file("sources/meds/codes.sql")
    read_splits(database, root / "metadata" / "subject_splits.parquet")
    return OpenedSource(version, {"sepsis-3": "MEDS keeps no cultures of MIMIC-IV"})


def carries_mimic_items(database: Database, root: Path) -> bool:
    """Whether a MEDS data set was made from MIMIC-IV by the public conversion: its events have that conversion's columns."""
    first = next(iter(sorted((root / "data").rglob("*.parquet"))), None)
    return first is None or set(COLUMNS) <= set(parquet_columns(database, first))


def event_files(database: Database, root: Path, columns: Iterable[str]) -> list[Path]:
    """The files of a data set's events, each with the columns that are read.

    Raises:
        InputError: If there is no file, or one lacks a column or is damaged.
    """
    files = sorted((root / "data").rglob("*.parquet"))
    if not files:
        raise InputError(f"{root / 'data'} holds no Parquet file: give with --input the folder that holds MEDS's data/ and metadata/")
    for file in files:
        _check_columns(database, file, columns)
    return files


def read_version(file: Path) -> str:
    """Name and version of a MEDS data set.

    Raises:
        InputError: If the file is missing or damaged, or of a MEDS version that is not known.
    """
    if not file.is_file():
        raise InputError(f"{file} is missing: give with --input the folder that holds MEDS's data/ and metadata/")
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
        meds_version = str(metadata.get("meds_version"))
    except (ValueError, AttributeError) as error:
        raise InputError(f"{file} is not the JSON object that MEDS describes: write the MEDS data set again") from error
    if not meds_version.startswith(tuple(f"{version}." for version in _VERSIONS)) and meds_version not in _VERSIONS:
        raise InputError(f"{file}: meds_version {meds_version!r} is not supported: convert the data set to MEDS {' or '.join(_VERSIONS)}")
    return f"{metadata.get('dataset_name', 'unknown')} {metadata.get('dataset_version', 'unknown')}"


def _check_columns(database: Database, file: Path, columns: Iterable[str]) -> None:
    found = parquet_columns(database, file)
    missing = [column for column in columns if column not in found]
    if missing:
        raise InputError(
            f"{file} lacks the column(s) {', '.join(missing)} (found: {', '.join(found)}): make the MEDS data set from MIMIC-IV again"
        )


def read_splits(database: Database, file: Path) -> None:
    """Take over the data set's splits into ``given_splits``, which stays empty where there are none.

    Raises:
        InputError: If the file is damaged, names an unknown split, or gives a subject more than one.
    """
    database.execute("CREATE TABLE given_splits (subject_id BIGINT, split VARCHAR)")
    if not file.exists():
        return
    if not file.is_file():
        raise InputError(damage_message(file))
    _check_columns(database, file, {"subject_id": "BIGINT", "split": "VARCHAR"})
    database.execute(f"INSERT INTO given_splits SELECT subject_id, split FROM read_parquet({quoted(str(file))})")
    names = [str(row[0]) for row in database.execute("SELECT DISTINCT split FROM given_splits ORDER BY split")]
    if unknown := [name for name in names if name not in SPLITS]:
        raise InputError(f"{file} has the split(s) {', '.join(unknown)}: use the names {', '.join(SPLITS)}, or remove the file")
    if database.execute("SELECT 1 FROM given_splits GROUP BY subject_id HAVING count(*) > 1 LIMIT 1"):
        raise InputError(f"{file} gives a subject more than one split: keep one row a subject")


MEDS = Source(
    name="meds",
    open=open_meds,
    relations=("meds",),
    shard_sql=(
        "sources/meds/events.sql",
        "sources/mimic_items/observations.sql",
        "sources/mimic_items/actions.sql",
        "sources/meds/actions.sql",
        "sources/empty/antibiotics.sql",
        "sources/empty/cultures.sql",
        "sources/empty/given_sepsis.sql",
    ),
    needs="the folders data/ and metadata/",
)
