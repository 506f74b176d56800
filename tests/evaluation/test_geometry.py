"""Geometry of a run: the encoder before the curriculum beside the finished one, and the picture of both cohorts."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from clin_jepa.evaluation import geometry as geometry_module
from clin_jepa.evaluation.cohorts import WINDOW_HOURS, Cohorts
from clin_jepa.evaluation.displacement import displacement
from clin_jepa.evaluation.finished_run import FinishedRun, open_run
from clin_jepa.evaluation.geometry import Geometry, measure_geometry
from clin_jepa.evaluation.latent_map import FEWEST, plot_latent_map
from clin_jepa.evaluation.numeric_grid import NumericGrid, read_grid
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.tuned_encoder import encoder_as_tuned, tuned_checkpoint
from clin_jepa.module import ClinJEPA
from tests.training_runs import Run

# Two windows of each of the first stays.
COHORTS = Cohorts(
    stay_N=np.array([0, 0, 1, 2]),
    start_N=np.array([0, 1, 0, 2]),
    is_worse_N=np.array([True, False, False, True]),
    measured_N=np.arange(4),
    n_by_criterion={"SOFA": 2, "death": 0},
)


@pytest.fixture
def opened(in_one_go: Run, tmp_path: Path) -> FinishedRun:
    """A finished run whose encoder before joint refinement counts as the tuned one."""
    folder = tmp_path / "run"
    shutil.copytree(in_one_go.folder, folder, ignore=shutil.ignore_patterns("latents", "evaluation"))
    shutil.copy(folder / "checkpoints" / "phase1.ckpt", folder / "checkpoints" / "phase0.ckpt")
    return open_run(folder, folder / "checkpoints" / "phase5.ckpt", None, "cpu")


def _measured(opened: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> Geometry:
    monkeypatch.setattr(geometry_module, "why_no_cohorts", lambda store: None)
    monkeypatch.setattr(geometry_module, "find_cohorts", lambda store, split: COHORTS)
    latents = StoreLatents(opened.module, opened.data.tokens, opened.data.tokenizer(), opened.folder / "latents")
    return measure_geometry(opened, latents, read_grid(opened.data.store), "train", 10, 0, *tuned_checkpoint(opened))


def _distances(opened: FinishedRun, checkpoint: Path) -> list[float]:
    """Of each window, with a checkpoint's own encoder, text by text."""
    module, tokens = ClinJEPA.from_checkpoint(checkpoint), opened.data.tokens
    latents = []
    for stay, start in zip(COHORTS.stay_N, COHORTS.start_N, strict=True):
        first = tokens.first_row_S[stay] + start
        token_N, length_U = tokens.gather(tokens.state_H[first : first + WINDOW_HOURS])
        with torch.no_grad():
            latents.append(module.encoder(torch.from_numpy(token_N), torch.from_numpy(length_U)).numpy())
    return displacement(np.stack(latents)).tolist()


def test_windows_are_measured_with_the_finished_encoder_and_with_the_one_before_the_curriculum(
    opened: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = _measured(opened, monkeypatch)
    table, checkpoints = measured.displacements, opened.folder / "checkpoints"

    assert table["distance"].to_list() == pytest.approx(_distances(opened, checkpoints / "phase5.ckpt"), rel=1e-4)
    assert table["distance_tuned"].to_list() == pytest.approx(_distances(opened, checkpoints / "phase1.ckpt"), rel=1e-4)
    assert np.abs(table["distance"] / table["distance_tuned"] - 1).min() > 1e-3
    assert np.linalg.norm(measured.last_ND - measured.first_ND, axis=1).tolist() == pytest.approx(table["distance"].to_list())
    mean = table.group_by("is_worse").agg(pl.col("distance_tuned").mean()).sort("is_worse")["distance_tuned"]
    assert measured.report["tuned_encoder"]["ratio"] == pytest.approx(mean[1] / mean[0])
    assert measured.report["n_by_criterion"] == {"SOFA": 2, "death": 0}


def test_a_run_without_a_tuned_encoder_says_why_there_is_none(opened: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    (opened.folder / "checkpoints" / "phase0.ckpt").unlink()
    measured = _measured(opened, monkeypatch)

    assert "no phase 0 and no --model.encoder.weights" in measured.report["tuned_encoder"]["unavailable"]
    assert measured.displacements["distance_tuned"].null_count() == len(measured.displacements)


def test_the_checkpoint_named_by_the_config_is_the_tuned_one(opened: FinishedRun) -> None:
    own = opened.folder / "checkpoints" / "phase0.ckpt"
    assert tuned_checkpoint(opened) == (own, "")
    own.unlink()
    config = opened.folder / "config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("weights: null", "weights: runs/sft/phase0.ckpt"), encoding="utf-8")
    assert tuned_checkpoint(opened) == (
        None,
        "runs/sft/phase0.ckpt, which the run began with, is no longer where --model.encoder.weights says",
    )
    # As seen from the folder that training was started in.
    (elsewhere := opened.folder.parent / "runs" / "sft" / "phase0.ckpt").parent.mkdir(parents=True)
    elsewhere.touch()
    assert tuned_checkpoint(opened) == (elsewhere.resolve(), "")


def test_raw_distances_are_of_measurements_carried_forward_and_not_of_treatments() -> None:
    value_HV = np.full((2 * WINDOW_HOURS, 2), np.nan, dtype=np.float32)
    value_HV[[2, 17], 0] = 1.0, 3.0  # lactate of the first stay: mean 2, deviation 1
    value_HV[20:, 1] = np.arange(2 * WINDOW_HOURS - 20)  # norepinephrine
    grid = NumericGrid(("lactate", "norepinephrine"), value_HV, np.array([0, WINDOW_HOURS, 2 * WINDOW_HOURS]), np.zeros((2, 2), np.float32))
    cohorts = Cohorts(np.array([0, 1]), np.array([0, 0]), np.array([True, False]), np.array([2, 0]), {})
    found_N = geometry_module._of_numbers(grid, cohorts, np.array([True, True]))
    # Four of the first six hours lie at -1 and two, before it was measured, at the mean; the last six at +1.
    assert found_N.tolist() == pytest.approx([1 + 4 / 6, 0.0])


def test_an_encoder_lent_other_weights_gets_its_own_back(opened: FinishedRun) -> None:
    encoder, before = opened.module.encoder, opened.module.encoder.fingerprint()
    with pytest.raises(RuntimeError, match="interrupted"), encoder_as_tuned(opened, opened.folder / "checkpoints" / "phase1.ckpt"):
        assert encoder.fingerprint() == ClinJEPA.from_checkpoint(opened.folder / "checkpoints" / "phase1.ckpt").encoder.fingerprint()
        raise RuntimeError("interrupted")
    assert encoder.fingerprint() == before


def test_a_map_is_the_same_again_and_needs_enough_days() -> None:
    random = np.random.default_rng(0)
    first_ND, last_ND = random.normal(size=(2, FEWEST, 8))
    is_worse_N = np.arange(FEWEST) % 3 == 0

    threads = torch.get_num_threads()
    drawn = plot_latent_map(first_ND, last_ND, is_worse_N)
    assert torch.get_num_threads() == threads
    assert drawn is not None
    assert drawn.startswith("<svg")
    assert "http" not in drawn
    assert plot_latent_map(first_ND, last_ND, is_worse_N) == drawn
    assert plot_latent_map(first_ND[1:], last_ND[1:], is_worse_N[1:]) is None
