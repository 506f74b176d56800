"""Write the tables of a trajectory store, and ``dataset.json``, which says what they are and where they came from."""

import hashlib
import json
from pathlib import Path
from typing import Any

from clin_jepa import __version__
from clin_jepa.data.trajectory_store import SCHEMA_VERSION
from data_pipelines.database import Database, quoted

_PACKAGE = Path(__file__).parent
_FILES = {"stays.parquet": "split_stays", "hours/00000.parquet": "hours", "values/00000.parquet": "hourly_values"}


def write_tables(database: Database, store: Path) -> None:
    """Write stays, hourly texts and the numeric grid as zstd Parquet; the same input gives the same bytes.

    Args:
        database: Session that holds the finished views.
        store: Folder to write into.
    """
    for name, view in _FILES.items():
        file = store / name
        file.parent.mkdir(exist_ok=True)
        database.execute(f"COPY (FROM {view}) TO {quoted(str(file))} (FORMAT parquet, COMPRESSION zstd)")


def write_dataset(database: Database, store: Path, source: str, source_version: str, settings: dict[str, Any]) -> None:
    """Write ``dataset.json``: versions, settings, row counts of each stage, and hashes.

    Args:
        database: Session that holds the finished views.
        store: Folder of the written tables.
        source: Name of the source.
        source_version: Version of the source's data.
        settings: What determines the content beside the input: time policy, seed.
    """
    variables_hash = _sha256(_PACKAGE / "variables.csv", _PACKAGE / "units.csv")
    sql_hash = _sha256(*sorted(_PACKAGE.rglob("*.sql")))
    hashed = json.dumps({"source": source, **settings, "variables": variables_hash, "sql": sql_hash}, sort_keys=True)
    dataset = {
        "schema_version": SCHEMA_VERSION,
        "source": source,
        "source_version": source_version,
        **settings,
        "row_counts": _row_counts(database),
        "variables_hash": variables_hash,
        "settings_hash": hashlib.sha256(hashed.encode()).hexdigest(),
        "content_hash": _sha256(*(store / name for name in _FILES)),
        "package_version": __version__,
    }
    (store / "dataset.json").write_text(json.dumps(dataset, indent=2) + "\n", encoding="utf-8")


def _row_counts(database: Database) -> dict[str, Any]:
    """``{stage: {in, kept, dropped: {reason: n}}}``, stages and reasons in alphabetical order."""
    counts: dict[str, Any] = {}
    for stage, reason, n in database.execute("SELECT stage, dropped, sum(n) FROM row_counts GROUP BY ALL ORDER BY ALL"):
        entry = counts.setdefault(stage, {"in": 0, "kept": 0, "dropped": {}})
        entry["in"] += int(n)
        if reason is None:
            entry["kept"] = int(n)
        elif n:
            entry["dropped"][reason] = int(n)
    for table, view in (("hours", "hours"), ("values", "hourly_values")):
        rows = int(database.execute(f"SELECT count(*) FROM {view}")[0][0])
        counts[table] = {"in": rows, "kept": rows, "dropped": {}}
    return counts


def _sha256(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
