"""One optimizer for the whole curriculum: two learning-rate groups, linear warm-up, then cosine to zero."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.optim import AdamW, Optimizer

from clin_jepa.errors import InputError
from clin_jepa.shards import norm


@dataclass(frozen=True)
class OptimizationConfig:
    """Settings of the optimizer and its schedule.

    Args:
        encoder_lr: Peak learning rate of the encoder; about 2e-5 for LoRA on a pretrained model, 1e-4 for a from-scratch one.
        predictor_lr: Peak learning rate of the predictor.
        weight_decay: Decoupled weight decay of both groups.
        eps: Added to the root of Adam's second moment; gradients far below it, which may be all rounding, make no step of full size.
        optimizer: ``adamw``, or ``adamw_8bit`` (bitsandbytes) whose state takes a quarter of the memory.
        warmup_fraction: Share of all steps in which the rate rises linearly.
        total_steps: Optimizer steps of the whole curriculum, over which the schedule runs; by default those of the listed phases. A run
            of one phase alone names it, so that it follows the same schedule as the curriculum in one go.
    """

    encoder_lr: float = 1e-4
    predictor_lr: float = 5e-4
    weight_decay: float = 0.04
    eps: float = 1e-8
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    warmup_fraction: float = 0.1
    total_steps: int | None = None

    def validate(self) -> None:
        """Refuse numbers that cannot train.

        Raises:
            InputError: If a rate is negative, a share is outside [0, 1], or there is no step.
        """
        if min(self.encoder_lr, self.predictor_lr, self.weight_decay, self.eps) < 0 or not 0 <= self.warmup_fraction <= 1:
            raise InputError(f"--model.optimization {self}: rates must not be negative and warmup_fraction lies in [0, 1]")
        if self.total_steps is not None and self.total_steps < 1:
            raise InputError(f"--model.optimization.total_steps {self.total_steps} must be at least 1")


def build_optimizer(config: OptimizationConfig, encoder: Iterable[nn.Parameter], predictor: Iterable[nn.Parameter]) -> Optimizer:
    """AdamW over every parameter that any phase trains; a frozen one gets no gradient and is passed over."""
    groups = [
        {"params": list(encoder), "lr": config.encoder_lr, "name": "encoder"},
        {"params": list(predictor), "lr": config.predictor_lr, "name": "predictor"},
    ]
    if config.optimizer == "adamw_8bit":
        from bitsandbytes.optim import AdamW8bit

        eight_bit: Optimizer = AdamW8bit(groups, weight_decay=config.weight_decay, eps=config.eps)
        return eight_bit
    return AdamW(groups, weight_decay=config.weight_decay, eps=config.eps)


def clip_each_group(optimizer: Optimizer, most: float) -> None:
    """Scale the gradients of each parameter group so that their norm is at most ``most``.

    Encoder and predictor are clipped apart: large gradients of one leave the other's step as it is. Where gradients are sharded, every
    process has to call.

    Args:
        optimizer: The optimizer whose groups are clipped.
        most: Largest L2 norm of a group's gradients.
    """
    for group in optimizer.param_groups:
        gradients = [p.grad for p in group["params"] if p.grad is not None]
        if gradients:
            nn.utils.clip_grads_with_norm_(group["params"], most, norm(gradients))


def warmup_then_cosine(total_steps: int, warmup_fraction: float) -> Callable[[int], float]:
    """Factor of the peak learning rate at each optimizer step.

    >>> factor = warmup_then_cosine(total_steps=10, warmup_fraction=0.2)
    >>> [round(factor(step), 2) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warmup = round(total_steps * warmup_fraction)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = (step - warmup) / max(total_steps - warmup, 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))

    return factor
