"""Phase 3: the encoder is frozen again and the EMA target catches up."""

from typing import ClassVar

from typing_extensions import override

from clin_jepa.callbacks.ema_phase import EMAPhase
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA
from clin_jepa.regime import Regime

# Share of the gap that alignment leaves, at most.
_MOST_GAP_LEFT = 0.02


class EMAAlignment(EMAPhase):
    """Phase 3: the target closes its gap to the frozen online encoder while the predictor follows.

    ``ceil(ln 0.02 / ln tau)`` steps close 98 % of the gap: 977 at tau 0.996, 194 at 0.98. With ``until_gap`` the phase ends as soon as
    the gap is that small: the next phase starts at once with all its steps, the run is shorter by the steps left out. The learning
    rates go by the optimizer steps taken, over the length of the whole plan: such a run ends before they have come down to 0.

    Args:
        steps: Optimizer steps of this phase, at most; a float is a share of total_steps.
        tau: Share of the target that stays at each optimizer step. By default 0.996, or on fewer than 977 steps what leaves 2 % of the gap.
        until_gap: Relative distance of the target's parameters to the online ones at which the phase ends early; 0.02 is the method's.
            By default it takes all its steps.
        start: Optimizer step, or share of total_steps, at which it starts; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.

    Raises:
        InputError: If ``until_gap`` is not in (0, 1).
    """

    number: ClassVar[int] = 3
    name: ClassVar[str] = "ema_alignment"

    def __init__(
        self,
        steps: int | float,
        tau: float | None = None,
        until_gap: float | None = None,
        start: int | float | None = None,
        follows: int | None = None,
    ) -> None:
        super().__init__(steps, tau, start, follows)
        if until_gap is not None and not 0.0 < until_gap < 1.0:
            raise InputError(f"phase {self.name!r}: until_gap is {until_gap}, it must lie between 0 and 1; leave it out to take all steps")
        self.until_gap = until_gap

    @property
    @override
    def ends(self) -> str:
        return super().ends if self.until_gap is None else f"steps, or gap <= {self.until_gap:g}"

    @override
    def has_reached_its_aim(self, module: ClinJEPA) -> bool:
        return self.until_gap is not None and module.target.gap() <= self.until_gap

    @override
    def largest_tau(self, steps: int) -> float:
        """At most 2 % of the gap is left in the end.

        >>> round(EMAAlignment(steps=194).largest_tau(194), 3)
        0.98
        """
        return float(_MOST_GAP_LEFT ** (1 / steps))

    @override
    def planned_regime(self) -> Regime:
        return Regime(train_encoder=False, train_predictor=True, target="ema", rollout="teacher_forced")
