"""Phase 4: the target becomes an exact copy of the online encoder."""

from typing import ClassVar

from typing_extensions import override

from clin_jepa.callbacks.phase import Phase
from clin_jepa.module import ClinJEPA
from clin_jepa.regime import Regime


class HardSync(Phase):
    """Phase 4: ends the chase of the EMA phases; from here on predictions and targets live in one space. Takes no optimizer step.

    Args:
        start: Optimizer step, or share of total_steps, at which it happens; by default where the phase listed before it ends.
        follows: Number of the phase that the continued checkpoint must have finished.

    Raises:
        RuntimeError: If any parameter of the target still differs after the copy.
    """

    number: ClassVar[int] = 4
    name: ClassVar[str] = "hard_sync"

    def __init__(self, start: int | float | None = None, follows: int | None = None) -> None:
        super().__init__(steps=0, start=start, follows=follows)

    @property
    @override
    def ends(self) -> str:
        return "at once"

    @override
    def enter(self, module: ClinJEPA) -> None:
        module.target.copy_from_online()
        if not module.target.equals_online():
            raise RuntimeError("hard sync: a parameter of the target differs from the online encoder after the copy")

    @override
    def planned_regime(self) -> Regime:
        return Regime(train_encoder=False, train_predictor=True, target="online", rollout="chained")
