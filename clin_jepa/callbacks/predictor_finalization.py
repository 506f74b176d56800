"""Phase 5: the predictor is tuned to the final latents."""

from dataclasses import replace
from typing import ClassVar

from typing_extensions import override

from clin_jepa.callbacks.phase import Phase
from clin_jepa.module import ClinJEPA
from clin_jepa.regime import Regime


class PredictorFinalization(Phase):
    """Phase 5: a predictor tuned to yesterday's latents is tuned to today's, with a chained rollout.

    Targets are the target encoder's. After hard sync those are the online latents themselves, read from the cache; where hard sync was
    left out, the target stays where the EMA left it.

    Args:
        steps: Optimizer steps of this phase; a float is a share of total_steps.
        start: Optimizer step, or share of total_steps, at which it starts; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.
    """

    number: ClassVar[int] = 5
    name: ClassVar[str] = "predictor_finalization"

    @override
    def planned_regime(self) -> Regime:
        return Regime(train_encoder=False, train_predictor=True, target="online", rollout="chained")

    @override
    def regime(self, module: ClinJEPA) -> Regime:
        synced = module.target.equals_online()
        return self.planned_regime() if synced else replace(self.planned_regime(), target="ema")
