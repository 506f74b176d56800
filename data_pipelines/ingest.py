"""Ingest: stream a raw table once, keep what extraction needs, and lay it down in Parquet by shards of subjects."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_pipelines.database import Database, quoted
from data_pipelines.plan import PACKAGE, ExtractionPlan, write_json

# Dropped rows are kept by their reason only, for the account of rows.
_DROPPED = -1


def ingest_relation(
    database: Database, plan: ExtractionPlan, relation: str, on_progress: Callable[[float], None] | None = None
) -> dict[str, Any]:
    """Write a relation of the source to ``work/ingest/<relation>/shard=K/*.parquet``.

    Args:
        database: Session with the views of the raw data and the candidate stays.
        plan: The extraction.
        relation: Name of the relation.
        on_progress: Called with the share of the table that was read, 0 to 1.

    Returns:
        Row counts of the relation: ``{"in", "kept", "dropped": {reason: n}}``.
    """
    database.reading = f"the Parquet file of {relation}"
    select = (PACKAGE / "sources" / plan.source / "ingest" / f"{relation}.sql").read_text(encoding="utf-8").strip().rstrip(";")
    columns = [str(row[0]) for row in database.execute(f"DESCRIBE {select}")]
    folder, temporary = plan.work / "ingest" / relation, plan.work / "ingest" / f".{relation}.partial"
    for old in (folder, temporary):
        shutil.rmtree(old, ignore_errors=True)
    temporary.mkdir(parents=True)
    kept = ", ".join(f"CASE WHEN dropped IS NULL THEN {name} END AS {name}" for name in columns if name != "dropped")
    shard = f"CASE WHEN dropped IS NULL THEN CAST(hash(subject_id) % {plan.shards} AS INTEGER) ELSE {_DROPPED} END"
    rows = f"SELECT {kept}, dropped, {shard} AS shard FROM ({select})"
    # A reader of a shard without rows finds the columns here.
    database.execute(f"COPY (FROM ({rows}) LIMIT 0) TO {quoted(str(temporary / 'schema.parquet'))} (FORMAT parquet)")
    scanned = database.execute_counting(
        f"COPY ({rows}) TO {quoted(str(temporary))} (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (shard), OVERWRITE_OR_IGNORE)",
        on_progress,
    )
    if scanned is None:
        scanned = int(database.execute(f"SELECT count(*) FROM {relation}")[0][0])
    counts = _count(database, temporary, scanned, _left_out(select))
    write_json(temporary / "counts.json", counts)
    temporary.rename(folder)
    return counts


def is_ingested(plan: ExtractionPlan, relation: str) -> bool:
    """Whether an earlier run finished the relation."""
    return (plan.work / "ingest" / relation / "counts.json").is_file()


def create_shard_views(database: Database, plan: ExtractionPlan, relations: tuple[str, ...], shard: int) -> None:
    """Lay a view over the rows of a shard, for each relation, under the relation's name."""
    for relation in relations:
        folder = plan.work / "ingest" / relation
        files = [folder / "schema.parquet", *sorted((folder / f"shard={shard}").glob("*.parquet"))]
        listed = ", ".join(quoted(str(file)) for file in files)
        database.execute(
            f"CREATE VIEW {relation} AS SELECT * EXCLUDE (dropped, shard) "
            f"FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
        )


def _left_out(select: str) -> str:
    """The reason why a relation's SQL passes over rows of the raw table, as its comment says."""
    found = re.search(r"^-- Left out: (\w+)$", select, re.MULTILINE)
    if found is None:
        raise ValueError("the SQL of a relation lacks its line '-- Left out: ...'")
    return found.group(1)


def _count(database: Database, folder: Path, scanned: int, left_out: str) -> dict[str, Any]:
    kept = _rows(database, [file for file in folder.glob("shard=*/*.parquet") if file.parent.name != f"shard={_DROPPED}"])
    dropped: dict[str, int] = {}
    if files := list((folder / f"shard={_DROPPED}").glob("*.parquet")):
        listed = ", ".join(quoted(str(file)) for file in files)
        reasons = database.execute(f"SELECT dropped, count(*) FROM read_parquet([{listed}], hive_partitioning = false) GROUP BY dropped")
        dropped = {str(reason): int(n) for reason, n in reasons}
    if passed := scanned - kept - sum(dropped.values()):
        dropped[left_out] = passed
    return {"in": scanned, "kept": kept, "dropped": dropped}


def _rows(database: Database, files: list[Path]) -> int:
    if not files:
        return 0
    listed = ", ".join(quoted(str(file)) for file in files)
    return int(database.execute(f"SELECT sum(num_rows) FROM parquet_file_metadata([{listed}])")[0][0])
