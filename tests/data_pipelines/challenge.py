"""Hand-made stays of the PhysioNet Challenges, in folders or archives."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from data_pipelines.cinc_2019 import COLUMNS

_NAMES = COLUMNS.split("|")


def psv(*hours: Mapping[str, float]) -> str:
    """A stay of the Challenge 2019: for each hour the values that were measured; ICULOS counts the rows, from 1."""
    rows = [COLUMNS]
    for number, hour in enumerate(hours, start=1):
        values = {"ICULOS": number, "SepsisLabel": 0, "Age": 61.5, "Gender": 1, **hour}
        rows.append("|".join(str(values.get(name, "NaN")) for name in _NAMES))
    return "\n".join(rows) + "\n"


def txt(*rows: str) -> str:
    """A stay of the Challenge 2012: rows ``Time,Parameter,Value``."""
    return "\n".join(("Time,Parameter,Value", *rows)) + "\n"


def write_folder(root: Path, files: Mapping[str, str]) -> Path:
    """Files below a folder."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def write_archive(root: Path, name: str, files: Mapping[str, str]) -> Path:
    """The same files in a ``.tar.xz`` below a folder."""
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root / name, "w:xz") as archive:
        for member, text in files.items():
            about = tarfile.TarInfo(member)
            about.size = len(text.encode())
            archive.addfile(about, io.BytesIO(text.encode()))
    return root
