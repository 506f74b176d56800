"""Phase 0, optional: next-token fine-tuning of the encoder on the hourly texts."""

from typing import ClassVar

from typing_extensions import override

from clin_jepa.callbacks.phase import Phase
from clin_jepa.module import ClinJEPA
from clin_jepa.regime import Regime


class NextTokenTuning(Phase):
    """Phase 0: the language model learns the wording of the hours (SFT), states, actions and static texts pooled.

    Args:
        steps: Optimizer steps of this phase; a float is a share of total_steps.
        start: Optimizer step, or share of total_steps, at which it starts; by default 0, or where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.
    """

    number: ClassVar[int] = 0
    name: ClassVar[str] = "next_token_tuning"

    @override
    def planned_regime(self) -> Regime:
        return Regime(train_encoder=True, train_predictor=False, objective="next_token")

    @override
    def leave(self, module: ClinJEPA) -> None:
        # No EMA ran, so the target still holds the weights from before the tuning.
        module.target.copy_from_online()
