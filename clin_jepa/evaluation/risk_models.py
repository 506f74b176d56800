"""Every model that scores a task's rows, by its name: probes of the frozen backbone, and baselines that never saw it."""

# Shapes: N rows, F features.

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clin_jepa.evaluation.probe import ProbeConfig, fit_probe
from clin_jepa.evaluation.sequence_networks import KINDS
from clin_jepa.evaluation.tabular_baselines import BoostedTrees, LogisticBaseline
from clin_jepa.evaluation.task_rows import TaskRows, drawn_rows

BACKBONE, REPORTED_PROBE = "clin_jepa", "reported_probe"
# The encoder as it was before the curriculum, where the run began with one that was tuned on its own.
TUNED = "tuned_encoder"
LOGISTIC, BOOSTED, PREVALENCE = "logistic", "lightgbm", "prevalence"
# Those that read features of a row; `sequence_networks.KINDS` read a stay's hours.
ROW_MODELS = (BACKBONE, REPORTED_PROBE, TUNED, LOGISTIC, BOOSTED, PREVALENCE)
# Those that have nothing of the run that they are compared with.
BASELINES = (LOGISTIC, BOOSTED, *KINDS, PREVALENCE)
# What a backbone is held against.
CONTROLS = (TUNED, *BASELINES)
MODELS = (BACKBONE, REPORTED_PROBE, *CONTROLS)

# Of more the linear probe gets no better, but slow.
_MOST_LINEAR_ROWS = 20_000

Floats = NDArray[np.float32]


class RiskModel(Protocol):
    """What is fitted on training rows and scores others."""

    def probabilities(self, feature_NF: Floats) -> NDArray[np.float64]:
        """Risk of each row, ``[N]`` float64 in [0, 1]."""
        ...


@dataclass(frozen=True)
class Prevalence:
    """The training rows' share of events, for every row.

    Args:
        share: It.
    """

    share: float

    def probabilities(self, feature_NF: Floats) -> NDArray[np.float64]:
        """The same for all, ``[N]``."""
        return np.full(len(feature_NF), self.share)


class TwoProbes:
    """The mean risk of a linear probe, of which a thousand labelled stays make no fool, and of one with a hidden layer.

    Args:
        feature_NF: Features of the training rows.
        label_N: Their labels.
        tuning_MF: Features of the tuning rows.
        tuning_label_M: Their labels.
        seed: Of the hidden layer, and of the rows that the linear probe is fitted on where there are many.

    Attributes:
        hidden: The one with a hidden layer; on the same features it is the reported probe.
    """

    def __init__(
        self, feature_NF: Floats, label_N: NDArray[np.bool_], tuning_MF: Floats, tuning_label_M: NDArray[np.bool_], seed: int
    ) -> None:
        random = np.random.default_rng(seed)
        train_N, tuning_M = (drawn_rows(label, _MOST_LINEAR_ROWS, random) for label in (label_N, tuning_label_M))
        self._linear = LogisticBaseline(feature_NF[train_N], label_N[train_N], tuning_MF[tuning_M], tuning_label_M[tuning_M])
        self.hidden = fit_probe(feature_NF, label_N, tuning_MF, tuning_label_M, seed=seed, config=ProbeConfig())

    def probabilities(self, feature_NF: Floats) -> NDArray[np.float64]:
        """Risk of each row, ``[N]``."""
        return (self._linear.probabilities(feature_NF) + self.hidden.probabilities(feature_NF)) / 2


def fit_risk_model(name: str, feature_NF: Floats, rows: TaskRows, seed: int) -> RiskModel:
    """Fit a model on the training rows of a task; the tuning rows stop or choose it. Rows of the held-out split are never read.

    Args:
        name: One of `ROW_MODELS`.
        feature_NF: Features of all rows, ``[N, F]``.
        rows: The rows.
        seed: Of weights, order and trees.

    Raises:
        ValueError: If there is no such model.
    """
    train, tuning = rows.of_split("train"), rows.of_split("tuning")
    given = (feature_NF[train], rows.label_N[train], feature_NF[tuning], rows.label_N[tuning])
    fits: dict[str, Callable[[], RiskModel]] = {
        BACKBONE: lambda: TwoProbes(*given, seed=seed),
        TUNED: lambda: TwoProbes(*given, seed=seed),
        REPORTED_PROBE: lambda: fit_probe(*given, seed=seed, config=ProbeConfig()),
        LOGISTIC: lambda: LogisticBaseline(*given),
        BOOSTED: lambda: BoostedTrees(*given, seed=seed),
        PREVALENCE: lambda: Prevalence(float(given[1].mean())),
    }
    if name not in fits:
        raise ValueError(f"no such model: {name!r}; there are {', '.join(ROW_MODELS)}")
    return fits[name]()
