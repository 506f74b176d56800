"""Folds that are put together are as one run on all of their subjects, whatever scale each latent space has."""

import numpy as np
import polars as pl
import pytest

from clin_jepa.evaluation.arms import MeasuredRun, draw_subjects, figures_of_run
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS
from study.folds import pooled

STAYS = pl.DataFrame({"stay_id": range(40), "subject_id": range(40)})


def fold(stays: range, scale: float) -> MeasuredRun:
    """Forecasts err half as much as copy-forward, at hours 1 and 2; ill stays travel twice as far and have the higher scores."""
    stay_ids = np.array(stays)
    ill_N = stay_ids % 4 == 0
    errors = pl.concat(
        [
            pl.DataFrame({"forecast": name, "stay_id": stay_ids, "start": 0, "hour": hour, "l1": scale * error * hour})
            for name, error in ((TRUE_ACTIONS, 0.5), (COPY_FORWARD, 1.0), (TRAINING_MEAN, 2.0))
            for hour in (1, 2)
        ]
    )
    distance_N = scale * np.where(ill_N, 2.0, 1.0)
    displacements = pl.DataFrame(
        {"stay_id": stay_ids, "start": 24, "is_worse": ill_N, "measured": 9, "distance": distance_N,
         "distance_tuned": pl.Series([None] * len(stay_ids), dtype=pl.Float64), "distance_raw": distance_N}
    )  # fmt: skip
    predictions = pl.DataFrame({"task": "sepsis", "stay_id": stay_ids, "hour": 23, "label": ill_N, "score": np.where(ill_N, 0.6, 0.4)})
    return MeasuredRun("full", 0, errors, displacements, predictions)


def test_figures_of_folds_together() -> None:
    draws = draw_subjects(STAYS, 20, seed=0)
    found = figures_of_run(pooled([fold(range(10), 1.0), fold(range(10, 40), 50.0)]), draws)
    expected = figures_of_run(fold(range(40), 1.0), draws)

    assert found.keys() == expected.keys()
    for name, value_R in found.items():
        np.testing.assert_allclose(value_R, expected[name], err_msg=name)
    assert found["drift_percent 2 h"][0] == pytest.approx(100) and found["displacement_ratio"][0] == pytest.approx(2)


def test_a_task_that_a_fold_lacks_is_measured_on_the_subjects_of_the_others() -> None:
    first, second = fold(range(20), 1.0), fold(range(20, 40), 1.0)
    without = MeasuredRun("full", 0, second.errors, second.displacements, second.predictions.clear())
    assert pooled([first, without]).predictions.equals(first.predictions)


def test_a_single_run_stays_as_it_is() -> None:
    only = fold(range(40), 3.0)
    assert pooled([only]) is only
