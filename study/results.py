"""What the study keeps of each run: its figures in every bootstrap draw, its design and its commit. No row of a patient is among them."""

import json
from collections.abc import Mapping
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
_ABOUT = "about"


def save_figures(path: Path, figures: Mapping[str, Floats], about: Mapping[str, str]) -> None:
    """Write the figures of one run.

    Args:
        path: The file.
        figures: By name, ``[1 + R]``: the figure itself, then its value in every draw.
        about: Design and commit that they were made with.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        kept: dict[str, Any] = {name: value_R.astype(np.float32) for name, value_R in figures.items()}
        kept[_ABOUT] = np.array(json.dumps(dict(about)))
        np.savez_compressed(file, **kept)


def read_figures(path: Path) -> dict[str, Floats]:
    """Read the figures that `save_figures` wrote."""
    with np.load(path) as content:
        return {name: content[name].astype(np.float64) for name in content.files if name != _ABOUT}


def read_about(path: Path) -> dict[str, str]:
    """Read the design and the commit of figures; empty where there is no such file, or where it names none."""
    if not path.is_file():
        return {}
    with np.load(path) as content:
        return dict(json.loads(str(content[_ABOUT]))) if _ABOUT in content.files else {}


def reported_probe(run: Path, draws: Draws) -> dict[str, Floats]:
    """Mean AUROCs of the probe as published, on the latents of a run; its other figures are as with any probe."""
    table = read_predictions(run / "evaluation" / "predictions.parquet").filter(pl.col("model") == REPORTED_PROBE)
    return {f"{name}, reported probe": value_R for name, value_R in aurocs(table, draws).items() if name.startswith("mean")}


def save_baselines(path: Path, run: Path, draws: Draws, about: Mapping[str, str]) -> None:
    """Write the AUROCs of all baselines that a run was evaluated with, under ``model / figure``."""
    table = read_predictions(run / "evaluation" / "predictions.parquet").filter(pl.col("model").is_in(BASELINES))
    found = {
        f"{model} / {name}": value_R
        for (model,), part in table.group_by("model", maintain_order=True)
        for name, value_R in aurocs(part, draws).items()
    }
    save_figures(path, found, about)
