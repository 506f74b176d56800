"""What the study keeps of each run: its figures in every bootstrap draw. No row of a patient is among them."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clin_jepa.atomic_file import replacing
from clin_jepa.evaluation.arms import Draws, aurocs
from clin_jepa.evaluation.predictions_file import read_predictions
from clin_jepa.evaluation.risk_models import BASELINES, REPORTED_PROBE

RESULTS = Path(__file__).parent / "results"

Floats = NDArray[np.float64]


def save_figures(path: Path, figures: dict[str, Floats]) -> None:
    """Write the figures of one run, ``[1 + R]`` each: the figure itself, then its value in every draw."""
    with replacing(path) as partial, partial.open("wb") as file:
        kept: dict[str, Any] = {name: value_R.astype(np.float32) for name, value_R in figures.items()}
        np.savez_compressed(file, **kept)


def read_figures(path: Path) -> dict[str, Floats]:
    """Read what `save_figures` wrote."""
    with np.load(path) as content:
        return {name: content[name].astype(np.float64) for name in content.files}


def reported_probe(run: Path, draws: Draws) -> dict[str, Floats]:
    """Mean AUROCs of the probe as published, on the latents of a run; its other figures are as with any probe."""
    table = read_predictions(run / "evaluation" / "predictions.parquet").filter(pl.col("model") == REPORTED_PROBE)
    return {f"{name}, reported probe": value_R for name, value_R in aurocs(table, draws).items() if name.startswith("mean")}


def save_baselines(path: Path, run: Path, draws: Draws) -> None:
    """Write the AUROCs of all baselines that a run was evaluated with, under ``model / figure``."""
    table = read_predictions(run / "evaluation" / "predictions.parquet").filter(pl.col("model").is_in(BASELINES))
    found = {
        f"{model} / {name}": value_R
        for (model,), part in table.group_by("model", maintain_order=True)
        for name, value_R in aurocs(part, draws).items()
    }
    save_figures(path, found)
