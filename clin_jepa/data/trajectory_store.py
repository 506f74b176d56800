"""Reader of a trajectory store: the folder of Parquet files that `clinjepa extract` writes.

Layout of a store (schema 1); each file is sorted by stay and hour, and no table holds a calendar time:

- ``dataset.json``: schema version, source, time policy, row counts of each stage, hash of the extraction settings.
- ``stays.parquet``: a row a stay - ``stay_id``, ``subject_id``, ``split`` (train, tuning, held_out), ``n_hours``, ``age``,
  ``sex``, ``race``, ``static_text``, ``hospital_death``, ``icu_death``, ``los_hours``, ``death_hour``, ``sepsis3``,
  ``sepsis3_onset_hour``; an outcome that the data set does not tell is null.
- ``hours/*.parquet``: a row an hour - ``stay_id``, ``hour``, ``state_text``, ``action_text``, ``n_observations``, ``n_actions``.
- ``values/*.parquet``: a row a variable in an hour - ``stay_id``, ``hour``, ``variable``, ``mean``, ``last``, ``min``, ``max``, ``n``.
- ``labels/*.parquet``: a row a label - ``task``, ``stay_id``, ``hour`` (the last hour that a model may see), ``label``.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.errors import InputError

SCHEMA_VERSION = 1
SPLITS = ("train", "tuning", "held_out")

# What an action text says of an hour without treatment.
NO_ACTION_SENTENCE = "no interventions recorded"

_STAY_COLUMNS = ("stay_id", "subject_id", "split", "n_hours", "static_text")
_HOUR_COLUMNS = ("stay_id", "hour", "state_text", "action_text")
_VALUE_COLUMNS = ("stay_id", "hour", "variable", "mean", "last", "min", "max", "n")


class TrajectoryStore:
    """A trajectory store on disk, opened for reading.

    Args:
        path: The folder that ``clinjepa extract --output`` named.

    Raises:
        InputError: If the folder is no store, or one of another schema version, or lacks a column.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.dataset = self._read_dataset()

    def _read_dataset(self) -> dict[str, Any]:
        file = self.path / "dataset.json"
        if not file.is_file():
            raise InputError(
                f"{self.path} is not a trajectory store (no dataset.json in it): make one with "
                f"'clinjepa extract --source mimic_iv|meds --input DIR --output {self.path}', or give another folder with --data.store"
            )
        try:
            dataset: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{file} is not valid JSON ({error}): extract the store again") from error
        found = dataset.get("schema_version")
        if found != SCHEMA_VERSION:
            raise InputError(
                f"{file}: the store has schema version {found!r}, this clinjepa reads version {SCHEMA_VERSION}: "
                "extract the store again with this version"
            )
        if "content_hash" not in dataset:
            raise InputError(f"{file} lacks the key content_hash: extract the store again with this version")
        return dataset

    @property
    def fingerprint(self) -> str:
        """Identity of the store's content: the hash that extraction put into ``dataset.json``."""
        return str(self.dataset["content_hash"])

    @cached_property
    def stays(self) -> pl.DataFrame:
        """One row a stay, sorted by ``stay_id``.

        Raises:
            InputError: If the file is missing, unreadable, lacks a column or has no row.
        """
        stays = self._read(self.path / "stays.parquet", _STAY_COLUMNS)
        if stays.is_empty():
            raise InputError(f"{self.path / 'stays.parquet'} has no row: the cohort of this store is empty")
        return stays.sort("stay_id")

    @cached_property
    def first_row_S(self) -> NDArray[np.int64]:
        """Where each stay's hours begin among the hours of all stays, in the order of `stays`, and how many there are, ``[S + 1]``."""
        return np.concatenate([[0], np.cumsum(self.stays["n_hours"].to_numpy().astype(np.int64))])

    def scan_hours(self) -> pl.LazyFrame:
        """The hourly texts of all stays, lazily; each file holds whole stays, sorted by ``stay_id`` and ``hour``.

        Raises:
            InputError: If no file is there or a column is missing.
        """
        return pl.scan_parquet(self._files("hours", _HOUR_COLUMNS))

    def hours_by_file(self) -> list[pl.LazyFrame]:
        """The same a file at a time, for what would not fit into memory at once."""
        return [pl.scan_parquet(file) for file in self._files("hours", _HOUR_COLUMNS)]

    def scan_values(self) -> pl.LazyFrame:
        """The numeric grid of all stays, lazily, in long form.

        Raises:
            InputError: If no file is there or a column is missing.
        """
        return pl.scan_parquet(self._files("values", _VALUE_COLUMNS))

    def values_by_file(self) -> list[pl.LazyFrame]:
        """The same a file at a time; each holds whole stays."""
        return [pl.scan_parquet(file) for file in self._files("values", _VALUE_COLUMNS)]

    def scan_labels(self) -> pl.LazyFrame:
        """The labels of all tasks that the data set can tell, lazily.

        Raises:
            InputError: If no file is there or a column is missing.
        """
        return pl.scan_parquet(self._files("labels", ("task", "stay_id", "hour", "label")))

    def placed(self, folder: str, table: pl.LazyFrame) -> pl.DataFrame:
        """A table with the column ``row``: which of the hours of all stays each of its rows is of.

        Args:
            folder: That the table comes from, such as ``values``.
            table: With ``stay_id`` and ``hour``; rows of stays that the store does not have are left out.

        Raises:
            InputError: If a row is of an hour that its stay does not have.
        """
        stays = self.stays.lazy().select("stay_id").with_row_index("stay")
        found = table.join(stays, on="stay_id").collect()
        stay_N, hour_N = (found[name].to_numpy().astype(np.int64) for name in ("stay", "hour"))
        self.check_hours(folder, stay_N, hour_N)
        return found.drop("stay").with_columns(pl.Series("row", self.first_row_S[stay_N] + hour_N))

    def check_hours(self, folder: str, stay_N: NDArray[np.int64], hour_N: NDArray[np.int64]) -> None:
        """Refuse rows of hours that their stays do not have: they would count as those of the next stay.

        Args:
            folder: Of the table, such as ``values``.
            stay_N: Row of each one's stay in the table of stays.
            hour_N: Its hour.

        Raises:
            InputError: If there is one.
        """
        outside_N = (hour_N < 0) | (hour_N >= self.stays["n_hours"].to_numpy()[stay_N])
        if outside_N.any():
            raise InputError(
                f"{self.path / folder}: {int(outside_N.sum())} rows are of hours that their stays do not have (hour {hour_N[outside_N][0]} "
                "is the first): the store is damaged, extract it again"
            )

    def _files(self, folder: str, columns: tuple[str, ...]) -> list[Path]:
        files = sorted((self.path / folder).glob("*.parquet"))
        if not files:
            raise InputError(f"{self.path / folder} holds no Parquet file: the store is incomplete, extract it again")
        for file in files:
            self._check_columns(file, columns)
        return files

    def _read(self, file: Path, columns: tuple[str, ...]) -> pl.DataFrame:
        if not file.is_file():
            raise InputError(f"{file} is missing: the store is incomplete, extract it again")
        self._check_columns(file, columns)
        return pl.read_parquet(file)

    @staticmethod
    def _check_columns(file: Path, columns: tuple[str, ...]) -> None:
        try:
            found = pl.read_parquet_schema(file)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{file} cannot be read as Parquet: the store is damaged, extract it again") from error
        missing = [column for column in columns if column not in found]
        if missing:
            raise InputError(f"{file} lacks the column(s) {', '.join(missing)}: extract the store again with this version")
