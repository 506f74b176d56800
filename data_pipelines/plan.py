"""What one extraction does: its source, its settings and its folders, the same in every process that takes part."""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_pipelines.database import Database

PACKAGE = Path(__file__).parent

# A shard holds about this many ICU stays: few enough to fit into memory, many enough to keep the overhead small.
STAYS_PER_SHARD = 1000


@dataclass(frozen=True)
class ExtractionPlan:
    """All that a job needs to know; it travels to worker processes.

    Attributes:
        source: Name of the source, and of its folder under ``sources/``.
        root: Folder of the raw data.
        work: Folder of what is not finished yet; ``work / "store"`` becomes the trajectory store.
        settings: What determines the content beside the input: time policy, hour stamp, and what the source asks for.
        memory_limit: Most memory DuckDB may take in one process.
        threads: Most threads DuckDB may use in one process.
        shards: Number of subject shards; 0 while it is not known yet.
    """

    source: str
    root: Path
    work: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    memory_limit: str | None = None
    threads: int | None = None
    shards: int = 0

    @property
    def store(self) -> Path:
        """Where the tables of the store are written."""
        return self.work / "store"

    def connect(self, shard: int | None = None) -> Database:
        """A database that knows the settings, with its own folder for what does not fit into memory.

        Args:
            shard: The shard that it works on, or None for all subjects.
        """
        name = "main" if shard is None else f"{shard:05d}"
        spill = self.work / "spill" / f"{name}-{threading.get_ident()}"
        spill.mkdir(parents=True, exist_ok=True)
        database = Database(spill, self.memory_limit, self.threads)
        for file in ("variables.csv", "units.csv", "antibiotics.csv"):
            database.set_variable(file.replace(".", "_"), PACKAGE / file)
        database.set_variable("parameters_csv", PACKAGE / "sources" / self.source / "parameters.csv")
        for key, value in self.settings.items():
            database.set_variable(key, value)
        database.set_variable("shards", self.shards)
        database.set_variable("shard", shard)
        return database


def code_fingerprint() -> str:
    """Hash of the SQL and the tables that define what is extracted."""
    files = [*sorted(PACKAGE.rglob("*.sql")), PACKAGE / "variables.csv", PACKAGE / "units.csv", PACKAGE / "antibiotics.csv"]
    return sha256_of(*files)


def sha256_of(*files: Path) -> str:
    """Hash of the files' content, in this order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def write_json(file: Path, content: Any) -> None:
    """Write JSON so that a reader sees all of it or nothing."""
    temporary = file.with_name(f".{file.name}.partial")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(file)
