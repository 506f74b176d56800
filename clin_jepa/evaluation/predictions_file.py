"""``predictions.parquet``: the score of every model on every row that is measured, so that any figure can be computed again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.atomic_file import write_parquet_atomically
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError
from clin_jepa.evaluation.classification import Scored
from clin_jepa.evaluation.task_rows import TaskRows

SCHEMA = {"model": pl.String, "task": pl.String, "stay_id": pl.Int64, "hour": pl.Int32, "label": pl.Boolean, "score": pl.Float64}


def predictions(
    model: str, rows: TaskRows, taken_N: NDArray[np.bool_], score_M: NDArray[np.float64], store: TrajectoryStore
) -> pl.DataFrame:
    """One model's scores on one task.

    Args:
        model: Its name.
        rows: Of the task.
        taken_N: Which of them were scored.
        score_M: The scores, in their order.
        store: The store.

    Raises:
        InputError: If a score is not finite; the message names the model and the task.
    """
    if broken := int((~np.isfinite(score_M)).sum()):
        raise InputError(
            f"{model} gave {broken} scores that are not finite, of {len(score_M)} rows of {rows.task}: leave the task out with --tasks, "
            "or a baseline with --baselines; scores that are finished are kept"
        )
    stay_ids = store.stays["stay_id"].to_numpy()[rows.stay_N[taken_N]]
    columns = {"stay_id": stay_ids, "hour": rows.hour_N[taken_N], "label": rows.label_N[taken_N], "score": score_M}
    return pl.DataFrame(columns).select(pl.lit(model).alias("model"), pl.lit(rows.task).alias("task"), pl.all()).cast(SCHEMA)  # type: ignore[arg-type]


def write_predictions(parts: Sequence[pl.DataFrame], path: Path) -> Path:
    """Write the file in one step, sorted by model, task, stay and hour."""
    table = pl.concat([pl.DataFrame(schema=SCHEMA), *parts]).sort("model", "task", "stay_id", "hour")
    return write_parquet_atomically(table, path)


def read_predictions(path: Path) -> pl.DataFrame:
    """Read the file.

    Raises:
        InputError: If it is missing or holds something else.
    """
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} cannot be read: run 'clinjepa evaluate' again") from error
    if dict(table.schema) != SCHEMA:
        raise InputError(f"{path} has the columns {', '.join(table.columns)}, not those of predictions: run 'clinjepa evaluate' again")
    return table


def scored(table: pl.DataFrame, store: TrajectoryStore) -> Scored:
    """One model's predictions on one task, with the subjects of their stays."""
    joined = table.join(store.stays.select("stay_id", "subject_id"), on="stay_id", maintain_order="left")
    return Scored(joined["label"].to_numpy().astype(bool), joined["score"].to_numpy(), joined["subject_id"].to_numpy().astype(np.int64))
