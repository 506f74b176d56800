"""A folder of memory-mapped arrays: written once, opened by every process at no cost."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clin_jepa.data.tokenizer import OTHER_TOKEN_FOLDER
from clin_jepa.writable_folder import writable_folder

_ABOUT = "about.json"


class MappedFolder:
    """Arrays that are read from disk as they are needed: memory does not grow with them, and worker processes share the pages.

    Args:
        folder: A folder that `written_once` gave.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: dict[str, Any] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))

    def _map(self, name: str) -> NDArray[Any]:
        mapped: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return mapped

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """A worker process opens the files again instead of receiving their content."""
        return type(self), (self.folder,)


def written_once(folder: Path, name: str, write: Callable[[Path], None]) -> Path:
    """A folder that is written at the first call, aside and then renamed, and found afterwards.

    Args:
        folder: Where such folders are kept.
        name: Its name there.
        write: Writes the files into the folder that it is given, ``about.json`` among them.

    Returns:
        The folder.

    Raises:
        InputError: If it is not there yet and ``folder`` cannot be written.
    """
    target = folder / name
    if not (target / _ABOUT).is_file():
        writable_folder(folder, OTHER_TOKEN_FOLDER)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as private:
            # A folder within the private one gets the permissions that the user's umask gives.
            staging = Path(private) / "whole"
            staging.mkdir()
            write(staging)
            if not (target / _ABOUT).is_file():
                staging.replace(target)
    return target
