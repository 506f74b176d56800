"""The rows of a task: which stays are asked at which hour, with the label, the same for every model."""

# Shapes: N rows.

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.data.datamodule import Split
from clin_jepa.data.trajectory_store import TrajectoryStore
from data_pipelines.labels import BINARY_TASKS, TASKS

# Fewer rows of a class than this in a split, and nothing is fitted or measured.
FEWEST_OF_A_CLASS = 2


@dataclass(frozen=True)
class TaskRows:
    """Rows of one task, ordered by stay and hour.

    Args:
        task: Its name.
        stay_N: Row of each stay in the store's table of stays, ``[N]`` int64.
        hour_N: Last hour that a model may see, ``[N]`` int64.
        label_N: Whether the event happens, ``[N]`` bool.
        subject_N: Subject of each stay, ``[N]`` int64.
        split_N: Split of each stay, ``[N]`` str.
    """

    task: str
    stay_N: NDArray[np.int64]
    hour_N: NDArray[np.int64]
    label_N: NDArray[np.bool_]
    subject_N: NDArray[np.int64]
    split_N: NDArray[np.str_]

    @property
    def is_of_stays(self) -> bool:
        """Whether a stay is asked once, from its first hours, and not at every hour."""
        return self.task in BINARY_TASKS

    def __len__(self) -> int:
        return len(self.stay_N)

    def taken(self, which: NDArray[np.bool_] | slice) -> "TaskRows":
        """Some of the rows, in their order."""
        named = ("stay_N", "hour_N", "label_N", "subject_N", "split_N")
        return replace(self, **{name: getattr(self, name)[which] for name in named})

    def for_fitting(self, most: int, seed: int) -> NDArray[np.bool_]:
        """Rows that a model is fitted on, ``[N]`` bool: of the training split so many at most, of the tuning split a quarter of that.

        Both classes are among them.

        Args:
            most: Training rows at most; drawn at random where there are more.
            seed: Of the draw.
        """
        is_taken_N = np.zeros(len(self), dtype=bool)
        for split, count in (("train", most), ("tuning", -(-most // 4))):
            row_M = np.flatnonzero(self.split_N == split)
            is_taken_N[row_M[drawn_rows(self.label_N[row_M], count, np.random.default_rng(seed))]] = True
        return is_taken_N

    def of_split(self, split: Split) -> NDArray[np.bool_]:
        """Which rows are of a split, ``[N]`` bool."""
        is_of_split: NDArray[np.bool_] = self.split_N == split
        return is_of_split


def drawn_rows(label_N: NDArray[np.bool_], most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """So many rows at most, drawn at random; where a class is rarer than that, a few of it come on top.

    Args:
        label_N: Whether the event happens, ``[N]`` bool.
        most: How many.
        random: Draws them.

    Returns:
        Their positions, ``[M]`` int64.

    >>> label_N = np.arange(1000) == 7
    >>> int(label_N[drawn_rows(label_N, 5, np.random.default_rng(0))].sum())
    1
    """
    order_N = random.permutation(len(label_N))
    taken = [order_N[:most]]
    for label in (False, True):
        lacking = FEWEST_OF_A_CLASS - int((label_N[order_N[:most]] == label).sum())
        rest_M = order_N[most:]
        taken.append(rest_M[label_N[rest_M] == label][: max(lacking, 0)])
    return np.concatenate(taken)


def task_rows(store: TrajectoryStore, task: str) -> TaskRows:
    """All rows of a task, of every split.

    Args:
        store: The store; its labels were made by ``data_pipelines/tasks``.
        task: One of `TASKS`.

    Raises:
        ValueError: If there is no such task.
        InputError: If a label is of an hour that its stay does not have.
    """
    if task not in TASKS:
        raise ValueError(f"no such task: {task!r}; there are {', '.join(TASKS)}")
    stays = store.stays.select("stay_id", "subject_id", "split").with_row_index("stay")
    rows = (
        store.scan_labels()
        .filter((pl.col("task") == task) & pl.col("label").is_not_null())
        .join(stays.lazy(), on="stay_id")
        .sort("stay", "hour")
        .collect()
    )
    stay_N, hour_N = (rows[name].to_numpy().astype(np.int64) for name in ("stay", "hour"))
    store.check_hours("labels", stay_N, hour_N)
    return TaskRows(
        task,
        stay_N,
        hour_N,
        rows["label"].to_numpy().astype(bool),
        rows["subject_id"].to_numpy().astype(np.int64),
        rows["split"].to_numpy().astype(str),
    )


def why_not(rows: TaskRows, store: TrajectoryStore) -> str | None:
    """Why a task cannot be asked of a store, in a sentence; None where it can.

    Args:
        rows: Of the task.
        store: The store.
    """
    said = store.dataset.get("tasks", {}).get(rows.task, "available")
    if said != "available":
        return str(said)
    for split in get_args(Split):
        label_M = rows.label_N[rows.of_split(split)]
        events = int(label_M.sum())
        if min(events, len(label_M) - events) < FEWEST_OF_A_CLASS:
            return (
                f"{events} of {len(label_M)} rows of the split {split} are events: at least {FEWEST_OF_A_CLASS} of either kind are needed"
            )
    return None
