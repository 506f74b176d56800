"""A run whose process is killed (SIGKILL) and that is resumed: every checkpoint equals that of an undisturbed run, bit for bit."""

from pathlib import Path
from typing import Any

import pytest

from tests.chaos.child import run_in_child
from tests.chaos.comparison import different_files
from tests.training_runs import Run, curriculum, write_config

SETTINGS: dict[str, Any] = {
    "trainer": {"limit_val_batches": 2, "val_check_interval": 3, "enable_progress_bar": False},
    "model": {"predictor": {"dropout": 0.15, "attention_dropout": 0.1}},
}
KILLED = -9


def kill_at(step: int, hook: str) -> dict[str, Any]:
    return {"class_path": "tests.chaos.strikes.SignalAt", "init_args": {"name": "SIGKILL", "step": step, "hook": hook}}


def kill_in_save(file: str, step: int, moment: str) -> dict[str, Any]:
    return {"class_path": "tests.chaos.strikes.KillInSave", "init_args": {"file": file, "step": step, "moment": moment}}


def fit_in_child(run: Run, callbacks: list[dict[str, Any]], *words: str | Path) -> int:
    config = write_config(run.folder.parent / "child.yaml", callbacks, SETTINGS)
    return run_in_child(
        "fit", "--config", config, "--data.store", run.store, "--run", run.folder, "--checkpoint_every", "4", *words,
        output=run.folder.parent / "child.log",
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(small_store_path, tmp_path_factory.mktemp("undisturbed") / "run")
    assert run.fit(curriculum(), "--checkpoint_every", "4", over=SETTINGS) == 0
    return run


def resume(run: Run) -> None:
    assert run.fit(curriculum(), "--checkpoint_every", "4", "--ckpt_path", "last", over=SETTINGS) == 0


# The phases end at steps 3, 7, 10 (alignment, then hard sync) and 13; validation follows steps 3, 6, 9 and 12.
@pytest.mark.parametrize("step", [2, 4, 6, 8, 9, 11, 12])
def test_killed_one_step_from_a_phase_s_edge(run: Run, undisturbed: Run, step: int) -> None:
    assert fit_in_child(run, [*curriculum(), kill_at(step, "train_batch_end")]) == KILLED

    resume(run)

    assert different_files(run.folder, undisturbed.folder) == []


@pytest.mark.parametrize(("step", "hook"), [(3, "train_batch_end"), (12, "validation_batch_start"), (5, "before_optimizer_step")])
def test_killed_within_a_step(run: Run, undisturbed: Run, step: int, hook: str) -> None:
    # Listed first, the strike comes before the phases: between the optimizer's step and all that follows it.
    assert fit_in_child(run, [kill_at(step, hook), *curriculum()]) == KILLED

    resume(run)

    assert different_files(run.folder, undisturbed.folder) == []


@pytest.mark.parametrize(
    ("file", "step", "moment"),
    [("last.ckpt", 4, "half written"), ("phase2.ckpt", 7, "before the rename"), ("phase3.ckpt", 10, "after the rename")],
)
def test_killed_while_a_checkpoint_is_written(run: Run, undisturbed: Run, file: str, step: int, moment: str) -> None:
    assert fit_in_child(run, [*curriculum(), kill_in_save(file, step, moment)]) == KILLED
    left = list((run.folder / "checkpoints").glob(".*.partial"))
    assert len(left) == (moment != "after the rename")

    resume(run)

    assert different_files(run.folder, undisturbed.folder) == []
    assert not [file for file in left if file.exists()]
