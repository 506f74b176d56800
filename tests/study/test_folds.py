"""Folds that are put together are as one run on all of their subjects, whatever scale each latent space has."""

import numpy as np
import polars as pl
import pytest

from clin_jepa.evaluation.arms import Draws, MeasuredRun, draw_subjects, figures_of_run, task_metrics
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS
from study.folds import metrics_within_folds, pooled

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


def scores(stays: range, label: list[int], score: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"task": "sepsis", "stay_id": stays, "hour": 23, "label": label, "score": score}).cast({"label": pl.Boolean})


def test_prevalence_of_folds_with_unlike_rates_has_an_auroc_of_a_half() -> None:
    # The rate of the training folds is low where that of the held-out one is high: over all folds the ranks would be upside down.
    folds = [scores(range(10), [1] * 5 + [0] * 5, [0.1] * 10), scores(range(10, 20), [1] + [0] * 9, [0.5] * 10)]
    draws = draw_subjects(STAYS, 30, seed=0)
    together = task_metrics(pl.concat(folds), draws)["sepsis"]["auroc"]
    within = metrics_within_folds(folds, draws)["sepsis"]["auroc"]

    assert together[0] < 0.4
    np.testing.assert_allclose(within, 0.5)


def test_figures_within_folds_by_hand() -> None:
    # AUROC 3/4 of four pairs and 1 of three; average precision (1 + 2/3) / 2 of two events and 1 of one.
    folds = [scores(range(4), [1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]), scores(range(4, 8), [1, 0, 0, 0], [0.3, 0.2, 0.2, 0.1])]
    found = metrics_within_folds(folds, draw_subjects(STAYS, 5, seed=0))["sepsis"]
    assert found["auroc"][0] == pytest.approx((0.75 * 4 + 1 * 3) / 7)
    assert found["auprc"][0] == pytest.approx((5 / 6 * 2 + 1) / 3)
    assert found["brier"][0] == pytest.approx((0.01 + 0.64 + 0.09 + 0.01 + 0.49 + 0.04 + 0.04 + 0.01) / 8)


def test_a_fold_counts_for_nothing_in_a_draw_without_an_event_of_it() -> None:
    folds = [scores(range(2), [1, 0], [0.9, 0.1]), scores(range(2, 4), [1, 0], [0.1, 0.9])]
    stays = pl.DataFrame({"stay_id": range(4), "subject_id": range(4)})
    times_RS = np.array([[1.0, 1, 1, 1], [1, 1, 0, 2], [0, 2, 0, 2]])
    draws = Draws({stay: stay for stay in stays["stay_id"]}, times_RS)
    found = metrics_within_folds(folds, draws)["sepsis"]["auroc"]
    np.testing.assert_array_equal(found, [0.5, 1.0, np.nan])


def test_within_a_single_fold_the_figures_are_those_of_the_run() -> None:
    table, draws = scores(range(6), [1, 0, 1, 0, 0, 1], [0.9, 0.8, 0.7, 0.1, 0.3, 0.2]), draw_subjects(STAYS, 50, seed=0)
    found, expected = metrics_within_folds([table], draws)["sepsis"], task_metrics(table, draws)["sepsis"]
    for name, value_R in found.items():
        np.testing.assert_allclose(value_R, expected[name])
