"""The treatments of the other arms are worded as those of the store."""

from typing import Any

import numpy as np
import pytest
import torch

from clin_jepa.evaluation import rollout_errors
from clin_jepa.evaluation.model_names import LAST_ACTION, NO_ACTION


class Worded:
    """Latents that are the number of a text among those asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def of_new_texts(self, texts: list[str]) -> torch.Tensor:
        first = len(self.asked)
        self.asked += texts
        return torch.arange(first, first + len(texts), dtype=torch.float32)[:, None]


@pytest.mark.parametrize(
    ("stamped", "texts", "kept", "none"),
    [
        (True, ["t=0h | a", "t=1h | b", "t=2h | c"], ["t=2h | b", "t=3h | b"],
         ["t=2h | no interventions recorded", "t=3h | no interventions recorded"]),
        (False, ["a", "b", "c"], ["b", "b"], ["no interventions recorded"] * 2),
    ],
)  # fmt: skip
def test_the_last_action_is_kept_with_stamps_and_without(stamped: bool, texts: list[str], kept: list[str], none: list[str]) -> None:
    latents: Any = Worded()
    action_BLD = torch.full((1, 4, 1), -1.0)
    found = rollout_errors._scenarios(latents, [texts], np.array([0]), np.array([0]), 2, action_BLD, stamped)

    assert latents.asked == kept + none
    # The actions of the context are the true ones.
    assert found[LAST_ACTION].flatten().tolist() == [-1, -1, 0, 1]
    assert found[NO_ACTION].flatten().tolist() == [-1, -1, 2, 3]
