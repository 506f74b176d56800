"""Phase 3: the encoder is frozen again and the EMA target catches up."""

from typing import ClassVar

from typing_extensions import override

from clin_jepa.callbacks.ema_phase import EMAPhase
from clin_jepa.regime import Regime


class EMAAlignment(EMAPhase):
    """Phase 3: the target closes its gap to the frozen online encoder while the predictor follows.

    ``ceil(ln 0.02 / ln tau)`` steps close 98 % of the gap: 977 at tau 0.996, 194 at 0.98.

    Args:
        steps: Optimizer steps of this phase.
        tau: Share of the target that stays at each optimizer step.
        start: Optimizer step at which it starts; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.
    """

    number: ClassVar[int] = 3
    name: ClassVar[str] = "ema_alignment"

    @override
    def planned_regime(self) -> Regime:
        return Regime(train_encoder=False, train_predictor=True, target="ema", rollout="teacher_forced")
