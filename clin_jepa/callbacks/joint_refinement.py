"""Phase 2: encoder and predictor train together, towards an EMA target."""

from typing import ClassVar, Literal

from typing_extensions import override

from clin_jepa.callbacks.ema_phase import EMAPhase
from clin_jepa.regime import Regime

# Share of the phase in which the target covers half its way to the encoder, at most.
_MOST_HALF_LIFE = 0.05


class JointRefinement(EMAPhase):
    """Phase 2: the encoder feels the prediction loss, through state, action and static texts.

    Args:
        steps: Optimizer steps of this phase; a float is a share of total_steps.
        tau: Share of the target that stays at each optimizer step. By default 0.996, or on fewer than 3,459 steps what makes the target's
            half-life 5 % of the phase.
        rollout: ``teacher_forced`` as reported for the published model, or ``chained``, so that chaining reaches the encoder.
        start: Optimizer step, or share of total_steps, at which it starts; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.
    """

    number: ClassVar[int] = 2
    name: ClassVar[str] = "joint_refinement"

    def __init__(
        self,
        steps: int | float,
        tau: float | None = None,
        rollout: Literal["teacher_forced", "chained"] = "teacher_forced",
        start: int | float | None = None,
        follows: int | None = None,
    ) -> None:
        super().__init__(steps, tau, start, follows)
        self.rollout = rollout

    @override
    def largest_tau(self, steps: int) -> float:
        """A half-life of at most 5 % of the phase.

        >>> round(JointRefinement(steps=120).largest_tau(120), 2)
        0.89
        """
        return float(0.5 ** (1 / (_MOST_HALF_LIFE * steps)))

    @override
    def planned_regime(self) -> Regime:
        return Regime(train_encoder=True, train_predictor=True, target="ema", rollout=self.rollout)
