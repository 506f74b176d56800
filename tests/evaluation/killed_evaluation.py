"""An evaluation that a kill ends while it brings a file to disk, in a process of its own."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

# Forked from a process that has most of it imported.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["clin_jepa.training_cli", "clin_jepa.evaluation.report", "sklearn.linear_model", "tests.evaluation.labelled_stays"]
)


def evaluate_and_die(words: tuple[str | Path, ...], file: str) -> int:
    """Run ``clinjepa evaluate``, and kill it when a file of this name is half written.

    Args:
        words: The words behind ``clinjepa evaluate``.
        file: Name of the file.

    Returns:
        The exit code; of a killed process -9.
    """
    process = _SERVER.Process(target=_run, args=([str(word) for word in words], file))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(words: list[str], file: str) -> None:
    import torch

    from clin_jepa.cli import main
    from tests.evaluation.labelled_stays import train_little

    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())
    os.dup2(silent, sys.stderr.fileno())
    torch.set_num_threads(1)
    sync = os.fsync

    def fsync(number: int) -> None:
        path = Path(f"/proc/self/fd/{number}").readlink()
        if path.name == file:
            if path.suffix != ".bin":  # which has its size from the start
                os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        sync(number)

    os.fsync = fsync
    train_little(pytest.MonkeyPatch())
    sys.exit(main(["evaluate", *words]))
