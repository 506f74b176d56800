"""No score depends on what comes after its hour, and nothing is fitted on the stays that are scored: end to end, for every model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import pytest
import torch

from clin_jepa.data import latent_cache
from clin_jepa.data.value_store import open_value_store
from clin_jepa.evaluation import latent_features
from clin_jepa.evaluation.decoded_forecasts import fit_decoder
from clin_jepa.evaluation.finished_run import open_run
from clin_jepa.evaluation.numeric_grid import read_grid
from clin_jepa.evaluation.risk_models import MODELS, PREVALENCE
from clin_jepa.evaluation.risk_tasks import RiskTasks
from clin_jepa.evaluation.rollout_errors import training_mean_by_hour
from clin_jepa.evaluation.sequence_baselines import HourlyInputs, hourly_inputs
from clin_jepa.evaluation.store_latents import StoreLatents
from tests.evaluation.labelled_stays import ASKED_AT, HOURLY_TASK, HOURS, STAY_TASK, labelled_stays, train_little
from tests.evaluation.written_store import WrittenStay, write_store
from tests.training_runs import Run

Value = TypeVar("Value")

# The one held-out stay whose past is left as it is.
SPARED = 70


def future_replaced(stay: WrittenStay) -> WrittenStay:
    """After the hour other numbers, one that was never measured, other treatments, and the other outcome."""
    later = range(ASKED_AT + 1, HOURS)
    other = {"heart_rate": dict.fromkeys(later, 400.0), "lactate": dict.fromkeys(later, 15.0), "ph": dict.fromkeys(later, 6.9)}
    values = {name: {**_until(ASKED_AT, stay.values.get(name, {})), **by_hour} for name, by_hour in other.items()}
    actions = {**_until(ASKED_AT, stay.actions), **dict.fromkeys(later, "epinephrine: 2 mcg/kg/min")}
    sofa = _until(ASKED_AT, stay.values["sofa"])
    return replace(stay, values={**values, "sofa": sofa}, actions=actions, labels=_other(stay.labels), death_hour=HOURS - 0.5)


def future_ended(stay: WrittenStay) -> WrittenStay:
    """The stay ends with the hour."""
    values = {name: _until(ASKED_AT, by_hour) for name, by_hour in stay.values.items()}
    labels = {task: _until(ASKED_AT, by_hour) for task, by_hour in stay.labels.items()}
    return replace(stay, n_hours=ASKED_AT + 1, values=values, actions=_until(ASKED_AT, stay.actions), labels=labels)


def past_replaced(stay: WrittenStay) -> WrittenStay:
    """Of every stay but one, all that came up to the hour is other: numbers, one that was never measured, treatments, age; and labels."""
    if stay.stay_id == SPARED:
        return stay
    past = range(ASKED_AT + 1)
    values = {name: {**stay.values.get(name, {}), **{hour: 1000.0 + hour for hour in past}} for name in (*stay.values, "ph")}
    actions = dict.fromkeys(past, "propofol: 200 mg/hour")
    return replace(stay, values=values, actions=actions, labels=_other(stay.labels), age=19, sex="M")


def _until(last: int, by_hour: Mapping[int, Value]) -> dict[int, Value]:
    return {hour: value for hour, value in by_hour.items() if hour <= last}


def _other(labels: Mapping[str, Mapping[int, bool]]) -> dict[str, dict[int, bool]]:
    return {task: {hour: not label for hour, label in by_hour.items()} for task, by_hour in labels.items()}


CHANGES = {
    "as it was": lambda stay: stay,
    "future replaced": future_replaced,
    "future ended": future_ended,
    "past replaced": past_replaced,
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same store but for its held-out stays."""
    folder = tmp_path_factory.mktemp("leakage")
    for name, changed in CHANGES.items():
        write_store(folder / name, [changed(stay) if stay.split == "held_out" else stay for stay in labelled_stays()])
    return {name: folder / name for name in CHANGES}


@pytest.fixture(scope="module")
def scores(labelled_run: Run, stores: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """Scores of every model, fitted anew on each store."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        train_little(patch)
        # What is computed together with held-out stays differs from store to store by rounding, which a fit would magnify.
        patch.setattr(latent_cache, "_TOKENS_PER_PAGE", 128)
        patch.setattr(latent_features, "_WINDOWS_AT_ONCE", 1)
        for name, store in stores.items():
            # Nothing that an evaluation of the run has kept is to be found.
            folder = tmp_path_factory.mktemp("scored")
            opened = replace(open_run(labelled_run.folder, None, store, "cpu"), folder=folder)
            latents = StoreLatents(opened.module, opened.data.tokens, opened.data.tokenizer(), folder / "latents")
            before = labelled_run.checkpoint_path("phase1")
            measured = RiskTasks(opened, latents, read_grid(opened.data.store), "held_out", seed=0, scratch=folder, tuned=before)
            by_task, _ = measured.scores((STAY_TASK, HOURLY_TASK), MODELS)
            found[name] = pl.concat(by_task.values())
    return found


Scores = dict[str, pl.DataFrame]
Places = list[tuple[int, int]]


def paired(scores: Scores, change: str, model: str, task: str) -> tuple[Places, np.ndarray, np.ndarray]:
    """Places that both stores ask, and the scores of both."""
    of_model = (pl.col("model") == model) & (pl.col("task") == task)
    both = (
        scores["as it was"].filter(of_model).join(scores[change].filter(of_model), on=["stay_id", "hour"], validate="1:1", suffix="_after")
    )
    return both.select("stay_id", "hour").rows(), both["score"].to_numpy(), both["score_after"].to_numpy()


@pytest.mark.parametrize("task", [STAY_TASK, HOURLY_TASK])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("change", ["future replaced", "future ended"])
def test_what_comes_after_the_hour_changes_no_score(scores: Scores, change: str, model: str, task: str) -> None:
    places, before_N, after_N = paired(scores, change, model, task)
    seen_N = np.array([hour <= ASKED_AT for _, hour in places])
    assert seen_N.sum() == 12 * (1 if task == STAY_TASK else 4)
    np.testing.assert_allclose(after_N[seen_N], before_N[seen_N], rtol=0, atol=1e-6)


@pytest.mark.parametrize("model", [model for model in MODELS if model != PREVALENCE])
def test_what_comes_after_the_hour_changes_later_scores(scores: Scores, model: str) -> None:
    """Else the test above would prove nothing: the change reaches every model."""
    places, before_N, after_N = paired(scores, "future replaced", model, HOURLY_TASK)
    later_N = np.array([hour == HOURS - 2 for _, hour in places])
    assert (np.abs(after_N - before_N)[later_N] > 1e-4).sum() > 6


@pytest.mark.parametrize("task", [STAY_TASK, HOURLY_TASK])
@pytest.mark.parametrize("model", [model for model in MODELS if model != PREVALENCE])
def test_what_comes_before_the_hour_changes_scores(scores: Scores, model: str, task: str) -> None:
    places, before_N, after_N = paired(scores, "past replaced", model, task)
    at_the_hour_N = np.array([hour == ASKED_AT and stay != SPARED for stay, hour in places])
    assert (np.abs(after_N - before_N)[at_the_hour_N] > 1e-4).sum() > 6


@pytest.mark.parametrize("task", [STAY_TASK, HOURLY_TASK])
@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_fitted_on_the_stays_that_are_scored(scores: Scores, model: str, task: str) -> None:
    """A stay's scores are the same whatever the other held-out stays hold, and whatever becomes of them."""
    places, before_N, after_N = paired(scores, "past replaced", model, task)
    spared_N = np.array([stay == SPARED for stay, _ in places])
    assert spared_N.sum() == (1 if task == STAY_TASK else 6)
    np.testing.assert_allclose(after_N[spared_N], before_N[spared_N], rtol=0, atol=1e-6)


def test_no_statistic_is_of_held_out_stays(labelled_run: Run, stores: dict[str, Path], tmp_path: Path) -> None:
    """Columns, means and deviations of the numbers, for training and for baselines; mean latents by hour; decoders."""
    found = []
    for name in ("as it was", "past replaced"):
        opened = open_run(labelled_run.folder, None, stores[name], "cpu")
        grid, data = read_grid(opened.data.store), opened.data
        is_train_S = (data.store.stays["split"] == "train").to_numpy()
        inputs: HourlyInputs = hourly_inputs(grid, is_train_S)
        numbers = open_value_store(data.store, tmp_path / name)
        trained = int(grid.first_S[is_train_S.sum()])  # training stays come first
        latents = StoreLatents(opened.module, data.tokens, data.tokenizer(), tmp_path / name)
        decoder = fit_decoder(data, latents, grid, grid.variables.index("heart_rate"), seed=0)
        assert decoder is not None
        mean_KD, count_K = training_mean_by_hour(data, latents)
        with torch.no_grad():
            probe = torch.cat([value.flatten() for value in decoder.probe.state_dict().values()])
        found.append(
            {
                "columns": np.array(grid.variables),
                "inputs": inputs.batch([grid.stay(row) for row in range(is_train_S.sum())]).value_BTV.numpy(),
                "static": inputs.static_SC[is_train_S],
                "numbers": numbers.hours(0, trained),
                "numbers' columns": np.array(numbers.variables),
                "numbers' static": numbers.static_SC[is_train_S],
                "mean latent": mean_KD.numpy(),
                "hours of it": count_K.numpy(),
                "decoder": np.array([decoder.mean, decoder.std]),
                "probe": probe.numpy(),
            }
        )
    for part in found[0]:
        np.testing.assert_array_equal(found[0][part], found[1][part], err_msg=part)
