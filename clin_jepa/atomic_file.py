"""A file that is either the old one or the new one, never half of it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from clin_jepa.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write a file that then takes another's place in one step; nothing is moved where the block fails.

    Args:
        path: The file; its folder is made where it is missing, an earlier file is replaced.

    Yields:
        A path to write to.

    Raises:
        InputError: If the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            # A file in a folder of its own gets the permissions that the user's umask gives; a bare temporary file is private.
            partial = Path(folder) / path.name
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): free the place or choose another folder") from error


def write_atomically(path: Path, text: str) -> Path:
    """Write a text file, as UTF-8, aside and move it into place in one step; otherwise as `replacing`.

    Returns:
        ``path``.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return path


def write_parquet_atomically(table: pl.DataFrame, path: Path) -> Path:
    """Write a table aside and move it into place in one step; otherwise as `replacing`.

    Returns:
        ``path``.
    """
    with replacing(path) as partial:
        table.write_parquet(partial)
    return path
