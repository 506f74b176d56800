"""Chunks made by several processes at once, handed on in their order, with only a few of them waiting in memory."""

import os
import signal
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from clin_jepa.errors import InputError
from data_pipelines.synthetic.chunks import Chunk
from data_pipelines.synthetic.hospital import Members, build

MOST_BY_DEFAULT = 3
"""A worker takes up to 350 MB; more of them are started only where asked for."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def built(chunks: list[Chunk], workers: int) -> Generator[Members, None, None]:
    """Make chunks and yield them in order.

    Args:
        chunks: What to make.
        workers: Processes to make them; with one, this process makes them.

    Raises:
        InputError: If a process ends unexpectedly, most often for lack of memory.
    """
    if workers == 1 or len(chunks) == 1:
        yield from map(build, chunks)
        return
    waiting: deque[Future[Members]] = deque()
    # Spawned, for Polars' threads do not survive a fork; Ctrl-C is the business of this process, which then drops the work.
    pool = ProcessPoolExecutor(min(workers, len(chunks)), mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        with _one_thread_each():
            for chunk in chunks:
                waiting.append(pool.submit(build, chunk))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise InputError(f"one of {workers} workers ended unexpectedly, perhaps for lack of memory: pass fewer with --workers") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile use one Polars thread each: the work is shared out by processes already."""
    before = os.environ.get("POLARS_MAX_THREADS")
    os.environ["POLARS_MAX_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["POLARS_MAX_THREADS"]
        else:
            os.environ["POLARS_MAX_THREADS"] = before
