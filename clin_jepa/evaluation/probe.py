"""A probe: a small network that reads a risk from frozen features, stopped by the tuning split."""

# Shapes: N rows, F features.

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

Floats = NDArray[np.float32]

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class ProbeConfig:
    """How a probe is trained; the defaults are the published ones where they are known.

    Args:
        width: Features of the hidden layer.
        dropout: On the hidden layer.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        patience: Epochs without a lower tuning loss before training ends.
        epochs: Most epochs.
        batch_size: Rows of a step.
    """

    width: int = 512
    dropout: float = 0.1
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int = 10
    epochs: int = 200
    batch_size: int = 512


class Probe(nn.Module):
    """Standardised features -> hidden layer -> logit.

    Args:
        mean_F: Of the training rows.
        std_F: Of the training rows; a feature that does not vary is left out by a weight of zero.
        config: Sizes.
    """

    mean_F: Tensor
    scale_F: Tensor

    def __init__(self, mean_F: Tensor, std_F: Tensor, config: ProbeConfig) -> None:
        super().__init__()
        self.register_buffer("mean_F", mean_F)
        self.register_buffer("scale_F", torch.where(std_F > 1e-6, 1 / std_F.clamp(min=1e-6), 0.0))
        self.layers = nn.Sequential(nn.Linear(len(mean_F), config.width), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.width, 1))

    def forward(self, feature_NF: Tensor) -> Tensor:
        """Logits, ``[N]``."""
        logit_N1: Tensor = self.layers((feature_NF - self.mean_F) * self.scale_F)
        return logit_N1[:, 0]

    def probabilities(self, feature_NF: Floats) -> NDArray[np.float64]:
        """Risk of each row, ``[N]`` float64 in [0, 1]."""
        return torch.sigmoid(torch.from_numpy(self.values(feature_NF))).numpy()

    @torch.no_grad()
    def values(self, feature_NF: Floats) -> NDArray[np.float64]:
        """The output for each row, ``[N]`` float64."""
        self.eval()
        parts = np.array_split(feature_NF, max(1, len(feature_NF) // _ROWS_AT_ONCE))
        return torch.cat([self(torch.from_numpy(part).float()).double() for part in parts]).numpy()


def fit_probe(
    feature_NF: Floats,
    label_N: NDArray[Any],
    tuning_MF: Floats,
    tuning_label_M: NDArray[Any],
    seed: int,
    config: ProbeConfig,
    loss: Callable[[Tensor, Tensor], Tensor] = binary_cross_entropy_with_logits,
) -> Probe:
    """Train a probe; the epoch with the lowest loss on the tuning rows is kept.

    Args:
        feature_NF: Features of the training rows, ``[N, F]``, finite.
        label_N: What it is to say of them: whether an event happens, or a number.
        tuning_MF: Features of the tuning rows.
        tuning_label_M: The same of them.
        seed: Of weights, order and dropout.
        config: Sizes and rates.
        loss: Of outputs and labels.
    """
    feature, label = torch.from_numpy(feature_NF).float(), torch.from_numpy(label_N).float()
    tuning, tuning_label = torch.from_numpy(tuning_MF).float(), torch.from_numpy(tuning_label_M).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probe = Probe(feature.mean(dim=0), feature.std(dim=0, correction=0), config)
        optimizer = torch.optim.AdamW(probe.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        best, best_state, since = float("inf"), copy.deepcopy(probe.state_dict()), 0
        for _ in range(config.epochs):
            probe.train()
            for rows in torch.split(torch.randperm(len(feature)), config.batch_size):
                optimizer.zero_grad()
                torch.autograd.backward(loss(probe(feature[rows]), label[rows]))
                optimizer.step()
            probe.eval()
            with torch.no_grad():
                now = float(loss(probe(tuning), tuning_label))
            if now < best:
                best, best_state, since = now, copy.deepcopy(probe.state_dict()), 0
            else:
                since += 1
                if since >= config.patience:
                    break
    probe.load_state_dict(best_state)
    return probe.eval()
