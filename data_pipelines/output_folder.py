"""The output folder of an extraction: worked on aside, resumed after an interruption, moved into place in one step."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clin_jepa.errors import InputError
from data_pipelines.database import OutOfRoomError
from data_pipelines.plan import write_json


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse an output that exists, unless it is empty, or a trajectory store that may be replaced.

    Args:
        output: Folder that the store shall become.
        overwrite: Whether a trajectory store in its place may be replaced.

    Raises:
        InputError: If the folder must not be written.
    """
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise InputError(f"{output} is not a folder: choose another folder for --output")
    if not output.exists() or not any(output.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{output} is not empty: choose another folder or pass --overwrite true")
    if not (output / "dataset.json").is_file():
        raise InputError(f"{output} is not empty and holds no trajectory store, so it is not overwritten: choose another folder")


@contextmanager
def work_folder(output: Path, identity: dict[str, Any]) -> Iterator[tuple[Path, bool]]:
    """The folder beside ``output`` in which a store is made; its ``store`` becomes ``output`` if the block succeeds.

    An extraction that was interrupted leaves the folder, and the same extraction goes on in it; another one starts anew. Nothing is
    left behind if the block fails for a mistake in the input, or before anything was finished.

    Args:
        output: Folder that the store becomes; an earlier store there is replaced at the very end.
        identity: What makes this extraction the same as an earlier one: input files, settings, code.

    Yields:
        The folder, and whether finished work of an earlier run is in it.

    Raises:
        InputError: If the folder cannot be written, or another process is at work in it.
    """
    output = output.absolute()
    work = output.parent / f".{output.name}.partial"
    created = [folder for folder in output.parents if not folder.exists()]
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = os.open(work / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"{output.parent} cannot be written ({error.strerror}): choose another folder for --output") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another clinjepa extract is writing {output}: wait for it, or choose another --output") from error
        resumed = _same(work / "identity.json", identity)
        if not resumed:
            _clear(work)
        write_json(work / "identity.json", identity)
        (work / "store").mkdir(exist_ok=True)
        try:
            yield work, resumed and has_progress(work)
            _swap(work / "store", output, work / "replaced")
        except BaseException as error:
            shutil.rmtree(work / "spill", ignore_errors=True)
            in_vain = isinstance(error, InputError) and not isinstance(error, OutOfRoomError)
            if in_vain or not has_progress(work):
                _remove(work, created)
            raise
        _remove(work, [])
    finally:
        os.close(lock)


def has_progress(work: Path) -> bool:
    """Whether anything that took long is finished: a relation is ingested or a shard is written."""
    return any(work.glob("ingest/*/counts.json")) or any(work.glob("shards/*.json"))


def _same(file: Path, identity: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(file.read_text(encoding="utf-8")) == json.loads(json.dumps(identity)))
    except (OSError, ValueError):
        return False


def _clear(work: Path) -> None:
    for entry in work.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()


def _remove(work: Path, created: list[Path]) -> None:
    shutil.rmtree(work, ignore_errors=True)
    for folder in created:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _swap(store: Path, output: Path, replaced: Path) -> None:
    shutil.rmtree(replaced, ignore_errors=True)
    had_output = output.exists()
    if had_output:
        output.rename(replaced)
    try:
        store.rename(output)
    except BaseException:
        if had_output:
            replaced.rename(output)
        raise
