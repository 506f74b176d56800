"""A DuckDB session that runs this package's SQL files and tells a user's broken file from a defect of ours."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>([KMGT]i?)?B)", re.IGNORECASE)


class OutOfRoomError(InputError):
    """Memory or disk is too small for the work; what is finished is worth keeping, for the same work can go on."""


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
        # What a message calls a Parquet file that DuckDB does not name.
        self.reading = "a Parquet file of the input"
        self._connection = duckdb.connect(":memory:", config={"temp_directory": str(scratch)})
        # On, or DuckDB does not tell its progress; the bar is ours.
        self._connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        if memory_limit is not None:
            self._connection.execute(f"SET memory_limit = '{memory_limit}'")
        if threads is not None:
            self._connection.execute(f"SET threads = {threads}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._connection.close()

    def execute(self, sql: str, on_progress: Callable[[float], None] | None = None) -> list[tuple[Any, ...]]:
        """Run SQL and return its rows.

        Args:
            sql: One statement or several.
            on_progress: Called about once a second with the share of the work that is done, 0 to 1, as DuckDB estimates it.

        Raises:
            InputError: If an input file turns out damaged, the memory limit is too small for the work, or the disk is full.
        """
        try:
            with self._watched(on_progress):
                return self._connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise _explained(error, self.reading) from error
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # how DuckDB reports Ctrl-C
                raise KeyboardInterrupt from error
            raise

    def interrupt(self) -> None:
        """Stop a statement that another thread is running; it ends there with a KeyboardInterrupt. A closed session has none."""
        with suppress(duckdb.ConnectionException):
            self._connection.interrupt()

    def execute_counting(self, sql: str, on_progress: Callable[[float], None] | None = None) -> int | None:
        """Run SQL that reads one CSV file, and return how many rows that file has, without reading it twice.

        Returns:
            The number of rows, or None where DuckDB does not tell, as of Parquet, of which it may skip parts.
        """
        self._connection.enable_profiling()
        self._connection.execute("SET enable_profiling = 'no_output'")
        try:
            self.execute(sql, on_progress)
            profile = json.loads(self._connection.get_profiling_information(format="json"))
        finally:
            self._connection.disable_profiling()
        rows = [node.get("rows_scanned") for node in _nodes(profile) if node.get("extra_info", {}).get("Function") == "READ_CSV"]
        return int(rows[0]) if len(rows) == 1 and rows[0] is not None else None

    @contextmanager
    def _watched(self, on_progress: Callable[[float], None] | None) -> Iterator[None]:
        if on_progress is None:
            yield
            return
        done = threading.Event()

        def watch() -> None:
            while not done.wait(1.0):
                share = self._connection.query_progress()
                if share > 0:
                    on_progress(min(share / 100, 1.0))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def run_file(self, name: str) -> None:
        """Run one of the package's SQL files, such as ``trajectories/hours.sql``.

        Raises:
            InputError: As :meth:`execute`.
        """
        self.execute((_PACKAGE / name).read_text(encoding="utf-8"))

    def set_variable(self, name: str, value: object) -> None:
        """Give SQL files a setting, which they read with ``getvariable``."""
        if isinstance(value, bool) or value is None:
            literal = {True: "true", False: "false", None: "NULL"}[value]
        elif isinstance(value, int):
            literal = str(value)
        else:
            literal = quoted(str(value))
        self.execute(f"SET VARIABLE {name} = {literal}")


def _nodes(profile: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operator of a query profile."""
    for node in [*profile.get("operator", []), *profile.get("children", [])]:
        yield node
        yield from _nodes(node)


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


def split_memory(memory_limit: str | None, parts: int) -> str | None:
    """The share of a memory limit for each of several processes; by default 80 % of the machine together.

    >>> split_memory("4GB", 2)
    '2000000000B'
    """
    if memory_limit is None:
        total = 0.8 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    else:
        number, unit = _SIZE.fullmatch(memory_limit.strip()).group("number", "unit")  # type: ignore[union-attr]
        base = 1024 if "i" in unit.lower() else 1000
        total = float(number) * base ** (" KMGT".index(unit[0].upper()) if unit[0].upper() in "KMGT" else 0)
    return f"{int(total / parts)}B"


def _explained(error: duckdb.Error, reading: str) -> Exception:
    """The user's version of a DuckDB error where a file or a limit is to blame, else the error itself; never a cell's content."""
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return OutOfRoomError("the extraction does not fit into the memory limit: give more with --memory_limit, or fewer --threads")
    if "No space left" in text or "File too large" in text or "Could not write all bytes" in text or "failed to offload data block" in text:
        return OutOfRoomError("the disk is full: free space, or choose another --output, and run again; what is finished is kept")
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
        return InputError(f"{reading}: column {column.group(1)} holds no {wanted}: convert the column, or give the .csv.gz file")
    return error


def damage_message(file: Path) -> str:
    """What to tell a user whose file ends too early or is no file of its kind."""
    return f"{file} is truncated or damaged: download it again; its sha256 is in SHA256SUMS.txt"
