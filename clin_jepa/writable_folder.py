"""A folder that is there and can be written, or an error that says what to do."""

import tempfile
from pathlib import Path

from clin_jepa.errors import InputError


def writable_folder(folder: Path, way_out: str) -> Path:
    """Make a folder where it is missing, and try that a file can be written into it.

    Args:
        folder: The folder.
        way_out: What the user can do instead, the end of the message.

    Returns:
        ``folder``.

    Raises:
        InputError: If the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be written ({error.strerror}): {way_out}") from error
    return folder
