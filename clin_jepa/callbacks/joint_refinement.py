"""Phase 2: encoder and predictor train together, towards an EMA target."""

from typing import ClassVar, Literal

from typing_extensions import override

from clin_jepa.callbacks.ema_phase import EMAPhase
from clin_jepa.regime import Regime


class JointRefinement(EMAPhase):
    """Phase 2: the encoder feels the prediction loss, through state, action and static texts.

    Args:
        steps: Optimizer steps of this phase.
        tau: Share of the target that stays at each optimizer step.
        rollout: ``teacher_forced`` as reported for the published model, or ``chained``, so that chaining reaches the encoder.
        start: Optimizer step at which it starts; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.
    """

    number: ClassVar[int] = 2
    name: ClassVar[str] = "joint_refinement"

    def __init__(
        self,
        steps: int,
        tau: float = 0.996,
        rollout: Literal["teacher_forced", "chained"] = "teacher_forced",
        start: int | None = None,
        follows: int | None = None,
    ) -> None:
        super().__init__(steps, tau, start, follows)
        self.rollout = rollout

    @override
    def planned_regime(self) -> Regime:
        return Regime(train_encoder=True, train_predictor=True, target="ema", rollout=self.rollout)
