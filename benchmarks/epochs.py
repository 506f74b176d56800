"""An epoch of phases 1 and 5: latents cached, cached for the first time, encoded anew at each step, and the plain way."""

import statistics
from typing import Any

from benchmarks.clock import seconds_between
from benchmarks.command_line_run import fit
from benchmarks.material import Material
from benchmarks.plain.training_step import PlainTraining
from benchmarks.timing import seconds, spread
from clin_jepa.callbacks import PredictorFinalization, PredictorWarmup

# Epochs with a full cache; each counts as a repeat.
_WARM = 3
# Batches of the plain way, which stand for its epoch.
_PLAIN_BATCHES = 5


def measure_epochs(material: Material) -> dict[str, Any]:
    """Seconds of one epoch each."""
    steps = -(-len(material.data.windows("train")) // material.data.batch_size)
    rows = []
    for phase in (PredictorWarmup(1), PredictorFinalization(1)):
        path = f"clin_jepa.callbacks.{type(phase).__name__}"
        folder = material.folder / f"epochs_of_phase{phase.number}"
        cached = fit(material, folder / "cached", [{"class_path": path, "init_args": {"steps": 1 + (1 + _WARM) * steps}}])
        epochs = [seconds_between(cached, 1 + epoch * steps, (1 + epoch) * steps) for epoch in range(1 + _WARM)]
        uncached = fit(
            material, folder / "uncached", [{"class_path": path, "init_args": {"steps": 1 + steps}}], model={"latent_cache": "none"}
        )
        plain, regime = PlainTraining(material.module()), phase.planned_regime()
        batches = material.batches(1 + _PLAIN_BATCHES)
        plain.step(batches[0], regime)
        plain_s = [steps * seconds(plain.step, batch, regime) for batch in batches[1:]]
        warm, without = statistics.median(epochs[1:]), seconds_between(uncached, 1, steps)
        rows.append(
            {
                "name": f"epoch of phase {phase.number}, {steps} steps",
                "ours_s": spread(epochs[1:]),
                "first_epoch_s": round(epochs[0], 2),
                "without_cache_s": round(without, 2),
                "plain_s": spread(plain_s),
                "plain_is": f"{steps} times each of {_PLAIN_BATCHES} batches",
                "ratio": round(statistics.mean(plain_s) / warm, 2),
                "ratio_to_without_cache": round(without / warm, 2),
                "ratio_to_first_epoch": round(epochs[0] / warm, 2),
            }
        )
    return {"rows": rows}
