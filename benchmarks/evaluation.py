"""Wall time of ``clinjepa evaluate``, with what an earlier one has kept or nothing; and memory of the numbers that baselines read."""

import contextlib
import io
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command_line_run import fit
from benchmarks.material import Material
from benchmarks.plain.filled_forward import whole_grid_filled_forward
from benchmarks.resident_memory import Peak, measured_apart
from benchmarks.timing import REPEATS, Comparison, seconds
from clin_jepa.evaluation.evaluate import evaluate
from clin_jepa.evaluation.numeric_grid import NumericGrid
from clin_jepa.evaluation.sequence_baselines import hourly_inputs

# Of what takes minutes.
_FEW = 2
_STAYS, _HOURS, _VARIABLES, _MEASURED, _AT_ONCE = 5_000, 80, 200, 0.1, 64


def measure_evaluation(material: Material) -> dict[str, Any]:
    """A run of a few steps, evaluated; forecasts and geometry alone, then all as ``make demo`` does it."""
    run = material.folder / "evaluated"
    fit(material, run, [{"class_path": "clin_jepa.callbacks.PredictorFinalization", "init_args": {"steps": 2}}])
    rows = [
        _row("evaluate, forecasts and geometry: latents cached, or not", run, REPEATS, tasks="none", decoders=False),
        _row("evaluate, with all tasks and baselines: latents and scores kept, or not", run, _FEW),
    ]
    filled, memory = _filled_forward()
    return {"rows": [*rows, filled], "filled_forward_peak_mb": memory}


def _row(name: str, run: Path, repeats: int, **options: Any) -> dict[str, Any]:
    def once() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            evaluate(run, **options)

    kept, anew = [], []
    for _ in range(repeats):
        for folder in ("latents", "evaluation"):
            shutil.rmtree(run / folder, ignore_errors=True)
        anew.append(seconds(once))
        kept.append(seconds(once))
    return Comparison(name, kept, anew, {}).row()


def _filled_forward() -> tuple[dict[str, Any], dict[str, float]]:
    """An epoch of the numbers of some stays, filled forward a batch at a time or all at once; each in a process of its own."""
    found = {plain: [measured_apart(_epoch, plain) for _ in range(REPEATS)] for plain in (False, True)}
    ours, theirs = ([figures["seconds"] for figures in found[plain]] for plain in (False, True))
    mine_mb, plain_mb = (statistics.median(figures["peak_mb"] for figures in found[plain]) for plain in (False, True))
    row = Comparison("numbers of 400,000 hours filled forward: a batch at a time, or all at once", ours, theirs, {}).row()
    grid_mb = round(4 * _STAYS * _HOURS * _VARIABLES / 2**20)
    return row, {"grid": grid_mb, "a batch at a time": mine_mb, "all at once": plain_mb}


def _epoch(plain: bool) -> dict[str, float]:
    random = np.random.default_rng(0)
    value_HV = np.full((_STAYS * _HOURS, _VARIABLES), np.nan, dtype=np.float32)
    for column in range(_VARIABLES):
        row_N = np.flatnonzero(random.random(len(value_HV)) < _MEASURED)
        value_HV[row_N, column] = random.normal(size=len(row_N))
    first_S, static_SC = np.arange(_STAYS + 1) * _HOURS, np.zeros((_STAYS, 2), dtype=np.float32)
    grid = NumericGrid(tuple(map(str, range(_VARIABLES))), value_HV, first_S, static_SC)
    is_train_S = np.arange(_STAYS) < 0.7 * _STAYS

    def batches() -> None:
        inputs = hourly_inputs(grid, is_train_S)
        for first in range(0, _STAYS, _AT_ONCE):
            inputs.batch([grid.stay(stay) for stay in range(first, min(first + _AT_ONCE, _STAYS))])

    with Peak() as peak:
        taken = seconds((lambda: whole_grid_filled_forward(grid, is_train_S)) if plain else batches)
    return {"seconds": taken, "peak_mb": round((peak.most - peak.before) / 2**20)}
