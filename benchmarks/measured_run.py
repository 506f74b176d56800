"""Run a command and measure it: wall and CPU seconds, and the peak memory of it and all its children together."""

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

_EVERY_SECONDS = 0.1


@dataclass(frozen=True)
class Measured:
    """What a command cost.

    Attributes:
        wall_s: Seconds from start to end.
        cpu_s: Seconds of processor time, user and system, of all its processes.
        peak_gb: Most resident memory of all its processes at one moment, in 10^9 bytes.
    """

    wall_s: float
    cpu_s: float
    peak_gb: float


def measure(command: Sequence[str]) -> Measured:
    """Run a command to its end.

    Raises:
        RuntimeError: If it fails; its last lines are in the message.
    """
    began = time.monotonic()
    before = psutil.Process().cpu_times()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak, done), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    wall = time.monotonic() - began
    done.set()
    watcher.join()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output[-2000:]}")
    after = psutil.Process().cpu_times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(wall, cpu, peak[0] / 1e9)


def _watch(process: psutil.Process, peak: list[int], done: threading.Event) -> None:
    while not done.wait(_EVERY_SECONDS):
        total = 0
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for member in family:
            try:
                total += member.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peak[0] = max(peak[0], total)
