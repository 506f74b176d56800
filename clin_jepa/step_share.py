"""What one micro-batch of one process is of an optimizer step, so that however a step is cut it is the same step."""

# Shapes: B windows of this part, S windows of the whole step.

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.objective import rollout_steps


@dataclass(frozen=True)
class StepPlace:
    """Where a micro-batch stands in its optimizer step.

    Args:
        micro_batch: Its number, from 0.
        micro_batches: How many the step accumulates.
    """

    micro_batch: int = 0
    micro_batches: int = 1


@dataclass(frozen=True)
class StepShare:
    """What one process's micro-batch is of an optimizer step.

    Args:
        scale: Parts that the step is cut into.
        hours: Hours of the whole step that have a next one.
        windows: Windows of the whole step.
        rollout_steps: Of all rollouts of the whole step.
        uniform_B: Random numbers in [0, 1) of this part's windows, ``[B]``.
        seed: Of what else is drawn at this step, the same on every process.
    """

    scale: int
    hours: int
    windows: int
    rollout_steps: int
    uniform_B: Tensor
    seed: int

    @classmethod
    def all_of_it(cls, batch: TrajectoryBatch, horizon: int, seed: int) -> Self:
        """Of a step that is this one batch."""
        return cls.part_of(batch.n_hours.cpu(), horizon, seed, parts=1, own=slice(None))

    @classmethod
    def part_of(cls, hours_S: Tensor, horizon: int, seed: int, parts: int, own: slice) -> Self:
        """Of a step that is cut into equal parts.

        Args:
            hours_S: Hours of each window of the whole step, ``[S]``.
            horizon: Steps of a rollout.
            seed: Of this step.
            parts: How many there are.
            own: Which windows are this part's.
        """
        uniform_S = torch.rand(len(hours_S), generator=torch.Generator().manual_seed(seed))
        return cls(parts, int((hours_S - 1).sum()), len(hours_S), int(rollout_steps(hours_S, horizon).sum()), uniform_S[own], seed)
