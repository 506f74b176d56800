"""Write a synthetic hospital in the shape of MIMIC-IV v3.1: ``clinjepa synthesize``."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl
from tqdm import tqdm

from clin_jepa.errors import InputError
from data_pipelines.synthetic.chunks import FULL_SIZE, chunks_of
from data_pipelines.synthetic.hospital import Members
from data_pipelines.synthetic.registries import d_items, d_labitems
from data_pipelines.synthetic.staging import MADE_BY, MANIFEST, check_output, staged
from data_pipelines.synthetic.tables import COLUMNS, DICTIONARIES, header, member
from data_pipelines.synthetic.workers import MOST_BY_DEFAULT, built, cores


def synthesize(
    output: str | Path,
    stays: int | None = None,
    scale: float | None = None,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a synthetic hospital in the layout of MIMIC-IV v3.1, of any size: no row of it describes a real person.

    Args:
        output: Folder that becomes the hospital, with hosp/ and icu/; it must be new or empty.
        stays: Number of ICU stays; give this or scale.
        scale: Size as a share of MIMIC-IV v3.1, which has 94,458 ICU stays; give this or stays.
        seed: Seed; the same seed and size give the same bytes, whatever the number of workers.
        workers: Processes that work at once, each with up to 350 MB; by default one a core, at most three.
        overwrite: Whether a synthetic hospital that is already in the output folder is replaced.

    Returns:
        The folder of the hospital.

    Raises:
        InputError: If the size, the seed, the workers or the output folder does not fit; the message names it and the way out.
    """
    folder = Path(output)
    n_stays = _size(stays, scale)
    if seed < 0:
        raise InputError(f"seed {seed} is negative: use 0 or more")
    if workers is not None and workers < 1:
        raise InputError(f"workers {workers} is less than one: use 1 or more")
    check_output(folder, overwrite)
    with staged(folder) as hospital:
        chunks = chunks_of(n_stays, seed)
        members = built(chunks, workers or min(cores(), MOST_BY_DEFAULT))
        try:
            rows = _write(hospital, members, n_stays)
        except OSError as error:
            raise InputError(f"{folder} cannot be written ({error.strerror}): make room or choose another folder for --output") from error
        finally:
            members.close()
        _write_manifest(hospital, {"stays": n_stays, "seed": seed}, rows)
    return folder


def _size(stays: int | None, scale: float | None) -> int:
    if (stays is None) == (scale is None):
        given = "neither" if stays is None else "both"
        raise InputError(f"{given} of stays and scale given: pass one of them, such as --stays 1000 or --scale 0.01")
    if scale is not None:
        if not 0 < scale < float("inf"):
            raise InputError(f"scale {scale} is not a positive number: use for example 0.01 for 1 % of MIMIC-IV v3.1")
        return max(1, round(scale * FULL_SIZE))
    if stays is None or stays < 1:
        raise InputError(f"stays {stays} is less than one: use 1 or more")
    return stays


def _write(folder: Path, members: Iterator[Members], n_stays: int) -> Counter[str]:
    """Append the chunks to the tables' files as they come; returns how many rows each table has."""
    rows: Counter[str] = Counter()
    for table, frame in {"hosp/d_labitems": d_labitems(), "icu/d_items": d_items()}.items():
        _create(folder, table, frame)
        rows[table] = len(frame)
    with ExitStack() as files, tqdm(total=n_stays, desc="synthesize", unit="stay") as bar:
        opened = {table: files.enter_context(_create(folder, table).open("ab")) for table in COLUMNS if table not in DICTIONARIES}
        for chunk in members:
            for table, data in chunk.data.items():
                opened[table].write(data)
            rows.update(chunk.rows)
            bar.update(chunk.stays)
    return rows


def _create(folder: Path, table: str, frame: pl.DataFrame | None = None) -> Path:
    path = folder / f"{table}.csv.gz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(header(table) + (b"" if frame is None else member(table, frame)))
    return path


def _write_manifest(folder: Path, settings: dict[str, int], rows: Counter[str]) -> None:
    manifest = {
        "made_by": MADE_BY,
        "note": "A synthetic hospital in the layout of MIMIC-IV. No row of it describes a real person.",
        **settings,
        "rows": {table: rows[table] for table in COLUMNS},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
