"""Regime: what trains, towards which target, with which rollout - the one thing a phase of the curriculum sets."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Regime:
    """How a training step computes its loss.

    Args:
        train_encoder: Whether gradients reach the encoder; otherwise its latents come from the cache.
        train_predictor: Whether the predictor takes part.
        target: Where target latents come from: the ``online`` encoder's own (stop-gradient), the ``ema`` encoder's, or
            ``online_with_gradient``, the online encoder's without stop-gradient (naive co-training).
        rollout: Whether a rollout step consumes the prediction before it (``chained``) or the true latent (``teacher_forced``).
        objective: ``jepa`` predicts latents; ``next_token`` fine-tunes the language model on the texts (phase 0).
    """

    train_encoder: bool = False
    train_predictor: bool = True
    target: Literal["online", "ema", "online_with_gradient"] = "online"
    rollout: Literal["chained", "teacher_forced"] = "chained"
    objective: Literal["jepa", "next_token"] = "jepa"
