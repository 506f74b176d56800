"""The ingest stage: all raw tables of a source, two at a time, with progress."""

import dataclasses
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

from tqdm import tqdm

from data_pipelines.database import Database, split_memory
from data_pipelines.ingest import ingest_relation, is_ingested
from data_pipelines.plan import ExtractionPlan
from data_pipelines.shard import load_candidates
from data_pipelines.source import Source

# One compressed file is unpacked by one thread, whatever the number of cores: a second table fills the gap.
_AT_ONCE = 2


def ingest(source: Source, plan: ExtractionPlan) -> None:
    """Ingest every relation of a source that an earlier run has not finished.

    Args:
        source: The kind of raw data.
        plan: The extraction; its memory limit holds for all relations together.

    Raises:
        InputError: If a file of the input is damaged, or memory or disk is too small.
    """
    waiting = [relation for relation in source.relations if not is_ingested(plan, relation)]
    if not waiting:
        return
    at_once = min(_AT_ONCE, len(waiting))
    part = dataclasses.replace(plan, memory_limit=split_memory(plan.memory_limit, at_once))
    sizes = {relation: _size(plan, relation) for relation in waiting}
    opened: list[Database] = []
    shape = "{desc}: {percentage:3.0f}%|{bar}| {postfix} [{elapsed}<{remaining}]"
    with tqdm(total=sum(sizes.values()), desc="ingest", bar_format=shape) as bar, ThreadPoolExecutor(at_once) as pool:
        progress = _Progress(bar, sizes)
        jobs = [pool.submit(_ingest_one, source, part, relation, progress, opened) for relation in waiting]
        try:
            pending = set(jobs)
            while pending:
                # With a timeout: Ctrl-C is not noticed by a wait without end.
                done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
                for job in done:
                    job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for database in opened:
                database.interrupt()
            raise


class _Progress:
    """The bar of several relations at once, by the size of their files."""

    def __init__(self, bar: Any, sizes: dict[str, int]) -> None:
        self._bar, self._sizes, self._done, self._lock = bar, sizes, dict.fromkeys(sizes, 0.0), threading.Lock()

    def __call__(self, relation: str, share: float) -> None:
        with self._lock:
            self._done[relation] = max(self._done[relation], share)
            self._bar.set_postfix_str(", ".join(name for name, done in self._done.items() if 0 < done < 1), refresh=False)
            self._bar.update(sum(self._sizes[name] * done for name, done in self._done.items()) - self._bar.n)


def _ingest_one(source: Source, plan: ExtractionPlan, relation: str, progress: _Progress, opened: list[Database]) -> None:
    with plan.connect() as database:
        opened.append(database)
        database.run_file("trajectories/listed_variables.sql")
        source.open(database, plan)
        for table in ("listed_variables", "unit_conversions", "antibiotic_names"):
            database.execute(f"DROP TABLE {table}")
        load_candidates(database, plan)
        progress(relation, 0.001)
        ingest_relation(database, plan, relation, lambda share: progress(relation, min(share, 0.999)))
        progress(relation, 1.0)


def _size(plan: ExtractionPlan, relation: str) -> int:
    """Bytes of the files that are named like a relation, at least 1."""
    return sum(file.stat().st_size for file in plan.root.glob(f"*/{relation}.*")) or 1
