"""``clinjepa evaluate`` on a finished run: its figures against a plain recomputation, and what it refuses."""

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.errors import InputError
from clin_jepa.evaluation.finished_run import open_run
from clin_jepa.evaluation.rollout_errors import SplitHours, drawn_hours
from clin_jepa.module import ClinJEPA
from tests.training_runs import STARTS, TOTAL_STEPS, Run, clinjepa, curriculum, phase

CONTEXT, HORIZON = 8, 12


@pytest.fixture(scope="module")
def metrics(in_one_go: Run) -> dict[str, Any]:
    code = clinjepa(
        "evaluate", "--run", in_one_go.folder, "--split", "train", "--context_hours", str(CONTEXT), "--horizon_hours", str(HORIZON),
        "--batch_size", "3", "--draws", "20", "--other_contexts", "[6, 12, 100]",
    )  # fmt: skip
    assert code == 0
    content: dict[str, Any] = json.loads((in_one_go.folder / "evaluation" / "metrics.json").read_text())
    return content


def _plain_errors(run: Run, store: Path) -> torch.Tensor:
    """Error of each window and hour by the slowest way: every text on its own, every rollout step from the beginning."""
    module = ClinJEPA.from_checkpoint(run.checkpoint_path())
    tokenizer = TrajectoryDataModule(str(store), vocab_size=2048).tokenizer()
    stays = pl.read_parquet(store / "stays.parquet").filter(pl.col("split") == "train").sort("stay_id")
    hours = pl.read_parquet(store / "hours" / "*.parquet")

    def latent(text: str) -> torch.Tensor:
        tokens = torch.tensor([*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id])
        return module.encoder(tokens, torch.tensor([len(tokens)]))[0]

    errors = []
    for stay_id, n_hours, static in stays.select("stay_id", "n_hours", "static_text").iter_rows():
        own = hours.filter(pl.col("stay_id") == stay_id).sort("hour")
        for start in range(0, n_hours - CONTEXT - HORIZON + 1, 12):
            window = own[start : start + CONTEXT + HORIZON]
            state_LD = torch.stack([latent(text) for text in window["state_text"]])
            action_LD = torch.stack([latent(text) for text in window["action_text"]])
            rolled = list(state_LD[:CONTEXT])
            for _ in range(HORIZON):
                predicted = module.predictor(latent(static)[None], torch.stack(rolled)[None], action_LD[None, : len(rolled)])
                rolled.append(predicted[0, -1])
            errors.append((torch.stack(rolled[CONTEXT:]) - state_LD[CONTEXT:]).abs().mean(dim=-1))
    return torch.stack(errors)


@torch.no_grad()
def test_the_rollout_errors_equal_a_plain_recomputation(metrics: dict[str, Any], in_one_go: Run, small_store_path: Path) -> None:
    expected_NH = _plain_errors(in_one_go, small_store_path)
    drift = metrics["drift"]

    assert drift["n_windows"] == len(expected_NH)
    for hour, found in zip(drift["horizons"], drift["models"]["clin_jepa_true_actions"]["l1"], strict=True):
        assert found == pytest.approx(float(expected_NH[:, hour - 1].mean()), abs=1e-5)


def test_other_contexts_have_figures_of_their_own(metrics: dict[str, Any], in_one_go: Run) -> None:
    others = metrics["drift"]["other_contexts"]
    assert [others[context]["context_hours"] for context in ("6", "12")] == [6, 12]
    assert others["6"]["n_windows"] > others["12"]["n_windows"] > 0
    assert others["6"]["mase"] != metrics["drift"]["mase"]
    assert others["100"]["unavailable"] == "100 h of context do not fit the predictor's 72 positions"
    assert "From other contexts" in (in_one_go.folder / "evaluation" / "report.html").read_text()


def test_all_arms_and_baselines_stand_beside_the_model(metrics: dict[str, Any]) -> None:
    models = metrics["drift"]["models"]

    assert set(models) == {
        "clin_jepa_true_actions", "clin_jepa_last_action", "clin_jepa_no_action", "copy_forward", "training_mean", "linear",
    }  # fmt: skip
    assert models["copy_forward"]["mase"] == pytest.approx([1.0] * len(metrics["drift"]["horizons"]))
    assert models["training_mean"]["skill_vs_mean"] == pytest.approx([0.0] * len(metrics["drift"]["horizons"]), abs=1e-12)
    # The first forecast hour follows true actions in every arm; later ones do not.
    first_hours = {models[arm]["l1"][0] for arm in models if arm.startswith("clin_jepa")}
    assert len(first_hours) == 1
    assert models["clin_jepa_no_action"]["l1"][-1] != models["clin_jepa_true_actions"]["l1"][-1]


def test_the_report_is_written_and_nothing_of_a_patient_is_in_it(metrics: dict[str, Any], in_one_go: Run, small_store_path: Path) -> None:
    page = (in_one_go.folder / "evaluation" / "report.html").read_text()

    assert str(metrics["drift"]["n_windows"]) in page
    for stay_id in pl.read_parquet(small_store_path / "stays.parquet")["stay_id"]:
        assert not re.search(rf"(?<![\d.]){stay_id}(?!\d)", page)


def test_a_run_stopped_within_its_curriculum_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fit(curriculum(), "--trainer.max_steps", str(STARTS[2] + 1)) == 0

    assert clinjepa("evaluate", "--run", run.folder) == 2

    assert "has no finished phase 5 predictor_finalization" in capsys.readouterr().err
    assert not (run.folder / "evaluation").exists()


def test_a_run_that_is_to_end_with_another_phase_is_opened_there(run: Run) -> None:
    co_training = {"class_path": "clin_jepa.callbacks.CoTraining", "init_args": {"steps": TOTAL_STEPS, "stop_gradient": False}}
    assert run.fit([co_training]) == 0

    assert open_run(run.folder, None, None, "cpu").checkpoint == run.checkpoint_path("phase2")


def test_phases_trained_one_at_a_time_are_a_run_once_the_last_is_there(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fit([phase(1)]) == 0
    assert clinjepa("evaluate", "--run", run.folder) == 2
    assert f"ends phase 1 predictor_warmup at step {STARTS[2]} of {TOTAL_STEPS}, and no finished phase" in capsys.readouterr().err
    assert open_run(run.folder, run.checkpoint_path("phase1"), None, "cpu").step == STARTS[2]

    assert run.fit([phase(2, start=STARTS[2]), phase(3), phase(4)]) == 0
    assert run.fit([phase(5, start=STARTS[5])]) == 0
    assert open_run(run.folder, None, None, "cpu").checkpoint == run.checkpoint_path("phase5")


@pytest.fixture
def copied(in_one_go: Run, tmp_path: Path) -> Run:
    """A finished run whose files a test may change."""
    shutil.copytree(in_one_go.folder, tmp_path / "copied")
    return Run(in_one_go.store, tmp_path / "copied")


def test_a_run_that_does_not_list_its_phases_is_opened_at_phase_5(copied: Run) -> None:
    (copied.folder / "phases.yaml").unlink()
    assert open_run(copied.folder, None, None, "cpu").checkpoint == copied.checkpoint_path("phase5")

    copied.checkpoint_path("phase5").unlink()
    with pytest.raises(InputError, match=r"has no finished phase 5 \("):
        open_run(copied.folder, None, None, "cpu")


def test_a_run_that_was_asked_to_train_an_earlier_phase_again_is_refused(copied: Run) -> None:
    (copied.folder / "phases.yaml").write_text("- {phase: 2 joint_refinement}\n")

    with pytest.raises(InputError, match=r"was last asked for phase 2 joint_refinement but holds phase5\.ckpt of an earlier training"):
        open_run(copied.folder, None, None, "cpu")


def test_a_store_with_another_tokenizer_is_refused(in_one_go: Run, store_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clinjepa("evaluate", "--run", in_one_go.folder, "--store", store_path) == 2

    assert "was trained with another tokenizer" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_before_anything_is_computed(
    in_one_go: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))

    assert clinjepa("evaluate", "--run", in_one_go.folder) == 2

    assert f"the report needs {package}: pip install 'clin-jepa[evaluation]'" in capsys.readouterr().err


def test_the_last_rows_of_the_collapse_figures_are_of_the_final_step(small_store_path: Path, tmp_path: Path) -> None:
    run = Run(small_store_path, tmp_path / "run")
    assert run.fit(curriculum(), over={"trainer": {"limit_val_batches": 1.0, "val_check_interval": 1}}) == 0

    assert clinjepa("evaluate", "--run", run.folder, "--split", "train", "--draws", "20") == 0

    phases = json.loads((run.folder / "evaluation" / "metrics.json").read_text())["collapse"]["phases"]
    assert [(entry["phase"], entry["step"]) for entry in phases] == [
        ("1 predictor_warmup", 3),
        ("2 joint_refinement", 7),
        ("3 ema_alignment", 9),
        ("4 hard_sync", 10),
        ("5 predictor_finalization", TOTAL_STEPS),
        ("evaluation, train", TOTAL_STEPS),
    ]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clinjepa("evaluate", "--run", tmp_path) == 2

    assert "is not a run folder" in capsys.readouterr().err


def test_whole_stays_are_drawn_until_there_are_enough_hours() -> None:
    hours_S = np.array([5, 3, 8, 2])
    stay_M = np.repeat(np.arange(4), hours_S)
    hours = SplitHours(np.arange(4), hours_S, np.zeros(18, dtype=np.int64), stay_M, np.zeros(18, dtype=np.int64))
    assert drawn_hours(hours, 18, seed=0).all()
    for seed in range(10):
        drawn_M = drawn_hours(hours, 10, seed)
        assert 2 <= drawn_M.sum() <= 10
        assert all(drawn_M[stay_M == stay].all() or not drawn_M[stay_M == stay].any() for stay in range(4))
