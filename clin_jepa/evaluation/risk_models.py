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
from clin_jepa.evaluation.task_rows import TaskRows

BACKBONE, LOGISTIC, BOOSTED, PREVALENCE = "clin_jepa", "logistic", "lightgbm", "prevalence"
# Those that read features of a row; `sequence_networks.KINDS` read a stay's hours.
ROW_MODELS = (BACKBONE, LOGISTIC, BOOSTED, PREVALENCE)
MODELS = (BACKBONE, LOGISTIC, BOOSTED, *KINDS, PREVALENCE)

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
        BACKBONE: lambda: fit_probe(*given, seed=seed, config=ProbeConfig()),
        LOGISTIC: lambda: LogisticBaseline(*given),
        BOOSTED: lambda: BoostedTrees(*given, seed=seed),
        PREVALENCE: lambda: Prevalence(float(given[1].mean())),
    }
    if name not in fits:
        raise ValueError(f"no such model: {name!r}; there are {', '.join(ROW_MODELS)}")
    return fits[name]()
