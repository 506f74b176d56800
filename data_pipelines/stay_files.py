"""Data sets that keep one small file a stay, in folders or in ``.tar.xz`` archives: read them all into one CSV file."""

import tarfile
from collections.abc import Callable, Iterator
from lzma import LZMAError
from pathlib import Path

from tqdm import tqdm

from clin_jepa.errors import InputError


def gather_stay_files(root: Path, ending: str, output: Path, rows: Callable[[str, bytes], bytes]) -> int:
    """Write the rows of every stay file below a folder into one file; an output that is there is left as it is.

    Args:
        root: A folder with stay files, or with archives of them, or one archive.
        ending: How the names of stay files end, such as ``.psv``.
        output: CSV file to write, without a header.
        rows: Makes the CSV rows of a stay from the name of its file and its content; nothing, if the file is no stay.

    Returns:
        Number of stay files; 0 where the output was there already.

    Raises:
        InputError: If no stay file is found, an archive is damaged, or a stay is there twice.
    """
    if output.is_file():
        return 0
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.partial")
    seen: set[str] = set()
    with temporary.open("wb") as stream, tqdm(desc="stay files", unit="stay") as bar:
        for origin, name, content in _stay_files(root, ending):
            if name in seen:
                raise InputError(f"{origin}: {name} is there twice, in a folder and in an archive perhaps: keep one of them")
            if text := rows(name, content):
                seen.add(name)
                stream.write(text)
                bar.update()
    if not seen:
        temporary.unlink()
        raise InputError(f"{root} holds no stay file (*{ending}, or a .tar.xz of them): give the Challenge's folder with --input")
    temporary.replace(output)
    return len(seen)


def _stay_files(root: Path, ending: str) -> Iterator[tuple[Path, str, bytes]]:
    files = [root] if root.is_file() else sorted(root.rglob("*"))
    for file in files:
        if file.name.endswith((".tar.xz", ".tar.gz", ".tar", ".tgz")):
            yield from _members(file, ending)
        elif file.name.endswith(ending) and file.is_file():
            yield file, file.name, file.read_bytes()


def _members(archive: Path, ending: str) -> Iterator[tuple[Path, str, bytes]]:
    try:
        with tarfile.open(archive, "r:*") as members:
            for member in members:
                stream = members.extractfile(member) if member.isfile() and member.name.endswith(ending) else None
                if stream is not None:
                    yield archive, Path(member.name).name, stream.read()
    except (tarfile.TarError, LZMAError, EOFError, OSError) as error:
        raise InputError(f"{archive} is truncated or damaged: download it again") from error
