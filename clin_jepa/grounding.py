"""Grounding: linear heads that read measured numbers from the latents, so that what a latent is trained for is in the text.

Predicting latents from latents can be solved by latents that say little. A head on the predictor's hidden state that has to tell the mean
numbers of the hours to come makes it look ahead. One on each hour's latent that has to tell the same keeps in the latent what lasts, and
leaves out what is noise of the hour; one that has to tell the numbers of the hour itself keeps both. The heads are linear and are thrown
away after training.
"""

# Shapes: B windows, T hours, D latent features, W width of the predictor, V variables, C static numbers.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from clin_jepa.batch import HourlyValues
from clin_jepa.data.value_store import STATIC_NUMBERS
from clin_jepa.errors import InputError


@dataclass(frozen=True)
class GroundingConfig:
    """A further term of the loss, through linear heads that read measured numbers.

    Args:
        ahead: Weight of the heads on the predictor's hidden state, which tell the hours to come.
        present: Weight of the head on the latents that tells the numbers of the hour itself.
        outlook: Weight of the head on the latents that tells the hours to come, the longest of the horizons. With this weight or that of
            ``present`` (their sum), one on the static latents tells the static numbers. Next-token tuning, which predicts no hour, has the
            heads on latents alone. With all weights 0 there are no heads.
        horizons: For each, the predictor's hidden state at an hour has to tell the mean of each variable over so many hours after it.
    """

    ahead: float = 0.0
    present: float = 0.0
    outlook: float = 0.0
    horizons: list[int] = field(default_factory=lambda: [6, 24])

    @property
    def is_on(self) -> bool:
        """Whether there are heads."""
        return max(self.ahead, self.present, self.outlook) > 0

    def validate(self) -> None:
        """Refuse numbers that cannot train.

        Raises:
            InputError: If a weight is negative, a horizon is below 1, or there is none.
        """
        if min(self.ahead, self.present, self.outlook) < 0 or min(self.horizons, default=0) < 1:
            raise InputError(f"--model.grounding {self}: weights must not be negative, and horizons are hours from 1 on, at least one")


class GroundingHeads(nn.Module):
    """The heads, and their loss.

    Args:
        latent_dim: Features of a latent, D.
        width: Features of the predictor's hidden state, W.
        variables: Names of the variables.
        config: Weights and horizons.
    """

    def __init__(self, latent_dim: int, width: int, variables: Sequence[str], config: GroundingConfig) -> None:
        super().__init__()
        self.variables, self.config = tuple(variables), config
        self.static = nn.Linear(latent_dim, STATIC_NUMBERS)
        self.state = nn.Linear(latent_dim, len(variables))
        self.future = nn.ModuleList(nn.Linear(width, len(variables)) for _ in config.horizons)
        self.outlook = nn.Linear(latent_dim, len(variables)) if config.outlook else None

    def forward(
        self,
        static_BD: Tensor,
        state_BTD: Tensor,
        hidden_BTW: Tensor | None,
        values: HourlyValues,
        mask_BT: Tensor,
        windows: int | None = None,
        hours: int | None = None,
    ) -> Tensor:
        """Mean absolute error of all heads' readings, in standard deviations; the weighted sum of one mean a head.

        Args:
            static_BD: Latents of the static texts, ``[B, D]``.
            state_BTD: Latents of the states, ``[B, T, D]``.
            hidden_BTW: The predictor's hidden states, ``[B, T, W]``; None leaves out what is to come.
            values: What was measured.
            mask_BT: True at real hours, ``[B, T]`` bool.
            windows: Windows that the sums are divided by; by default those here. Where a batch is one part of a larger one, the larger
                one's: the parts then add up to its mean.
            hours: The same for hours that have a next one.

        Returns:
            Scalar. The head of an hour's own numbers divides by the measurements that such hours have on average, so that each
            measurement counts alike; those of the hours to come by each hour's own number of variables.
        """
        windows = len(mask_BT) if windows is None else windows
        hours = int((mask_BT.sum() - len(mask_BT)).clamp(min=1)) if hours is None else hours
        config, value_BTV = self.config, values.value_BTV

        # The outlook's horizon is one of those that the predictor has to tell.
        means = cache(partial(means_to_come, value_BTV))

        def to_come(read_BTV: Tensor, horizon: int) -> Tensor:
            mean_BTV = means(horizon)
            known_BT = mean_BTV.isfinite().sum(dim=-1).clamp(min=1)
            return (_absolute_errors(read_BTV, mean_BTV).sum(dim=-1) / known_BT)[mask_BT].sum() / hours

        per_window = _absolute_errors(self.static(static_BD), values.static_BC).sum() / (windows * STATIC_NUMBERS)
        own = _absolute_errors(self.state(state_BTD), value_BTV)[mask_BT].sum() / ((hours + windows) * values.per_hour)
        losses = [(config.present + config.outlook) * per_window, config.present * own]
        if self.outlook is not None:
            losses.append(config.outlook * to_come(self.outlook(state_BTD), max(config.horizons)))
        if hidden_BTW is not None:
            losses += [
                config.ahead * to_come(head(hidden_BTW), horizon) for head, horizon in zip(self.future, config.horizons, strict=True)
            ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def start_from(self, checkpoint: Mapping[str, Any]) -> None:
        """Take over what an earlier run's heads of the latents have learned, each variable by its name; of another's, nothing.

        Args:
            checkpoint: A read checkpoint, of a run with heads or without.
        """
        state, theirs = checkpoint["state_dict"], list(checkpoint["hyper_parameters"].get("variables") or [])
        if "grounding.state.weight" not in state or state["grounding.state.weight"].shape[1] != self.state.in_features:
            return
        shared = [name for name in self.variables if name in theirs]
        own, other = [self.variables.index(name) for name in shared], [theirs.index(name) for name in shared]
        for part in ("weight", "bias"):
            getattr(self.state, part)[own] = state[f"grounding.state.{part}"][other]
            getattr(self.static, part).copy_(state[f"grounding.static.{part}"])
            if self.outlook is not None and f"grounding.outlook.{part}" in state:
                getattr(self.outlook, part)[own] = state[f"grounding.outlook.{part}"][other]


def means_to_come(value_BTV: Tensor, hours: int) -> Tensor:
    """Mean of each variable over the hours after an hour, ``[B, T, V]``; NaN where none of them has a value.

    Args:
        value_BTV: Values, ``[B, T, V]``; NaN where nothing was measured.
        hours: How many hours after it.

    >>> nan = float("nan")
    >>> means_to_come(torch.tensor([[[1.0], [nan], [3.0], [5.0]]]), 2).flatten().tolist()
    [3.0, 4.0, 5.0, nan]
    """
    known_BTV = value_BTV.isfinite()
    # In double precision: differences of sums over a window.
    summed_BTV = torch.where(known_BTV, value_BTV, 0.0).double().cumsum(dim=1)
    count_BTV = known_BTV.cumsum(dim=1)
    last_T = (torch.arange(value_BTV.shape[1], device=value_BTV.device) + hours).clamp(max=value_BTV.shape[1] - 1)
    ahead_BTV = count_BTV[:, last_T] - count_BTV
    mean_BTV = (summed_BTV[:, last_T] - summed_BTV) / ahead_BTV.clamp(min=1)
    return torch.where(ahead_BTV > 0, mean_BTV.to(value_BTV.dtype), torch.nan)


def _absolute_errors(read: Tensor, wanted: Tensor) -> Tensor:
    """Absolute error where there is something to read, else 0, without gradient from there."""
    known = wanted.isfinite()
    return torch.where(known, (read.float() - torch.where(known, wanted, 0.0)).abs(), 0.0)
