"""Decoders read what a latent holds; figures of decoded forecasts are those of hand-worked values."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.windows import Windowing
from clin_jepa.evaluation import decoded_forecasts
from clin_jepa.evaluation.decoded_forecasts import FIGURES, VARIABLES, _figures, decoded_report, fit_decoder
from clin_jepa.evaluation.numeric_grid import last_known, read_grid, summaries
from clin_jepa.evaluation.ridge_forecasts import RidgeForecasts, VariableForecasts
from clin_jepa.evaluation.rollout_errors import split_hours
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.windows import choose_windows
from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.predictor import PredictorConfig
from tests.evaluation.written_store import WrittenStay, write_store


def held_against(*values: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(("mae", "mae_true_latent", "mae_last_value", "mae_ridge"), values, strict=True))


def test_there_are_27_variables() -> None:
    assert len(set(VARIABLES)) == len(VARIABLES) == 27


def test_the_figures_of_hand_worked_forecasts() -> None:
    truth_N, forecast_N = np.array([1.0, 2.0, np.nan, 4.0]), np.array([1.5, 2.0, 9.0, 3.0])
    # Three windows, the last of two hours: drawn once each, then the last one twice, of which one hour was measured.
    window_N, weight_RN = np.array([0, 1, 2, 2]), np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 2.0], [0.0, 0.0, 2.0]])
    values = held_against(forecast_N, truth_N + 0.1, np.full(4, 2.0), truth_N - 0.2)
    found = _figures(truth_N, values, window_N, weight_RN)
    assert (found["n"], found["mae"], found["mase"]) == (3, pytest.approx(0.5), pytest.approx(0.5))
    assert found["mae_last_value"] == pytest.approx(1.0) and found["mae_ridge"] == pytest.approx(0.2)
    assert found["mase_ridge"] == pytest.approx(0.2)
    assert found["mae_true_latent"] == pytest.approx(0.1) and found["spearman"] == pytest.approx(1.0)
    assert found["ci95"]["mae"] == (1.0, 1.0) and found["ci95"]["mase"] == (0.5, 0.5) and found["ci95"]["spearman"] is None


@pytest.mark.parametrize(("truth", "forecast"), [(np.nan, 1.0), (1.0, np.nan)])
def test_what_was_not_measured_or_forecast_has_no_figures(truth: float, forecast: float) -> None:
    found = _figures(np.full(4, truth), held_against(np.full(4, forecast), *np.ones((3, 4))), np.arange(4), np.ones((3, 4)))
    assert found["mae"] is found["mase"] is found["spearman"] is None
    assert found["ci95"]["mae"] is None


def test_figures_do_not_depend_on_how_draws_are_chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    columns, weight_RN = random.random((5, 30)), random.integers(0, 3, (20, 10)).astype(np.float64)
    given = (columns[0], held_against(*columns[1:]), np.arange(30) // 3, weight_RN)
    whole = _figures(*given)
    monkeypatch.setattr(decoded_forecasts, "_VALUES", 100)
    chunked = _figures(*given)
    for name in FIGURES:
        assert [chunked[name], *chunked["ci95"][name]] == pytest.approx([whole[name], *whole["ci95"][name]])


@pytest.fixture
def opened(tmp_path: Path) -> tuple[ClinJEPA, TrajectoryDataModule, StoreLatents]:
    """Stays whose heart rate is their hour of stay, which the texts say."""
    torch.manual_seed(0)
    splits = ["train"] * 8 + ["tuning"] * 2 + ["held_out"] * 2
    stays = [
        WrittenStay(n, 24, split, {"heart_rate": {h: float(h) for h in range(24)}, "lactate": {3: 2.0}})
        for n, split in enumerate(splits, 1)
    ]
    write_store(tmp_path / "store", stays)
    module = ClinJEPA(encoder=EncoderConfig(vocab_size=512), predictor=PredictorConfig(layers=1, width=16, heads=2, feed_forward=32))
    module.configure_model()
    data = TrajectoryDataModule(str(tmp_path / "store"), vocab_size=512, windowing=Windowing(hours=24))
    return module.eval().requires_grad_(False), data, StoreLatents(module, data.tokens, data.tokenizer(), tmp_path / "latents")


Opened = tuple[ClinJEPA, TrajectoryDataModule, StoreLatents]


def test_a_decoder_reads_what_the_text_says(opened: Opened) -> None:
    _, data, latents = opened
    grid = read_grid(data.store)
    decoder = fit_decoder(data, latents, grid, grid.variables.index("heart_rate"), seed=0)
    assert decoder is not None
    held_out = split_hours(data, "held_out")
    values_M = decoder.values(latents.of_texts(held_out.state_id_M).numpy())
    assert np.abs(values_M - held_out.hour_M).mean() < 1.0


def test_every_variable_has_figures_or_a_reason(opened: Opened) -> None:
    module, data, latents = opened
    windows = choose_windows(split_hours(data, "held_out").n_hours, context_hours=8, horizon_hours=8, minimum=1)
    report = decoded_report(module, data, latents, read_grid(data.store), "held_out", windows, batch_size=2, draws=10, seed=0)

    assert set(report) == set(VARIABLES)
    entry = report["heart_rate"]
    assert entry["horizons"] == [1, 6, 8] and entry["n"] == [len(windows) * hours for hours in (1, 5, 2)]
    assert all(error < 1.5 for error in entry["mae_true_latent"])  # the latents of the true hours hold it; an untrained rollout does not
    assert report["lactate"]["unavailable"] == "fewer than 100 training or 20 tuning hours have it"
    assert report["sofa"]["unavailable"] == "not available: needs sofa in 2% of the training stays"


def test_ridge_regression_reads_the_hours_before_those_that_it_forecasts(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    module, data, latents = opened
    grid = read_grid(data.store)
    windows = choose_windows(split_hours(data, "held_out").n_hours, context_hours=8, horizon_hours=8, minimum=1)
    read: list[tuple[int, int, np.ndarray, np.ndarray]] = []

    def forecast(of_variable: VariableForecasts, first: int, last: int, summary_NC: np.ndarray, last_N: np.ndarray) -> np.ndarray:
        read.append((first, last, summary_NC, last_N))
        return last_N + last  # off by so much in the hour that lies so far ahead

    monkeypatch.setattr(RidgeForecasts, "prepared", lambda ridge, summary_NC: summary_NC)
    monkeypatch.setattr(VariableForecasts, "forecast", forecast)
    report = decoded_report(module, data, latents, grid, "held_out", windows, batch_size=2, draws=10, seed=0)

    assert [span[:2] for span in read] == [(0, 1), (1, 6), (6, 8)]
    heart_rate = replace(grid, variables=("heart_rate",), value_HV=grid.value_HV[:, [grid.variables.index("heart_rate")]])
    rows = split_hours(data, "held_out").stay_rows[windows.stay_index_N]
    for _, _, summary_NC, last_N in read:
        np.testing.assert_array_equal(summary_NC, summaries(heart_rate, rows, windows.start_N + 7))
        np.testing.assert_array_equal(last_N, windows.start_N + 7.0)  # the heart rate is the hour of stay
    # Of the hours 1 to 6 ahead the forecast is that of the last: off by 4 to 0 of the five, by 1 to 0 of the last two.
    assert report["heart_rate"]["mae_ridge"] == pytest.approx([0.0, 2.0, 0.5])
    assert report["heart_rate"]["mae_last_value"] == pytest.approx([1.0, 4.0, 7.5])


def test_the_last_known_value_is_that_of_the_same_stay_and_not_of_a_later_hour(tmp_path: Path) -> None:
    stays = [WrittenStay(1, 4, values={"lactate": {0: 1.0, 3: 4.0}, "ph": {1: 7.4}}), WrittenStay(2, 3, values={"lactate": {1: 9.0}})]
    grid = read_grid(write_store(tmp_path / "store", stays))
    rows = np.array([0, 2, 3, 4, 6])  # hours 0, 2 and 3 of the first stay, 0 and 2 of the second
    assert last_known(grid, grid.variables.index("lactate"), rows, otherwise=-1.0).tolist() == [1.0, 1.0, 4.0, -1.0, 9.0]
