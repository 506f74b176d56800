"""A training step of each phase, against padded encoding, a full copy as target, and recomputed rollouts."""

from functools import partial
from typing import Any

from torch import Tensor

from benchmarks.material import Material
from benchmarks.plain.training_step import PlainTraining
from benchmarks.timing import compare
from clin_jepa.batch import TrajectoryBatch
from clin_jepa.callbacks import EMAAlignment, JointRefinement, PredictorFinalization, PredictorWarmup
from clin_jepa.data.latent_cache import LatentCache
from clin_jepa.module import ClinJEPA
from clin_jepa.optimization import build_optimizer, clip_each_group
from clin_jepa.regime import Regime
from clin_jepa.step_share import StepShare

_WINDOWS = 4
_PHASES = [PredictorWarmup(1), JointRefinement(1), EMAAlignment(1), PredictorFinalization(1)]


class BareTraining:
    """Our training step without a trainer.

    Args:
        module: A built module.
        cache: Latents of the frozen encoder; without one they are encoded anew.
        tau: Share of the target that stays at each step.
    """

    def __init__(self, module: ClinJEPA, cache: LatentCache | None = None, tau: float = 0.996) -> None:
        self.module, self.cache, self.tau = module, cache, tau
        self.optimizer = build_optimizer(module.optimization, module.encoder.online_parameters().values(), module.predictor.parameters())

    def step(self, batch: TrajectoryBatch, regime: Regime) -> float:
        """One optimizer step; returns the loss."""
        module = self.module
        if module.regime != regime:
            module.regime = regime
        module.latents_from(self.cache)
        terms = module.losses(batch, StepShare.all_of_it(batch, module.horizon, seed=0))
        loss: Tensor = sum(terms.values(), start=next(iter(terms.values())).new_zeros(()))
        self.optimizer.zero_grad()
        loss.backward()
        clip_each_group(self.optimizer, 1.0)
        self.optimizer.step()
        if regime.target == "ema":
            module.target.update(self.tau)
        return float(loss.detach())


def measure_training_steps(material: Material) -> dict[str, Any]:
    """Steps on four windows; in phases without a trained encoder with a full latent cache, and without one."""
    batch = material.batches(1, batch_size=_WINDOWS)[0]
    rows = []
    for phase in _PHASES:
        regime = phase.planned_regime()
        plain = PlainTraining(material.module())
        work = {"steps": 1.0, "patient_hours": float(batch.mask_BT.sum())}
        for cached in (False, True) if not regime.train_encoder else (False,):
            module = material.module()
            cache = cache_of(material, module) if cached else None
            ours = BareTraining(module, cache)
            label = f"step of phase {phase.number}" + (", latents cached" if cached else "")
            rows.append(compare(label, partial(ours.step, batch, regime), partial(plain.step, batch, regime), work).row())
    return {"rows": rows}


def cache_of(material: Material, module: ClinJEPA) -> LatentCache:
    """Latents of the module's encoder on all of the store, filled as they are asked for."""
    return LatentCache(material.folder / "latents", material.data.tokens, module.encoder.fingerprint(), module.encoder.latent_dim)
