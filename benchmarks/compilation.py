"""What ``torch.compile`` would buy, and how much of a step is matrix products, which neither compiling nor caching makes faster."""

from functools import partial
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.material import Material
from benchmarks.timing import compare
from benchmarks.training_steps import BareTraining, cache_of
from clin_jepa.batch import TrajectoryBatch
from clin_jepa.callbacks import JointRefinement, PredictorWarmup
from clin_jepa.regime import Regime

_WINDOWS = 4
_MATRIX_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")
_PROFILED_STEPS = 5


def measure_compilation(material: Material) -> dict[str, Any]:
    """Steps as they are (``plain``) and with compiled blocks (``ours``), after what compiling takes."""
    batch = material.batches(1, batch_size=_WINDOWS)[0]
    rows, shares = [], {}
    for phase in (PredictorWarmup(1), JointRefinement(1)):
        regime = phase.planned_regime()
        eager, compiled = (_training(material, regime, compiled) for compiled in (False, True))
        label = f"step of phase {phase.number}{'' if regime.train_encoder else ', latents cached'}: blocks compiled, or as they are"
        rows.append(compare(label, partial(compiled.step, batch, regime), partial(eager.step, batch, regime)).row())
        shares[f"phase {phase.number}"] = _share_of_matrix_products(eager, batch, regime)
    return {"rows": rows, "share_of_matrix_products": shares}


def _training(material: Material, regime: Regime, compiled: bool) -> BareTraining:
    module = material.module()
    if compiled:
        for block in module.predictor.blocks:
            block.compile()
        for layer in module.encoder.causal_lm.get_decoder().layers:
            # Around attention, whose packed layout changes from batch to batch.
            for part in (layer.mlp, layer.input_layernorm, layer.post_attention_layernorm):
                part.compile(dynamic=True)
    return BareTraining(module, None if regime.train_encoder else cache_of(material, module))


def _share_of_matrix_products(training: BareTraining, batch: TrajectoryBatch, regime: Regime) -> float:
    """Of the processor's time in a step."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(_PROFILED_STEPS):
            training.step(batch, regime)
    taken = {event.key: event.self_cpu_time_total for event in recorded.key_averages()}
    return round(sum(taken.get(name, 0.0) for name in _MATRIX_PRODUCTS) / sum(taken.values()), 3)
