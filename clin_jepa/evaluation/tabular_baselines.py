"""Baselines on summaries of the numbers: logistic regression and gradient-boosted trees. Everything is fitted on training rows."""

# Shapes: N rows, C columns.

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from clin_jepa.evaluation.numeric_grid import column_mean_and_std

Floats = NDArray[np.float32]

# Inverse strengths of the penalty that logistic regression chooses from, by the tuning rows' loss.
_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
# Of its solver, at most.
_ITERATIONS = 500
_TREES, _RATE, _LEAVES, _PATIENCE = 300, 0.05, 31, 30


class StandardColumns:
    """Columns in standard deviations of the training rows, each that has gaps with a second one that says whether it was measured.

    What was not measured takes the training mean.

    Args:
        column_NC: Columns of the training rows; NaN where nothing was measured.
    """

    def __init__(self, column_NC: Floats) -> None:
        self._mean_C, self._std_C = column_mean_and_std(column_NC)
        self._gaps_C = np.flatnonzero(~np.isfinite(column_NC).all(axis=0))

    def prepared(self, column_NC: Floats) -> Floats:
        """Columns of any rows, ``[N, columns and those that say what was measured]`` float32 between -10 and 10."""
        known_NC = np.isfinite(column_NC)
        standard_NC = np.clip(np.where(known_NC, (column_NC - self._mean_C) / self._std_C, 0.0), -10, 10)
        return np.concatenate([standard_NC, known_NC[:, self._gaps_C]], axis=1).astype(np.float32)


class LogisticBaseline:
    """L2-penalised logistic regression on `StandardColumns`. The penalty is chosen by the loss on the tuning rows.

    Args:
        column_NC: Columns of the training rows; NaN where nothing was measured.
        label_N: Their labels.
        tuning_MC: Columns of the tuning rows.
        tuning_label_M: Their labels.
    """

    def __init__(self, column_NC: Floats, label_N: NDArray[np.bool_], tuning_MC: Floats, tuning_label_M: NDArray[np.bool_]) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss

        self._columns = StandardColumns(column_NC)
        train, tuning = self._columns.prepared(column_NC), self._columns.prepared(tuning_MC)
        fitted: list[tuple[float, float, Any]] = []
        for strength in _STRENGTHS:
            with warnings.catch_warnings():
                # With the weakest penalty: the tuning rows say whether what it has come to is any good.
                warnings.simplefilter("ignore", category=ConvergenceWarning)
                model = LogisticRegression(C=strength, max_iter=_ITERATIONS).fit(train, label_N)
            fitted.append((float(log_loss(tuning_label_M, model.predict_proba(tuning)[:, 1], labels=[False, True])), strength, model))
        self._model = min(fitted, key=lambda entry: entry[:2])[2]

    def probabilities(self, column_NC: Floats) -> NDArray[np.float64]:
        """Risk of each row, ``[N]``."""
        risk_N: NDArray[np.float64] = self._model.predict_proba(self._columns.prepared(column_NC))[:, 1].astype(np.float64)
        return risk_N


class BoostedTrees:
    """LightGBM: up to 300 trees of 31 leaves at a rate of 0.05, as many as the tuning rows' loss asks for.

    Args:
        column_NC: Columns of the training rows; NaN where nothing was measured.
        label_N: Their labels.
        tuning_MC: Columns of the tuning rows.
        tuning_label_M: Their labels.
        seed: Of the trees.
    """

    def __init__(
        self, column_NC: Floats, label_N: NDArray[np.bool_], tuning_MC: Floats, tuning_label_M: NDArray[np.bool_], seed: int
    ) -> None:
        import lightgbm

        # Its own choice is all cores, whatever OMP_NUM_THREADS says, which torch heeds: on shared cores its threads wait for each other.
        threads = torch.get_num_threads()
        self._model = lightgbm.LGBMClassifier(
            n_estimators=_TREES, learning_rate=_RATE, num_leaves=_LEAVES, random_state=seed, n_jobs=threads, verbose=-1, deterministic=True
        )
        stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
        self._model.fit(column_NC, label_N, eval_X=tuning_MC, eval_y=tuning_label_M, eval_metric="binary_logloss", callbacks=[stop])

    def probabilities(self, column_NC: Floats) -> NDArray[np.float64]:
        """Risk of each row, ``[N]``."""
        risk_N: NDArray[np.float64] = np.asarray(self._model.predict_proba(column_NC))[:, 1].astype(np.float64)
        return risk_N
