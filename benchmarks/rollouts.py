"""Rollouts of 48 hours with kept keys and values, against a pass over the whole sequence for each hour."""

from typing import Any

import torch

from benchmarks.material import Material
from benchmarks.plain.rollout import recomputed_rollout
from benchmarks.timing import compare

_WINDOWS, _CONTEXT, _HORIZON = 64, 24, 48


def measure_rollouts(material: Material) -> dict[str, Any]:
    """A batch of 64 windows, 24 hours of context; both give the same predictions."""
    model = material.module().predictor.eval()
    dim = model.static_input.in_features
    random = torch.Generator().manual_seed(0)
    static_BD = torch.randn(_WINDOWS, dim, generator=random)
    state_BCD = torch.randn(_WINDOWS, _CONTEXT, dim, generator=random)
    action_BKD = torch.randn(_WINDOWS, _CONTEXT + _HORIZON - 1, dim, generator=random)

    def kept() -> torch.Tensor:
        return model.rollout(static_BD, state_BCD, action_BKD)

    @torch.no_grad()
    def recomputed() -> torch.Tensor:
        return recomputed_rollout(model, static_BD, state_BCD, action_BKD)

    difference = float((kept() - recomputed()).abs().max())
    name = f"rollout of {_HORIZON} h, {_WINDOWS} windows"
    return {
        "rows": [compare(name, kept, recomputed, {"patient_hours": float(_WINDOWS * _HORIZON)}).row()],
        "largest_difference": difference,
    }
