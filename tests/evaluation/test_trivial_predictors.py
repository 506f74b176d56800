"""Predictors that know nothing, measured as any other is: one that repeats the last latent, one that gives the mean of the hour."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from clin_jepa.evaluation import rollout_errors
from clin_jepa.evaluation.drift import drift_report
from clin_jepa.evaluation.finished_run import FinishedRun, open_run
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.windows import EvaluationWindows, choose_windows
from tests.evaluation.labelled_stays import HOURS
from tests.training_runs import Run

CONTEXT, HORIZON = 6, 10
Forecast = Callable[[Tensor], Tensor]


class PatientsAlike:
    """Latents in which every text lies as far from the mean as any other, whatever the hour: nobody gets worse."""

    def __init__(self, features: int = 256) -> None:
        self.random = torch.Generator().manual_seed(0)
        self.latent_TD = torch.randn(100_000, features, generator=self.random)

    def of_texts(self, id_N: np.ndarray, progress: str | None = None) -> Tensor:
        return self.latent_TD[torch.from_numpy(np.asarray(id_N, dtype=np.int64))]

    def of_new_texts(self, texts: list[str]) -> Tensor:
        return torch.randn(len(texts), self.latent_TD.shape[1], generator=self.random)


@pytest.fixture(scope="module")
def opened(labelled_run: Run) -> FinishedRun:
    return open_run(labelled_run.folder, None, None, "cpu")


@pytest.fixture(scope="module")
def latents(opened: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> StoreLatents:
    return StoreLatents(opened.module, opened.data.tokens, opened.data.tokenizer(), tmp_path_factory.mktemp("latents"))


@pytest.fixture(scope="module")
def windows(opened: FinishedRun) -> EvaluationWindows:
    n_hours = rollout_errors.split_hours(opened.data, "held_out").n_hours
    return choose_windows(n_hours, context_hours=CONTEXT, horizon_hours=HORIZON, stride=4, minimum=1)


def measured(
    forecast: Forecast,
    opened: FinishedRun,
    latents: StoreLatents | PatientsAlike,
    windows: EvaluationWindows,
    monkeypatch: pytest.MonkeyPatch,
    batch_size: int = 3,
) -> dict[str, Tensor]:
    """Errors of a predictor that sees the context alone."""
    mean_of_hour = rollout_errors.training_mean_by_hour(opened.data, latents)
    monkeypatch.setattr(opened.module.predictor, "rollout", lambda static_BD, context_BCD, action_BLD: forecast(context_BCD))
    return rollout_errors.rollout_errors(opened.module, opened.data, latents, mean_of_hour, "held_out", windows, batch_size)


def test_a_predictor_that_repeats_the_last_latent_is_copy_forward(
    opened: FinishedRun, latents: StoreLatents, windows: EvaluationWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = measured(lambda context_BCD: context_BCD[:, -1:].repeat(1, HORIZON, 1), opened, latents, windows, monkeypatch)
    report = drift_report(errors, windows, 1.0, draws=50)

    assert len(windows) > 3  # more than a batch
    torch.testing.assert_close(errors[TRUE_ACTIONS], errors[COPY_FORWARD])
    assert float(errors[TRUE_ACTIONS].min()) > 0
    assert report["mase"] == pytest.approx([1.0] * len(report["horizons"]))
    for low, high in report["models"][TRUE_ACTIONS]["ci95"]["mase"]:
        assert (low, high) == pytest.approx((1.0, 1.0))


def mean_forecast(opened: FinishedRun, latents: StoreLatents | PatientsAlike, windows: EvaluationWindows) -> Tensor:
    """The training mean of each hour ahead, worked out here: ``[N, H, D]``."""
    train = rollout_errors.split_hours(opened.data, "train")
    hour_M = torch.from_numpy(train.hour_M)
    latent_MD = latents.of_texts(train.state_id_M).double()
    mean_of_hour = torch.stack([latent_MD[hour_M == hour].mean(dim=0) for hour in range(HOURS)]).float()
    return torch.stack([mean_of_hour[start + CONTEXT : start + CONTEXT + HORIZON] for start in windows.start_N.tolist()])


def test_a_predictor_that_gives_the_training_mean_has_no_skill(
    opened: FinishedRun, latents: StoreLatents, windows: EvaluationWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast_NHD = mean_forecast(opened, latents, windows)
    errors = measured(lambda _: forecast_NHD, opened, latents, windows, monkeypatch, batch_size=len(windows))
    report = drift_report(errors, windows, 1.0, draws=50)

    torch.testing.assert_close(errors[TRUE_ACTIONS], errors[TRAINING_MEAN])
    assert report["skill_vs_mean"] == pytest.approx([0.0] * len(report["horizons"]), abs=1e-6)
    assert not torch.allclose(errors[TRUE_ACTIONS], errors[COPY_FORWARD])


def test_where_nobody_gets_worse_the_training_mean_does_not_drift(
    opened: FinishedRun, windows: EvaluationWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = PatientsAlike()
    forecast_NHD = mean_forecast(opened, latents, windows)
    errors = measured(lambda _: forecast_NHD, opened, latents, windows, monkeypatch, batch_size=len(windows))
    report = drift_report(errors, windows, 1.0, draws=50)

    assert report["drift_percent"] == pytest.approx([0.0] * len(report["horizons"]), abs=3.0)
    assert report["skill_vs_mean"] == pytest.approx([0.0] * len(report["horizons"]), abs=1e-6)
    # Of two such latents the one is as far from the other as two draws of a normal distribution, the mean as one: sqrt 2.
    assert report["mase"] == pytest.approx([2**-0.5] * len(report["horizons"]), abs=0.05)
