"""The output folder of an extraction: written aside, moved into place in one step, nothing left behind on failure."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clin_jepa.errors import InputError


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
def staged(output: Path) -> Iterator[Path]:
    """A temporary folder beside ``output``; what lies in its ``store`` becomes ``output`` if the block succeeds.

    Args:
        output: Folder that the store becomes; an earlier store there is replaced at the very end.

    Yields:
        The temporary folder, with an empty ``store`` in it.

    Raises:
        InputError: If the folder beside ``output`` cannot be written.
    """
    output = output.absolute()
    created = [folder for folder in output.parents if not folder.exists()]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".partial", dir=output.parent))
    except OSError as error:
        raise InputError(f"{output.parent} cannot be written ({error.strerror}): choose another folder for --output") from error
    done = False
    try:
        (staging / "store").mkdir()
        yield staging
        _swap(staging / "store", output, staging / "replaced")
        done = True
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not done:
            for folder in created:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()


def _swap(store: Path, output: Path, replaced: Path) -> None:
    had_output = output.exists()
    if had_output:
        output.rename(replaced)
    try:
        store.rename(output)
    except BaseException:
        if had_output:
            replaced.rename(output)
        raise
