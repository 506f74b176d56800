"""Find the input tables of an extraction, check that they fit, and lay typed DuckDB views over them."""

import csv
import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clin_jepa.errors import InputError
from data_pipelines.database import Database, damage_message, quoted

_ENDINGS = (".parquet", ".csv", ".csv.gz")  # the first that exists is read


@dataclass(frozen=True)
class Table:
    """A table that extraction reads.

    Attributes:
        name: File name without its ending, with its folder: ``icu/chartevents``.
        columns: The columns that are read, with their DuckDB type; a file may have more.
    """

    name: str
    columns: Mapping[str, str]

    @property
    def view(self) -> str:
        """Name of the view that SQL files read."""
        return self.name.rpartition("/")[2]


def create_view(database: Database, root: Path, table: Table) -> None:
    """Lay a typed view over a table of a folder, stored as ``.parquet``, ``.csv`` or ``.csv.gz``.

    Args:
        database: Session that gets the view.
        root: Folder that the user gave.
        table: The table to find below it.

    Raises:
        InputError: If the table or a column is missing, or the file is damaged.
    """
    file = _find(root, table)
    found = _header(file) if file.name.endswith((".csv", ".csv.gz")) else parquet_columns(database, file)
    missing = [column for column in table.columns if column not in found]
    if missing:
        raise InputError(
            f"{file} lacks the column(s) {', '.join(missing)} (found: {', '.join(found)}): "
            "give the table as MIMIC-IV v2.2 or later publishes it"
        )
    if file.suffix == ".parquet":
        relation = f"read_parquet({quoted(str(file))})"
    else:
        types = ", ".join(f"{quoted(column)}: {quoted(table.columns.get(column, 'VARCHAR'))}" for column in found)
        relation = (
            f"read_csv({quoted(str(file))}, header = true, delim = ',', quote = '\"', escape = '\"', auto_detect = false, nullstr = '', "
            f"columns = {{{types}}})"
        )
    select = ", ".join(f"CAST({column} AS {kind}) AS {column}" for column, kind in table.columns.items())
    database.execute(f"CREATE VIEW {table.view} AS SELECT {select} FROM {relation}")


def create_empty_view(database: Database, table: Table) -> None:
    """Lay a view without rows in the place of a table that the input does not have."""
    select = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in table.columns.items())
    database.execute(f"CREATE VIEW {table.view} AS SELECT {select} WHERE false")


def is_there(root: Path, table: Table) -> bool:
    """Whether the input has the table, with any of the endings."""
    return any((root / (table.name + ending)).is_file() for ending in _ENDINGS)


def parquet_columns(database: Database, file: Path) -> list[str]:
    """Column names of a Parquet file, in lower case.

    Raises:
        InputError: If the file is no readable Parquet.
    """
    return [str(row[0]).lower() for row in database.execute(f"DESCRIBE SELECT * FROM read_parquet({quoted(str(file))})")]


def _find(root: Path, table: Table) -> Path:
    for ending in _ENDINGS:
        file = root / (table.name + ending)
        if file.is_file():
            return file
    raise InputError(
        f"{root / table.name} is missing (looked for {', '.join(_ENDINGS)}): "
        "give with --input the folder that holds MIMIC-IV's hosp/ and icu/"
    )


def _header(file: Path) -> list[str]:
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rb") as stream:
            first = stream.readline().decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(damage_message(file)) from error
    names = [name.strip().lower() for name in next(csv.reader(io.StringIO(first)), [])]
    if not names:
        raise InputError(f"{file} is empty: download it again; its sha256 is in SHA256SUMS.txt")
    return names
