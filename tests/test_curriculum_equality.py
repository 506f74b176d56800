"""The curriculum in one go, phase by phase, interrupted and resumed: the same weights, bit for bit."""

from pathlib import Path

import pytest
import torch
import yaml

from tests.training_runs import PHASES, STARTS, TOTAL_STEPS, Run, clinjepa, curriculum, differences, merged, phase, write_config

# Grounded, as the shipped configs are.
GROUNDING = {"ahead": 1.0, "present": 1.0, "outlook": 1.0}
DROPOUT = {"model": {"predictor": {"dropout": 0.15, "attention_dropout": 0.1}, "horizon": 3, "grounding": GROUNDING}}
VALIDATED = {"trainer": {"limit_val_batches": 1, "val_check_interval": 2}}


def trained_state(run: Run, name: str = "phase5") -> dict[str, object]:
    """What further training depends on."""
    checkpoint = run.checkpoint(name)
    return {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "clin_jepa")}


def fit_shipped_phase(run: Run, number: int, tmp_path: Path, over: dict[str, object]) -> int:
    """Train one phase by its shipped config, with the small sizes on top."""
    own = phase(number) if number == 1 else phase(number, start=STARTS[number])
    small = write_config(tmp_path / f"small{number}.yaml", [own], over)
    return clinjepa("fit", "--config", f"phase{number}.yaml", "--config", small, "--data.store", run.store, "--run", run.folder)


@pytest.fixture(scope="module")
def dropout_in_one_go(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(small_store_path, tmp_path_factory.mktemp("finished") / "dropout")
    assert run.fit(curriculum(), over=DROPOUT) == 0
    return run


@pytest.mark.parametrize("over", [{}, VALIDATED], ids=["plain", "validated"])
def test_five_shipped_configs_in_turn_equal_the_curriculum_in_one_go(
    run: Run, dropout_in_one_go: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: dict[str, object]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    for number in PHASES:
        assert fit_shipped_phase(run, number, tmp_path, merged(DROPOUT, over)) == 0, f"phase {number}"

    for number in PHASES:
        name = f"phase{number}"
        assert differences(trained_state(run, name), trained_state(dropout_in_one_go, name), name) == []


def test_each_phase_may_have_a_run_folder_of_its_own(in_one_go: Run, small_store_path: Path, tmp_path: Path) -> None:
    before = in_one_go.checkpoint_path("phase1")
    joint = Run(small_store_path, tmp_path / "joint")

    assert joint.fit([phase(2, start=STARTS[2])], "--ckpt_path", before) == 0

    assert differences(trained_state(joint, "phase2"), trained_state(in_one_go, "phase2")) == []


def test_a_checkpoint_continued_by_hard_sync_and_finalization_equals_the_curriculum_in_one_go(
    in_one_go: Run, small_store_path: Path, tmp_path: Path
) -> None:
    # Hard sync, which takes no step, has to be over before the first step of finalization.
    rest = Run(small_store_path, tmp_path / "rest")

    assert rest.fit([phase(4, start=STARTS[4]), phase(5)], "--ckpt_path", in_one_go.checkpoint_path("phase3")) == 0

    for name in ("phase4", "phase5"):
        assert differences(trained_state(rest, name), trained_state(in_one_go, name), name) == []


@pytest.mark.parametrize("stop_after", [1, 3, 5, 10, 12])
def test_a_run_stopped_at_a_step_and_resumed_equals_an_uninterrupted_one(run: Run, dropout_in_one_go: Run, stop_after: int) -> None:
    assert run.fit(curriculum(), "--trainer.max_steps", str(stop_after), "--checkpoint_every", "1", over=DROPOUT) == 0
    assert run.checkpoint("last")["global_step"] == stop_after

    assert run.fit(curriculum(), "--ckpt_path", run.checkpoint_path("last"), over=DROPOUT) == 0

    assert differences(trained_state(run), trained_state(dropout_in_one_go)) == []


@pytest.mark.parametrize("step", [2, 5])
def test_an_interrupted_run_resumes_from_its_last_checkpoint(run: Run, in_one_go: Run, step: int) -> None:
    interrupt = {"class_path": "tests.training_runs.InterruptAt", "init_args": {"step": step}}
    assert run.fit([*curriculum(), interrupt], "--checkpoint_every", "1") == 130

    assert run.fit(curriculum(), "--ckpt_path", "last") == 0

    assert differences(trained_state(run), trained_state(in_one_go)) == []


def test_a_finished_run_leaves_a_last_checkpoint_at_its_last_step(in_one_go: Run) -> None:
    assert in_one_go.checkpoint("last")["global_step"] == TOTAL_STEPS


def test_resuming_with_validation_on_equals_an_uninterrupted_run(run: Run, in_one_go: Run) -> None:
    assert run.fit(curriculum(), "--trainer.max_steps", "6", "--checkpoint_every", "1", over=VALIDATED) == 0
    assert run.fit(curriculum(), "--ckpt_path", "last", over=VALIDATED) == 0

    assert differences(trained_state(run), trained_state(in_one_go)) == []


def test_gradient_accumulation_resumes_exactly(small_store_path: Path, tmp_path: Path) -> None:
    over = merged(DROPOUT, {"trainer": {"accumulate_grad_batches": 2}})
    whole, broken = Run(small_store_path, tmp_path / "whole"), Run(small_store_path, tmp_path / "broken")
    assert whole.fit(curriculum(), over=over) == 0
    assert broken.fit(curriculum(), "--trainer.max_steps", "5", "--checkpoint_every", "1", over=over) == 0
    assert broken.fit(curriculum(), "--ckpt_path", "last", over=over) == 0

    assert differences(trained_state(broken), trained_state(whole)) == []


def test_the_latent_cache_changes_no_weight(run: Run, dropout_in_one_go: Run) -> None:
    over = merged(DROPOUT, {"model": {"latent_cache": "none"}})
    assert run.fit(curriculum(), over=over) == 0

    for name, value in dropout_in_one_go.weights().items():
        torch.testing.assert_close(run.weights()[name], value, atol=1e-4, rtol=0.0)


def test_the_chain_is_dumped_beside_the_config(in_one_go: Run) -> None:
    rows = yaml.safe_load((in_one_go.folder / "phases.yaml").read_text())

    assert [(row["phase"], row["from"], row["to"]) for row in rows] == [
        ("1 predictor_warmup", 0, 3),
        ("2 joint_refinement", 3, 7),
        ("3 ema_alignment", 7, 10),
        ("4 hard_sync", 10, 10),
        ("5 predictor_finalization", 10, 13),
    ]
