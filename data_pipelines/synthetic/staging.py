"""The output folder of a synthetic hospital: written aside, moved into place in one step, nothing left behind on failure."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clin_jepa.errors import InputError

MANIFEST = "synthetic_hospital.json"
MADE_BY = "clinjepa synthesize"


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse an output that exists, unless it is empty, or a synthetic hospital that may be replaced.

    Args:
        output: Folder that the hospital shall become.
        overwrite: Whether a synthetic hospital in its place may be replaced.

    Raises:
        InputError: If the folder must not be written.
    """
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise InputError(f"{output} is not a folder: choose another folder for --output")
    if not output.exists() or not any(output.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{output} is not empty: choose another folder or pass --overwrite true")
    if not _is_synthetic(output):
        raise InputError(f"{output} is not empty and holds no synthetic hospital, so it is not overwritten: choose another folder")


def _is_synthetic(folder: Path) -> bool:
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("made_by") == MADE_BY


@contextmanager
def staged(output: Path) -> Iterator[Path]:
    """A new folder beside ``output`` that becomes ``output`` if the block succeeds, and is gone if it does not.

    Args:
        output: Folder that the hospital becomes; an earlier one there is replaced at the very end.

    Yields:
        The new folder, empty.

    Raises:
        InputError: If the folder beside ``output`` cannot be written.
    """
    output = output.absolute()
    created = [folder for folder in output.parents if not folder.exists()]
    done = False
    staging: Path | None = None
    try:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".partial", dir=output.parent))
        except OSError as error:
            raise InputError(f"{output.parent} cannot be written ({error.strerror}): choose another folder for --output") from error
        hospital = staging / "hospital"
        hospital.mkdir()
        yield hospital
        _swap(hospital, output, staging / "replaced")
        done = True
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        if not done:
            for folder in created:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()


def _swap(hospital: Path, output: Path, replaced: Path) -> None:
    had_output = output.exists()
    if had_output:
        output.rename(replaced)
    try:
        hospital.rename(output)
    except BaseException:
        if had_output:
            replaced.rename(output)
        raise
