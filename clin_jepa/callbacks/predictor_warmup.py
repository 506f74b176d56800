"""Phase 1: the predictor learns on the latents of a frozen encoder."""

from typing import ClassVar

from typing_extensions import override

from clin_jepa.callbacks.phase import Phase
from clin_jepa.regime import Regime


class PredictorWarmup(Phase):
    """Phase 1: a random predictor must not wreck the encoder, so the encoder waits until the predictor is useful.

    Inputs and targets are the online encoder's latents, from the cache; the rollout is chained.

    Args:
        steps: Optimizer steps of this phase; a float is a share of total_steps.
        start: Optimizer step, or share of total_steps, at which it starts; by default 0, or where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.
    """

    number: ClassVar[int] = 1
    name: ClassVar[str] = "predictor_warmup"

    @override
    def planned_regime(self) -> Regime:
        return Regime(train_encoder=False, train_predictor=True, target="online", rollout="chained")
