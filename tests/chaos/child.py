"""A command line in a process of its own, started in a moment: forked from a process that has everything imported and no thread."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["clin_jepa.training_cli"])


def run_in_child(*words: str | Path, env: Mapping[str, str] | None = None, output: Path | None = None) -> int:
    """Run a command line of ``clinjepa`` in a process of its own.

    Args:
        words: The words behind ``clinjepa``.
        env: Environment variables on top of this process's.
        output: File that takes what the process prints; by default nobody does.

    Returns:
        Its exit code; of a process that a signal killed, the signal's number as a negative one.
    """
    process = _SERVER.Process(target=_run, args=([str(word) for word in words], dict(env or {}), str(output or os.devnull)))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(words: list[str], env: dict[str, str], output: str) -> None:
    import torch

    from clin_jepa.cli import main

    number = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(number, sys.stdout.fileno())
    os.dup2(number, sys.stderr.fileno())
    os.environ.update(env)
    torch.set_num_threads(1)
    sys.exit(main(words))
