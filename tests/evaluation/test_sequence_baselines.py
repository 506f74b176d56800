"""Sequence networks never look ahead, read each stay on its own, and learn what a sequence holds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from clin_jepa.evaluation.classification import Scored, metrics
from clin_jepa.evaluation.numeric_grid import NumericGrid
from clin_jepa.evaluation.sequence_baselines import hourly_inputs, sequence_scores
from clin_jepa.evaluation.sequence_networks import KINDS, GRUDNetwork, Kind, build_network
from clin_jepa.evaluation.task_rows import TaskRows


def some_hours(stays: int = 3, hours: int = 12) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    known = (torch.rand(stays, hours, 4, generator=generator) < 0.5).float()
    return torch.randn(stays, hours, 4, generator=generator), known, torch.rand(stays, hours, 4, generator=generator), torch.randn(stays, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_an_hour_s_logit_depends_on_no_later_hour(kind: Kind) -> None:
    torch.manual_seed(0)
    network = build_network(kind, variables=4, static=2)
    value, known, since, static = some_hours()
    before = network(value, known, since, static)

    later = [part.clone() for part in (value, known, since)]
    for part in later:
        part[:, 8:] = torch.rand_like(part[:, 8:]) * 5
    after = network(*later, static)
    torch.testing.assert_close(after[:, :8], before[:, :8])
    assert not torch.allclose(after[:, 8:], before[:, 8:])


def test_what_gru_d_did_not_measure_decays() -> None:
    torch.manual_seed(0)
    network = build_network("gru_d", variables=1, static=2)
    ones, zeros, static = torch.ones(1, 1, 1), torch.zeros(1, 1, 1), torch.zeros(1, 2)

    fresh, never = network(5 * ones, ones, zeros, static), network(zeros, zeros, zeros, static)
    long_ago = network(5 * ones, zeros, 1e6 * ones, static)
    assert torch.allclose(long_ago, never, atol=1e-5)  # the input is the mean again, and so is the state
    assert not torch.allclose(fresh, never, atol=1e-3)


@pytest.mark.parametrize("variables", [4, 400])
def test_gru_d_begins_with_a_memory_of_a_day_however_many_variables_there_are(variables: int) -> None:
    torch.manual_seed(0)
    network = build_network("gru_d", variables, static=2)
    assert isinstance(network, GRUDNetwork)
    kept_W = torch.exp(-torch.relu(network.hidden_decay(torch.ones(variables)))).detach()
    assert float(kept_W.mean()) == pytest.approx(0.5, abs=0.1)


def test_inputs_of_hand_worked_hours() -> None:
    nan = np.nan
    value_HV = np.array([[nan], [2.0], [nan], [4.0], [nan], [nan], [100.0]], dtype=np.float32)
    grid = NumericGrid(("lactate",), value_HV, np.array([0, 4, 7]), np.array([[50.0, 1.0], [70.0, nan]], dtype=np.float32))
    found = hourly_inputs(grid, np.array([True, False]))  # mean 3, deviation 1, from the first stay alone

    hours = found.batch([grid.stay(0), grid.stay(1)])
    assert hours.value_BTV[..., 0].tolist() == [[0.0, -1.0, -1.0, 1.0], [0.0, 0.0, 10.0, 10.0]]  # the last hour of the second is padding
    assert hours.known_BTV[..., 0].tolist() == [[0, 1, 0, 1], [0, 0, 1, 0]]
    assert (24 * hours.since_BTV[:, :3, 0]).round().tolist() == [[0, 1, 1], [0, 1, 2]] and round(24 * float(hours.since_BTV[0, 3, 0])) == 2
    assert found.static_SC.tolist() == [[0.0, 0.0], [0.0, 0.0]]  # neither varies among the training stays


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_of_an_earlier_hour_is_found(kind: Kind) -> None:
    random, stays, hours = np.random.default_rng(0), 300, 10
    spike_S = random.random(stays) < 0.5
    value_HV = random.normal(0, 0.1, (stays * hours, 2)).astype(np.float32)
    value_HV[np.flatnonzero(spike_S) * hours + 3, 0] = 3.0
    grid = NumericGrid(("spiking", "steady"), value_HV, np.arange(0, stays * hours + 1, hours), np.zeros((stays, 2), np.float32))
    number_N = np.arange(stays)
    split_N = np.array(["train", "tuning", "held_out"])[random.choice(3, stays, p=[0.6, 0.2, 0.2])]
    rows = TaskRows("hospital_mortality", number_N, np.full(stays, hours - 1), spike_S, number_N, split_N)
    inputs = hourly_inputs(grid, split_N == "train")

    held_out = rows.of_split("held_out")
    score_M = sequence_scores(kind, inputs, rows, held_out, seed=0)
    assert metrics(Scored(rows.label_N[held_out], score_M, number_N[held_out]))["auroc"] > 0.9
    assert sequence_scores(kind, inputs, rows, held_out, seed=0).tolist() == score_M.tolist()
    assert not list(Path.cwd().glob("lightning_logs"))
