"""A text file that is either the old one or the new one, never half of it."""

import os
import tempfile
from pathlib import Path

from clin_jepa.errors import InputError


def write_atomically(path: Path, text: str) -> Path:
    """Write a text file aside and move it into place in one step.

    Args:
        path: The file; its folder is made where it is missing, an earlier file is replaced.
        text: The content, written as UTF-8.

    Returns:
        ``path``.

    Raises:
        InputError: If the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            # A file in a folder of its own gets the permissions that the user's umask gives; a bare temporary file is private.
            partial = Path(folder) / path.name
            with partial.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): free the place or choose another folder") from error
    return path
