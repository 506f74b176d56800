"""What Lightning's trainer with all of our callbacks costs, against a bare loop over the same batches and the same model."""

from typing import Any

from benchmarks.clock import seconds_between
from benchmarks.command_line_run import fit
from benchmarks.material import Material
from benchmarks.timing import seconds, spread
from benchmarks.training_steps import BareTraining
from clin_jepa.callbacks import JointRefinement

_STEPS = 12
_REPEATS = 5


def measure_trainer_overhead(material: Material) -> dict[str, Any]:
    """Joint refinement, in turn; a share of 0.02 means that the trainer takes 2 % longer."""
    regime = JointRefinement(1).planned_regime()
    batches = material.batches(1 + _STEPS)
    phase = {"class_path": "clin_jepa.callbacks.JointRefinement", "init_args": {"steps": 1 + _STEPS}}
    with_trainer, bare = [], []
    for _ in range(_REPEATS):
        times = fit(material, material.folder / "overhead", [phase])
        with_trainer.append(seconds_between(times, 1, _STEPS) / _STEPS)
        loop = BareTraining(material.module())
        loop.step(batches[0], regime)
        bare.append(seconds(lambda loop=loop: [loop.step(batch, regime) for batch in batches[1:]]) / _STEPS)
    shares = [mine / theirs - 1 for mine, theirs in zip(with_trainer, bare, strict=True)]
    row = {"name": "step of phase 2 in the trainer", "ours_s": spread(with_trainer), "plain_s": spread(bare)}
    row["ratio"] = round(sorted(theirs / mine for mine, theirs in zip(with_trainer, bare, strict=True))[_REPEATS // 2], 3)
    return {"rows": [row], "overhead_share": spread(shares)}
