"""Gather the finished shards into a trajectory store: stays with their splits, and ``dataset.json``, which says what all of it is."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from clin_jepa import __version__
from clin_jepa.data.trajectory_store import SCHEMA_VERSION
from data_pipelines.database import Database, quoted
from data_pipelines.labels import TASKS, missing_needs
from data_pipelines.plan import PACKAGE, ExtractionPlan, code_fingerprint, sha256_of, write_json
from data_pipelines.shard import ShardJob, read_reports, table_hash, write_parquet


def gather(database: Database, plan: ExtractionPlan, jobs: list[ShardJob], about: Mapping[str, Any]) -> None:
    """Write ``stays.parquet`` and ``dataset.json`` of the store.

    Args:
        database: Session that knows ``given_splits``.
        plan: The extraction.
        jobs: All shards, finished.
        about: What ``dataset.json`` says of the source: version, seed.

    Raises:
        RuntimeError: If rows got lost on the way, which is a defect of this package.
    """
    reports = read_reports(jobs)
    listed = ", ".join(quoted(str(job.stays)) for job in jobs)
    database.execute(f"CREATE VIEW all_stays AS FROM read_parquet([{listed}])")
    database.run_file("trajectories/split_stays.sql")
    # A table first: a view over several files comes in pieces whose borders would show in the bytes.
    database.execute("CREATE TABLE stays AS FROM split_stays")
    write_parquet(database, "stays", plan.store / "stays.parquet", plan.work)
    counts = row_counts(plan, reports)
    _, stays_hash = table_hash(database, "stays")
    check_counts(plan, counts, reports, database)
    settings = {key: plan.settings[key] for key in ("time_policy", "hour_stamp")} | {"seed": about["seed"]}
    hashed = json.dumps({"source": plan.source, **settings, "code": code_fingerprint()}, sort_keys=True)
    content = {"stays": stays_hash, **{table: sum(report["hash"][table] for report in reports) % 2**64 for table in reports[0]["hash"]}}
    dataset = {
        "schema_version": SCHEMA_VERSION,
        "source": plan.source,
        "source_version": about["source_version"],
        "source_counts": about["source_counts"],
        **settings,
        "row_counts": counts,
        "variables": sorted({name for report in reports for name in report["variables"]}),
        "tasks": {task: _availability(task, plan.settings["unavailable"]) for task in TASKS},
        "unavailable": plan.settings["unavailable"],
        "variables_hash": sha256_of(PACKAGE / "variables.csv", PACKAGE / "units.csv", PACKAGE / "antibiotics.csv"),
        "settings_hash": hashlib.sha256(hashed.encode()).hexdigest(),
        "content_hash": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        "package_version": __version__,
    }
    write_json(plan.store / "dataset.json", dataset)


def row_counts(plan: ExtractionPlan, reports: list[dict[str, Any]]) -> dict[str, Any]:
    """``{stage: {in, kept, dropped: {reason: n}}}``: raw tables first, then the stages of the shards."""
    counts: dict[str, Any] = {}
    for file in sorted(plan.work.glob("ingest/*/counts.json")):
        counts[file.parent.name] = json.loads(file.read_text(encoding="utf-8"))
    first = json.loads((plan.work / "first" / "dropped_stays.json").read_text(encoding="utf-8"))
    counts["stays"] = {"in": sum(first.values()), "kept": 0, "dropped": dict(first)}
    for report in reports:
        for stage, reason, n in report["counts"]:
            entry = counts.setdefault(stage, {"in": 0, "kept": 0, "dropped": {}})
            entry["in"] += n
            if reason is None:
                entry["kept"] += n
            elif n:
                entry["dropped"][reason] = entry["dropped"].get(reason, 0) + n
    for entry in counts.values():
        entry["dropped"] = dict(sorted(entry["dropped"].items()))
    return dict(sorted(counts.items()))


def check_counts(plan: ExtractionPlan, counts: dict[str, Any], reports: list[dict[str, Any]], database: Database) -> None:
    """Compare what each stage took in with what it gave out.

    Raises:
        RuntimeError: If rows got lost, or the written tables do not hold what the stages counted.
    """
    for stage, entry in counts.items():
        if entry["in"] != entry["kept"] + sum(entry["dropped"].values()):
            raise RuntimeError(f"stage {stage}: {entry['in']} rows in, but kept and dropped rows do not add up to it")
    n_stays, n_hours = database.execute("SELECT count(*), coalesce(sum(n_hours), 0) FROM stays")[0]
    written = {table: sum(report["rows"][table] for report in reports) for table in ("hours", "values")}
    expected = {"stays": int(n_stays), "hours": int(n_hours), "values": written["values"]}
    for stage, n in expected.items():
        if counts[stage]["kept"] != n or (stage in written and written[stage] != n):
            raise RuntimeError(f"stage {stage}: {counts[stage]['kept']} rows were kept, but the store holds {n}")


def _availability(task: str, unavailable: Mapping[str, str]) -> str:
    missing = missing_needs(task, unavailable)
    return f"not available: needs {', '.join(missing)}" if missing else "available"
