"""Extract a trajectory store from raw ICU data: ``clinjepa extract``."""

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from clin_jepa.errors import InputError
from data_pipelines.cohort_rules import RULES
from data_pipelines.database import Database, check_limits, quoted, split_memory
from data_pipelines.engines import Engine, run_jobs
from data_pipelines.ingest_stage import ingest
from data_pipelines.meds import carries_mimic_items
from data_pipelines.meds_generic import GENERIC_MEDS
from data_pipelines.output_folder import check_output, work_folder
from data_pipelines.plan import STAYS_PER_SHARD, ExtractionPlan, code_fingerprint, write_json
from data_pipelines.shard import ShardJob
from data_pipelines.source import Source
from data_pipelines.source_registry import SOURCES
from data_pipelines.store_writer import gather

# A data set of more files than these, one a stay, is told apart by the first ones.
_COMPARED_FILES = 5000
_FIRST_TABLES = ("listed_variables", "unit_conversions", "antibiotic_names", "candidates", "given_splits")


def extract(
    source: Literal["mimic_iv", "meds", "cinc_2012", "cinc_2019"],
    input: str | Path,
    output: str | Path,
    time_policy: Literal["charttime", "storetime"] = "charttime",
    hour_stamp: bool = True,
    memory_limit: str | None = None,
    threads: int | None = None,
    workers: int | None = None,
    engine: Engine = "processes",
    shards: int | None = None,
    meds_codes: Literal["auto", "mimic", "generic"] = "auto",
    stays_file: str | Path | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Turn raw ICU data into a trajectory store: hourly texts, a numeric grid, task labels, and the cohort's stays with their splits.

    An extraction that was interrupted goes on where it stood when it is run again.

    Args:
        source: Layout of the input: ``mimic_iv`` (folders hosp/ and icu/), ``meds`` (folders data/ and metadata/), ``cinc_2012`` or
            ``cinc_2019`` (the PhysioNet Challenges: folders of stay files, or the archives).
        input: Folder of the raw data; it is only read.
        output: Folder that becomes the trajectory store; it must be new or empty.
        time_policy: When a reading counts: ``charttime``, the time it refers to, or ``storetime``, when it became known.
        hour_stamp: Whether each hourly text starts with its hour since ICU admission, as in "t=5h".
        memory_limit: Most memory that DuckDB may take, in all processes together, such as 4GB; by default 80 % of the machine.
        threads: Most threads that DuckDB may use, in all processes together; by default all cores.
        workers: Processes that write shards at the same time; by default one a thread.
        engine: What runs the shards: ``processes`` of this machine, or a ``ray`` cluster that sees the same folders.
        shards: Number of subject shards; by default as many as the number of stays asks for. It changes the number of files only.
        meds_codes: How the codes of a MEDS data set are read: ``mimic``, as item ids of variables.csv; ``generic``, each code by its
            description and value; ``auto`` looks whether the data set was made from MIMIC-IV.
        stays_file: For generic MEDS: a .csv or .parquet file of ICU stays (subject_id, intime, outtime, stay_id if you like), where
            the data set has no ICU_ADMISSION and ICU_DISCHARGE codes.
        seed: Seed of the split into train, tuning and held_out; unused where the data set brings its splits.
        overwrite: Whether a trajectory store that is already in the output folder is replaced.

    Returns:
        The folder of the store.

    Raises:
        InputError: If the input, the output folder or a limit does not fit; the message names it and the way out.
    """
    root, store = Path(input), Path(output)
    check_limits(memory_limit, threads)
    for name, value in (("workers", workers), ("shards", shards)):
        if value is not None and value < 1:
            raise InputError(f"{name} {value} is not possible: give a positive number, such as --{name} 2")
    if time_policy not in ("charttime", "storetime"):
        raise InputError(f"time_policy {time_policy!r} is unknown: use charttime or storetime")
    if engine not in ("processes", "ray"):
        raise InputError(f"engine {engine!r} is unknown: use processes or ray")
    if source not in SOURCES:
        raise InputError(f"source {source!r} is unknown: use {', '.join(SOURCES)}")
    if source != "mimic_iv" and time_policy == "storetime":
        raise InputError(
            f"time_policy storetime needs the time at which a result became known, which {source} does not keep: use charttime"
        )
    if not root.exists():
        raise InputError(f"{root} is not a folder: give the folder of the raw data with --input")
    check_output(store, overwrite)
    kind = _kind(source, root, meds_codes)
    if stays_file is not None and kind is not GENERIC_MEDS:
        raise InputError("stays_file goes with generic MEDS only: leave it out, or pass --source meds --meds_codes generic")
    settings = {"time_policy": time_policy, "hour_stamp": hour_stamp, "stays_file": None if stays_file is None else str(stays_file)}
    identity = {
        "source": source,
        "input": str(root.resolve()),
        "files": _file_states(root, store),
        "stays_file": _file_states(Path(stays_file), store) if stays_file is not None and Path(stays_file).is_file() else {},
        "settings": {**settings, "seed": seed, "shards": shards},
        "code": code_fingerprint(),
    }
    with work_folder(store, identity) as (work, resumed):
        if resumed:
            print(f"going on with the extraction that was interrupted in {work}")
        threads = threads or os.cpu_count() or 1
        plan = ExtractionPlan(kind.name, root, work, settings, memory_limit, threads, shards or 0)
        with plan.connect() as database:
            plan = _first_stage(database, kind, plan)
        ingest(kind, plan)
        workers = min(workers or threads, plan.shards)
        shard_plan = dataclasses.replace(plan, memory_limit=split_memory(memory_limit, workers), threads=max(1, threads // workers))
        jobs = [ShardJob(shard_plan, kind, number) for number in range(plan.shards)]
        _run_shards(jobs, engine, workers)
        about = json.loads((work / "first" / "about.json").read_text(encoding="utf-8"))
        with plan.connect() as database:
            database.execute(f"CREATE TABLE given_splits AS FROM read_parquet({quoted(str(work / 'first' / 'given_splits.parquet'))})")
            database.set_variable("seed", seed)
            _check_cohort(root, jobs, plan)
            gather(database, plan, jobs, {**about, "seed": seed})
    return store


def _kind(source: str, root: Path, meds_codes: str) -> Source:
    if source != "meds":
        return SOURCES[source]
    if meds_codes == "auto":
        with tempfile.TemporaryDirectory() as scratch, Database(Path(scratch)) as database:
            meds_codes = "mimic" if carries_mimic_items(database, root) else "generic"
    return SOURCES["meds"] if meds_codes == "mimic" else GENERIC_MEDS


def _first_stage(database: Database, source: Source, plan: ExtractionPlan) -> ExtractionPlan:
    """Open the source, find the candidate stays, and write down what every later job needs; a finished first stage is read."""
    folder = plan.work / "first"
    database.run_file("trajectories/listed_variables.sql")
    opened = source.open(database, plan)
    if not (folder / "about.json").is_file():
        database.run_file(f"sources/{source.name}/stays.sql")
        database.run_file("trajectories/candidates.sql")
        dropped = {
            str(reason): int(n)
            for reason, n in database.execute(
                "SELECT dropped, count(*) FROM candidates WHERE dropped IS NOT NULL GROUP BY dropped ORDER BY dropped"
            )
        }
        candidates = int(database.execute("SELECT count(*) FROM candidates WHERE dropped IS NULL")[0][0])
        if not candidates:
            _refuse_empty(plan.root, dropped)
        folder.mkdir(exist_ok=True)
        for table in _FIRST_TABLES:
            database.execute(f"COPY {table} TO {quoted(str(folder / f'{table}.parquet'))} (FORMAT parquet)")
        write_json(folder / "dropped_stays.json", dropped)
        write_json(
            folder / "about.json",
            {
                "source_version": opened.version,
                "unavailable": dict(opened.unavailable),
                "source_counts": dict(opened.counts),
                "shards": plan.shards or max(1, round(candidates / STAYS_PER_SHARD)),
            },
        )
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    lacks = about["unavailable"]
    knows = {"sepsis": "sepsis-3" not in lacks, "icu_death": "ICU death" not in lacks, "scores": "severity scores" not in lacks}
    settings = {**plan.settings, "unavailable": lacks, **{f"knows_{what}": known for what, known in knows.items()}}
    return dataclasses.replace(plan, settings=settings, shards=about["shards"])


def _run_shards(jobs: list[ShardJob], engine: Engine, workers: int) -> None:
    waiting = [job for job in jobs if not job.report.is_file()]
    with tqdm(total=len(jobs), initial=len(jobs) - len(waiting), desc="shards", unit="shard") as bar:
        for _ in run_jobs(waiting, engine, workers):
            bar.update()


def _check_cohort(root: Path, jobs: list[ShardJob], plan: ExtractionPlan) -> None:
    """Stop where no stay is left, telling which rule dropped how many."""
    reports: list[dict[str, Any]] = [json.loads(job.report.read_text(encoding="utf-8")) for job in jobs]
    if any(report["rows"]["hours"] for report in reports):
        return
    dropped = json.loads((plan.work / "first" / "dropped_stays.json").read_text(encoding="utf-8"))
    without = sum(n for report in reports for stage, reason, n in report["counts"] if (stage, reason) == ("stays", "no_vital_sign"))
    _refuse_empty(root, {**dropped, "no_vital_sign": without})


def _refuse_empty(root: Path, dropped: dict[str, int]) -> None:
    if not dropped:
        raise InputError(f"{root}: the cohort is empty: icustays or ICU admission codes list no stay: give the whole data set")
    reasons = "; ".join(f"{n} because {RULES[rule]}" for rule, n in sorted(dropped.items()))
    raise InputError(f"{root}: the cohort is empty, of {sum(dropped.values())} ICU stays were dropped: {reasons}: give more patients")


def _file_states(root: Path, store: Path) -> dict[str, list[int]]:
    """Size and time of change of every file of the input: an interrupted extraction goes on only if none has changed."""
    ours = (store.absolute(), store.absolute().with_name(f".{store.name}.partial"))  # should they lie within the input
    files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.is_file())
    foreign = [file for file in files if not any(file.absolute().is_relative_to(folder) for folder in ours)]
    return {str(file.relative_to(root)): [file.stat().st_size, file.stat().st_mtime_ns] for file in foreign[:_COMPARED_FILES]}
