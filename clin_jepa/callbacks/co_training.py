"""CoTraining: joint training without an EMA target, an ablation of phase 2."""

from typing import ClassVar, Literal

from typing_extensions import override

from clin_jepa.callbacks.phase import Phase
from clin_jepa.module import ClinJEPA
from clin_jepa.regime import Regime


class CoTraining(Phase):
    """Phase 2 of the ablations: encoder and predictor train together towards the online encoder's own latents.

    With ``stop_gradient`` it asks what the EMA is worth; without, and over the whole run, it is naive co-training, in which nothing keeps
    encoder and predictor from agreeing on constant latents.

    Args:
        steps: Optimizer steps of this phase; a float is a share of total_steps.
        stop_gradient: Whether targets are constants to the encoder; otherwise gradient flows into them too.
        rollout: ``teacher_forced`` as in joint refinement, or ``chained``.
        start: Optimizer step, or share of total_steps, at which it starts; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.
    """

    number: ClassVar[int] = 2
    name: ClassVar[str] = "co_training"

    def __init__(
        self,
        steps: int | float,
        stop_gradient: bool = True,
        rollout: Literal["teacher_forced", "chained"] = "teacher_forced",
        start: int | float | None = None,
        follows: int | None = None,
    ) -> None:
        super().__init__(steps, start, follows)
        self.stop_gradient, self.rollout = stop_gradient, rollout

    @override
    def planned_regime(self) -> Regime:
        target: Literal["online", "online_with_gradient"] = "online" if self.stop_gradient else "online_with_gradient"
        return Regime(train_encoder=True, train_predictor=True, target=target, rollout=self.rollout)

    @override
    def leave(self, module: ClinJEPA) -> None:
        # No EMA ran, so the target still holds the weights from before.
        module.target.copy_from_online()
