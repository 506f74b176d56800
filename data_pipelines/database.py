"""A DuckDB session that runs this package's SQL files and tells a user's broken file from a defect of ours."""

import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from clin_jepa.errors import InputError

_PACKAGE = Path(__file__).parent
_TYPES = {"TIMESTAMP": "date and time", "BIGINT": "whole number", "INT64": "whole number", "DOUBLE": "number", "FLOAT": "number"}
_DAMAGED = re.compile(
    r"GZIP stream: (\S.*)|No magic bytes found at end of file '(.+?)'|File '(.+?)' too small|Failed to read file \"(.+?)\":", re.MULTILINE
)
_SIZE = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?)?B", re.IGNORECASE)


class Database:
    """An in-memory DuckDB database with bounded memory that spills to one folder only.

    Args:
        scratch: Folder for what does not fit in memory.
        memory_limit: Most memory DuckDB may take, such as ``4GB``; its default where None.
        threads: Most threads DuckDB may use; its default where None.

    Raises:
        InputError: If the memory limit or the number of threads is none that DuckDB knows.
    """

    def __init__(self, scratch: Path, memory_limit: str | None = None, threads: int | None = None) -> None:
        check_limits(memory_limit, threads)
        self._connection = duckdb.connect(":memory:", config={"temp_directory": str(scratch)})
        self._connection.execute("SET enable_progress_bar = false")
        if memory_limit is not None:
            self._connection.execute(f"SET memory_limit = '{memory_limit}'")
        if threads is not None:
            self._connection.execute(f"SET threads = {threads}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._connection.close()

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL and return its rows.

        Raises:
            InputError: If an input file turns out damaged, or the memory limit is too small for the work.
        """
        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise _explained(error) from error
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # how DuckDB reports Ctrl-C
                raise KeyboardInterrupt from error
            raise

    def run_file(self, name: str) -> None:
        """Run one of the package's SQL files, such as ``trajectories/hours.sql``.

        Raises:
            InputError: As :meth:`execute`.
        """
        self.execute((_PACKAGE / name).read_text(encoding="utf-8"))

    def set_variable(self, name: str, value: str | int | Path) -> None:
        """Give SQL files a setting, which they read with ``getvariable``."""
        self.execute(f"SET VARIABLE {name} = {quoted(str(value))}")


def quoted(text: str) -> str:
    """A string as a SQL literal.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def check_limits(memory_limit: str | None, threads: int | None) -> None:
    """Refuse limits that DuckDB would not understand, before any work starts.

    Raises:
        InputError: If the memory limit is no size or the number of threads is not positive.
    """
    if memory_limit is not None and not _SIZE.fullmatch(memory_limit.strip()):
        raise InputError(f"memory_limit {memory_limit!r} is no size: write a number and a unit, such as --memory_limit 4GB")
    if threads is not None and threads < 1:
        raise InputError(f"threads {threads} is not possible: give a positive number, such as --threads 2")


def _explained(error: duckdb.Error) -> Exception:
    """The user's version of a DuckDB error where a file or a limit is to blame, else the error itself; never a cell's content."""
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return InputError("the extraction does not fit into the memory limit: give more with --memory_limit, or fewer --threads")
    if damaged := _DAMAGED.search(text):
        return InputError(damage_message(Path(next(filter(None, damaged.groups())))))
    converted = re.search(r"being converted as type (\w+)", text) or re.search(r"to (\w+) when casting", text)
    wanted = _TYPES.get(converted.group(1), "value of the expected type") if converted else ""
    file = re.search(r"^  file = (.+)$", text, re.MULTILINE)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if file and line:
        column = re.search(r'^Error when converting column "([^"]+)"', text, re.MULTILINE)
        what = f"column {column.group(1)} holds no {wanted}" if column else "the row does not have the columns of the header"
        return InputError(f"{file.group(1)}, line {line.group(1)}: {what}: correct the row, or download the file again")
    if column := re.search(r"when casting from source column (\w+)", text):
        return InputError(
            f"a Parquet file of the input: column {column.group(1)} holds no {wanted}: convert the column, or give the .csv.gz file"
        )
    return error


def damage_message(file: Path) -> str:
    """What to tell a user whose file ends too early or is no file of its kind."""
    return f"{file} is truncated or damaged: download it again; its sha256 is in SHA256SUMS.txt"
