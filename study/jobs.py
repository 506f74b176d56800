"""Jobs that need one another, several at once, each in a process of its own."""

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """A call that may begin when others have ended.

    Args:
        name: By which others need it.
        call: What it does, a function of a module, so that another process finds it.
        arguments: Of the call.
        needs: Names of the jobs that end before; one that is not among the jobs is taken as ended.
    """

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    needs: tuple[str, ...] = ()


def run_jobs(jobs: Sequence[Job], workers: int, end: float = float("inf")) -> dict[str, Any]:
    """Call each job as soon as those that it needs have ended and a process is free; of several the one listed first.

    Args:
        jobs: Each after those that it needs.
        workers: Processes. They share the processor's cores between them, where ``OMP_NUM_THREADS`` does not say otherwise.
        end: By the monotonic clock; none begins afterwards.

    Returns:
        What the jobs returned, by name; those that were not begun are missing.
    """
    waiting = {job.name: job for job in jobs}
    running: dict[Future[Any], Job] = {}
    returned: dict[str, Any] = {}
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    # Not forked: torch does not survive that once it has started threads, or a GPU.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        while waiting or running:
            unfinished = {*waiting, *(job.name for job in running.values())}
            ready = [job for job in waiting.values() if not unfinished.intersection(job.needs)]
            for job in ready[: workers - len(running)] if time.monotonic() < end else []:
                running[pool.submit(job.call, *job.arguments)] = waiting.pop(job.name)
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                returned[running.pop(future).name] = future.result()
    return returned
