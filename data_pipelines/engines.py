"""Engines that run the shard jobs: in this process, in worker processes, or on a Ray cluster."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Literal

from clin_jepa.errors import InputError
from data_pipelines.database import OutOfRoomError
from data_pipelines.shard import ShardJob, run_shard

Engine = Literal["processes", "ray"]


def run_jobs(jobs: Sequence[ShardJob], engine: Engine, workers: int) -> Iterator[ShardJob]:
    """Run the jobs and yield each when it is done.

    Args:
        jobs: Shards to write, in any order.
        engine: ``processes`` or ``ray``.
        workers: Worker processes; with 1 all runs in this process. Ray takes as many as its cluster has CPUs for.

    Yields:
        Finished jobs, in the order in which they finish.

    Raises:
        InputError: If a job's input or limit does not fit, a worker was killed, or Ray is not installed.
    """
    if engine == "ray":
        yield from _run_on_ray(jobs)
    elif workers == 1 or len(jobs) < 2:
        for job in jobs:
            run_shard(job)
            yield job
    else:
        yield from _run_in_processes(jobs, workers)


def _run_in_processes(jobs: Sequence[ShardJob], workers: int) -> Iterator[ShardJob]:
    # Spawned, not forked: DuckDB and Polars have threads that a fork would leave behind.
    pool = ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn"), _start_worker, (os.getpid(),))
    try:
        pending = {pool.submit(run_shard, job): job for job in jobs}
        while pending:
            # With a timeout: Ctrl-C is not noticed by a wait without end.
            for future in wait(pending, timeout=0.5, return_when=FIRST_COMPLETED).done:
                job = pending.pop(future)
                future.result()
                yield job
    except BrokenProcessPool as error:
        raise OutOfRoomError(
            "a worker process was killed, most likely for want of memory: run again with a smaller --memory_limit or fewer --workers; "
            "finished shards are kept"
        ) from error
    finally:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            if process.is_alive() and pending:
                process.terminate()
        for process in processes:
            process.join()


def _start_worker(parent: int) -> None:
    """Leave Ctrl-C to the main process, which stops its workers, and end with that process, should it be killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _run_on_ray(jobs: Sequence[ShardJob]) -> Iterator[ShardJob]:
    try:
        import ray
    except ImportError as error:
        raise InputError("engine ray needs Ray: pip install 'clin-jepa[ray]', or use --engine processes") from error
    started = not ray.is_initialized()
    if started:
        ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    try:
        remote: Callable[..., object] = ray.remote(num_cpus=jobs[0].plan.threads or 1)(run_shard).remote if jobs else run_shard
        pending = {remote(job): job for job in jobs}
        while pending:
            done, _ = ray.wait(list(pending), num_returns=1)
            for reference in done:
                try:
                    ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise (error.cause if isinstance(error.cause, InputError) else error) from error
                yield pending.pop(reference)
    finally:
        if started:
            ray.shutdown()
