"""Wall time of ``clinjepa evaluate``, with its latents encoded for the first time and from the cache."""

import contextlib
import io
import shutil
from typing import Any

from benchmarks.command_line_run import fit
from benchmarks.material import Material
from benchmarks.timing import seconds, spread
from clin_jepa.evaluation.evaluate import evaluate

_REPEATS = 5


def measure_evaluation(material: Material) -> dict[str, Any]:
    """A run of a few steps, evaluated as ``make demo`` does it."""
    run = material.folder / "evaluated"
    fit(material, run, [{"class_path": "clin_jepa.callbacks.PredictorFinalization", "init_args": {"steps": 2}}])

    def once() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            evaluate(run)

    once()
    warm, cold = [], []
    for _ in range(_REPEATS):
        warm.append(seconds(once))
        shutil.rmtree(run / "latents")
        cold.append(seconds(once))
    row = {"name": "evaluate, latents cached; not cached", "ours_s": spread(warm), "plain_s": spread(cold)}
    row["ratio"] = round(sorted(theirs / mine for mine, theirs in zip(warm, cold, strict=True))[_REPEATS // 2], 2)
    return {"rows": [row]}
