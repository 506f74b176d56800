"""One shard of subjects: from ingested rows to hourly texts, numeric grid, labels and stays."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipelines.database import Database, quoted
from data_pipelines.ingest import create_shard_views
from data_pipelines.labels import create_labels
from data_pipelines.plan import PACKAGE, ExtractionPlan, write_json
from data_pipelines.source import Source

_PLACING = ("speakable", "placed_observations", "cohort", "readings", "placed_actions", "treatments", "measured_values")
# In the order in which they build on each other; the first line of each file says what it is.
CONCEPTS = (
    "vital_signs",
    "oxygen",
    "ventilation",
    "blood_gas",
    "chemistry",
    "blood_count",
    "coagulation",
    "enzymes",
    "gcs",
    "urine",
    "vasoactive",
    "sedatives",
    "fluids",
    "blood_products",
    "antibiotics",
    "renal_replacement",
    "earlier_creatinine",
    "sofa",
    "kdigo",
    "meld",
    "suspected_infection",
    "sepsis3",
    "scores",
)
# Table of the store: the view that makes it, and the columns whose content it is known by.
TABLES = {"hours": "hours", "values": "hourly_values", "labels": "labels"}


@dataclass(frozen=True)
class ShardJob:
    """A shard to be written; plain data, so that it can travel to another process or machine.

    Attributes:
        plan: The extraction.
        source: The kind of raw data.
        number: Which of ``plan.shards``.
    """

    plan: ExtractionPlan
    source: Source
    number: int

    @property
    def report(self) -> Path:
        """File that says that the shard is done, and its counts."""
        return self.plan.work / "shards" / f"{self.number:05d}.json"

    @property
    def stays(self) -> Path:
        """File of the shard's stays."""
        return self.plan.work / "shards" / f"{self.number:05d}.parquet"


def run_shard(job: ShardJob) -> None:
    """Write a shard's part of each table, and its report last; a shard that has its report is left as it is.

    Raises:
        InputError: If the input turns out damaged or a limit is too small.
    """
    if job.report.is_file():
        return
    with job.plan.connect(job.number) as database:
        prepare_shard(database, job)
        report: dict[str, Any] = {"rows": {}, "hash": {}}
        for table, view in TABLES.items():
            file = job.plan.store / table / f"{job.number:05d}.parquet"
            database.execute(f"CREATE TABLE written_{table} AS FROM {view}")
            write_parquet(database, f"written_{table}", file, job.plan.work)
            rows, content = table_hash(database, f"written_{table}")
            report["rows"][table], report["hash"][table] = rows, content
        write_parquet(database, "shard_stays", job.stays, job.plan.work)
        report["counts"] = [[*row] for row in database.execute("FROM row_counts ORDER BY ALL")]
        report["variables"] = sorted(str(row[0]) for row in database.execute("SELECT DISTINCT variable FROM written_values"))
        job.report.parent.mkdir(exist_ok=True)
        write_json(job.report, report)


def prepare_shard(database: Database, job: ShardJob) -> None:
    """Run every SQL file of a shard; the tables and views of the store are there afterwards.

    Args:
        database: Session of the shard.
        job: The shard.
    """
    load_candidates(database, job.plan)
    create_shard_views(database, job.plan, job.source.relations, job.number)
    for file in job.source.shard_sql:
        database.run_file(file)
    for name in _PLACING:
        database.run_file(f"trajectories/{name}.sql")
    for name in CONCEPTS:
        database.run_file(f"concepts/{name}.sql")
    for name in ("hours", "hourly_values", "shard_stays", "row_counts"):
        database.run_file(f"trajectories/{name}.sql")
    create_labels(database, job.plan.settings["unavailable"])


def load_candidates(database: Database, plan: ExtractionPlan) -> None:
    """Load the variables and the candidate stays that the first stage wrote."""
    for table in ("listed_variables", "unit_conversions", "antibiotic_names", "candidates"):
        database.execute(f"CREATE TABLE {table} AS FROM read_parquet({quoted(str(plan.work / 'first' / f'{table}.parquet'))})")
    database.execute("SET VARIABLE antibiotic_pattern = (SELECT string_agg(fragment, '|' ORDER BY fragment) FROM antibiotic_names)")
    database.run_file("trajectories/variables.sql")
    database.run_file("trajectories/candidate_stays.sql")


def write_parquet(database: Database, view: str, file: Path, work: Path) -> None:
    """Write a view as zstd Parquet, under its name only once it is whole; the same rows give the same bytes.

    Args:
        database: Session of the view.
        view: Its name.
        file: File to write.
        work: Folder of the extraction, where the file lies until it is whole.
    """
    for folder in (file.parent, work / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    temporary = work / "partial" / f"{view}.{file.name}.{os.getpid()}"
    database.execute(f"COPY (FROM {view}) TO {quoted(str(temporary))} (FORMAT parquet, COMPRESSION zstd)")
    temporary.replace(file)


def table_hash(database: Database, table: str) -> tuple[int, int]:
    """Number of rows of a table and a hash of its content that does not depend on the order of rows or their spread over files."""
    columns = ", ".join(str(row[0]) for row in database.execute(f"DESCRIBE {table}"))
    rows, content = database.execute(f"SELECT count(*), coalesce(sum(hash({columns})), 0) FROM {table}")[0]
    return int(rows), int(content) % 2**64


def read_reports(jobs: list[ShardJob]) -> list[dict[str, Any]]:
    """The reports of finished shards."""
    return [json.loads(job.report.read_text(encoding="utf-8")) for job in jobs]


def concept_files() -> list[Path]:
    """The SQL files of the clinical concepts."""
    return [PACKAGE / "concepts" / f"{name}.sql" for name in CONCEPTS]
