"""Jobs that need one another, several at once, each in a process of its own."""

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
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
    """Call each job as soon as those that it needs have ended and fewer than so many run; of several the one listed first.

    A job whose process is killed, for want of memory, say, ends itself alone.

    Args:
        jobs: Each after those that it needs.
        workers: Processes at once. They share the processor's cores between them, where ``OMP_NUM_THREADS`` does not say otherwise.
        end: By the monotonic clock; none begins afterwards.

    Returns:
        What the jobs returned, by name; False of one that was killed. Those that were not begun are missing.

    Raises:
        BaseException: What a job raised; the others are ended then.
    """
    waiting = {job.name: job for job in jobs}
    running: dict[Connection, tuple[Job, BaseProcess]] = {}
    returned: dict[str, Any] = {}
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    try:
        while True:
            unfinished = {*waiting, *(job.name for job, _ in running.values())}
            ready = [job for job in waiting.values() if not unfinished.intersection(job.needs)]
            for job in ready[: workers - len(running)] if time.monotonic() < end else []:
                connection, process = _begun(waiting.pop(job.name))
                running[connection] = job, process
            if not running:
                return returned
            ended = wait(list(running))
            for connection in [each for each in running if each in ended]:
                job, process = running.pop(connection)
                returned[job.name] = _ended(job, process, connection)
    finally:
        for _, process in running.values():
            process.terminate()


def _begun(job: Job) -> tuple[Connection, BaseProcess]:
    """The process of a job, and where its result comes from."""
    # Not forked: torch does not survive that once it has started threads, or a GPU.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(job, theirs))
    process.start()
    theirs.close()  # so that ours ends with the process
    return ours, process


def _call(job: Job, connection: Connection) -> None:
    value: Any = None
    raised: BaseException | None = None
    try:
        value = job.call(*job.arguments)
    except BaseException as error:
        raised = error
    connection.send((value, raised))


def _ended(job: Job, process: BaseProcess, connection: Connection) -> Any:
    try:
        value, error = connection.recv()
    except EOFError:  # it died before it could send anything
        process.join()
        print(f"{job.name}: its process was killed (exit code {process.exitcode})", flush=True)
        return False
    process.join()
    if error is not None:
        raise error
    return value
