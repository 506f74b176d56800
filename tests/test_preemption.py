"""A run that a signal ends: where it stops, what it leaves, what it says, and that going on equals a run that nothing disturbs."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.child import run_in_child
from tests.chaos.comparison import different_files
from tests.training_runs import Run, curriculum, merged, phase, write_config

SETTINGS: dict[str, Any] = {
    "trainer": {"limit_val_batches": 2, "val_check_interval": 3, "enable_progress_bar": False},
    "model": {"predictor": {"dropout": 0.15, "attention_dropout": 0.1}},
}
TERMINATED, STOPPED_BY_USR1, INTERRUPTED = 128 + 15, 128 + 10, 128 + 2
JOB = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NAME": "clinjepa",
    "SLURM_NTASKS": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}


def strike(name: str, step: int, hook: str) -> dict[str, Any]:
    return {"class_path": "tests.chaos.strikes.SignalAt", "init_args": {"name": name, "step": step, "hook": hook}}


def fit(run: Run, callbacks: list[dict[str, Any]], *words: str | Path, over: dict[str, Any] | None = None) -> int:
    return run.fit(callbacks, "--checkpoint_every", "100", *words, over=merged(SETTINGS, over or {}))


@pytest.fixture(scope="module")
def undisturbed(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(small_store_path, tmp_path_factory.mktemp("undisturbed") / "run")
    assert fit(run, curriculum()) == 0
    return run


# ---------------------------------------------------------------------- where it stops


@pytest.mark.parametrize(
    ("step", "hook"),
    [
        (5, "train_batch_start"),
        (5, "before_optimizer_step"),
        (5, "train_batch_end"),
        (7, "train_batch_end"),
        (3, "validation_batch_start"),
        (9, "validation_batch_start"),
    ],
)
def test_a_terminated_run_goes_on_exactly(run: Run, undisturbed: Run, capsys: pytest.CaptureFixture[str], step: int, hook: str) -> None:
    # Listed first, the strike at the end of a batch comes between the optimizer's step and the target's.
    assert fit(run, [strike("SIGTERM", step, hook), *curriculum()]) == TERMINATED
    last = run.checkpoint_path("last")
    stopped_at = run.checkpoint("last")["global_step"]
    assert stopped_at == step + (hook in ("train_batch_start", "before_optimizer_step"))
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("clinjepa fit")]
    assert said == [f"clinjepa fit: terminated at step {stopped_at}; continue with --ckpt_path {last}"]

    assert fit(run, curriculum(), "--ckpt_path", last) == 0

    assert different_files(run.folder, undisturbed.folder) == []


def test_terminated_behind_the_last_step_a_run_ends_by_itself(run: Run, undisturbed: Run) -> None:
    assert fit(run, [strike("SIGTERM", 13, "train_batch_end"), *curriculum()]) == 0

    assert different_files(run.folder, undisturbed.folder) == []


def test_terminated_twice_within_the_validation_that_is_made_up_for(run: Run, undisturbed: Run) -> None:
    again = [strike("SIGTERM", 6, "validation_batch_start"), *curriculum()]
    assert fit(run, again) == TERMINATED
    assert fit(run, again, "--ckpt_path", "last") == TERMINATED
    assert fit(run, curriculum(), "--ckpt_path", "last") == 0

    assert different_files(run.folder, undisturbed.folder) == []


@pytest.mark.parametrize(
    ("validates", "hook", "stops_at"),
    [(4, "backward", 4), (3, "backward", 4), (3, "validation_batch_start", 5)],
    ids=["after a validation at the step's end", "before a validation within the step", "in a validation within the step"],
)
def test_a_step_of_several_batches_is_done_again(small_store_path: Path, tmp_path: Path, validates: int, hook: str, stops_at: int) -> None:
    # Batches 9 and 10 make the step that follows step 4; the signal comes in the first of them or in the validation behind it.
    over = {"trainer": {"accumulate_grad_batches": 2, "val_check_interval": validates}}
    whole, broken = Run(small_store_path, tmp_path / "whole"), Run(small_store_path, tmp_path / "broken")
    assert fit(whole, curriculum(), over=over) == 0

    assert fit(broken, [*curriculum(), strike("SIGTERM", 4, hook)], over=over) == TERMINATED
    assert broken.checkpoint("last")["global_step"] == stops_at
    assert fit(broken, curriculum(), "--ckpt_path", "last", over=over) == 0

    assert different_files(broken.folder, whole.folder) == []


def test_two_processes_stop_at_the_same_step_when_one_is_asked(run: Run, tmp_path: Path) -> None:
    only_rank_1 = merged(strike("SIGTERM", 4, "train_batch_start"), {"init_args": {"rank": 1}})
    over = merged(SETTINGS, {"trainer": {"strategy": "ddp", "devices": 2, "limit_val_batches": 0}})
    config = write_config(tmp_path / "two.yaml", [phase(1), phase(2), only_rank_1], over)
    words = ["fit", "--config", config, "--data.store", run.store, "--run", run.folder]

    done = subprocess.run([sys.executable, "-m", "clin_jepa.cli", *map(str, words)], check=False, capture_output=True, text=True)

    assert done.returncode % 256 in (TERMINATED, 256 - 15), done.stderr
    assert done.stderr.count("clinjepa fit: terminated at step 5") == 1
    assert run.checkpoint("last")["global_step"] == 5


# ---------------------------------------------------------------------- what else may happen


def test_an_error_between_the_optimizer_s_step_and_the_target_s_saves_nothing(run: Run, undisturbed: Run) -> None:
    with pytest.raises(RuntimeError, match="struck at step 5"):
        fit(run, [strike("error", 5, "train_batch_end"), *curriculum()])
    assert run.checkpoint("last")["global_step"] == 3

    assert fit(run, curriculum(), "--ckpt_path", "last") == 0

    assert different_files(run.folder, undisturbed.folder) == []


def test_the_first_checkpoint_is_there_before_the_first_step(run: Run, undisturbed: Run) -> None:
    with pytest.raises(RuntimeError, match="struck at step 0"):
        fit(run, [strike("error", 0, "train_batch_start"), *curriculum()])
    assert run.checkpoint("last")["global_step"] == 0

    assert fit(run, curriculum(), "--ckpt_path", "last") == 0

    assert different_files(run.folder, undisturbed.folder) == []


def test_the_last_checkpoint_of_a_longer_run_is_replaced_at_once(run: Run, undisturbed: Run, tmp_path: Path) -> None:
    # Else `last` would lead back to the weights that this training leaves behind.
    again = Run(run.store, Path(shutil.copytree(undisturbed.folder, tmp_path / "again")))
    with pytest.raises(RuntimeError):
        fit(
            again,
            [phase(3, start=7), phase(4), phase(5), strike("error", 7, "train_batch_start")],
            "--ckpt_path",
            again.checkpoint_path("phase2"),
        )

    assert again.checkpoint("last")["global_step"] == 7


def test_control_c_ends_the_step_and_saves(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(run, [*curriculum(), strike("SIGINT", 4, "backward")]) == INTERRUPTED

    assert "clinjepa fit: interrupted at step 5; continue with" in capsys.readouterr().err
    assert run.checkpoint("last")["global_step"] == 5


def test_a_second_control_c_ends_at_once_and_saves_nothing(run: Run) -> None:
    twice = [strike("SIGINT", 4, "train_batch_start"), strike("SIGINT", 4, "backward")]
    assert fit(run, [*curriculum(), *twice]) == INTERRUPTED

    assert run.checkpoint("last")["global_step"] == 3


def test_a_second_sigterm_changes_nothing(run: Run) -> None:
    twice = [strike("SIGTERM", 4, "train_batch_start"), strike("SIGTERM", 4, "backward")]
    assert fit(run, [*curriculum(), *twice]) == TERMINATED

    assert run.checkpoint("last")["global_step"] == 5


def test_killed_while_it_saves_on_sigterm_the_earlier_checkpoint_is_left(run: Run, undisturbed: Run) -> None:
    kill = {"class_path": "tests.chaos.strikes.KillInSave", "init_args": {"file": "last.ckpt", "step": 5, "moment": "half written"}}
    assert fit_in_child(run, [*curriculum(), strike("SIGTERM", 4, "backward"), kill])[0] == -9
    assert run.checkpoint("last")["global_step"] == 3

    assert fit(run, curriculum(), "--ckpt_path", "last") == 0

    assert different_files(run.folder, undisturbed.folder) == []


def test_after_a_run_the_signals_are_whose_they_were(run: Run) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    assert fit(run, [*curriculum(), strike("SIGTERM", 1, "backward")]) == TERMINATED

    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)] == before


# ---------------------------------------------------------------------- SLURM


def fit_in_child(run: Run, callbacks: list[dict[str, Any]], *words: str | Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Train in a process of its own; exit code and what it printed."""
    config = write_config(run.folder.parent / "child.yaml", callbacks, SETTINGS)
    log = run.folder.parent / "child.log"
    words = ("fit", "--config", config, "--data.store", run.store, "--run", run.folder, "--checkpoint_every", "100", *words)
    return run_in_child(*words, env=env, output=log), log.read_text()


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a SLURM job, with a `scontrol` that notes its words."""
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path / "scontrol.log"}\n')
    scontrol.chmod(0o755)
    return {**JOB, "PATH": f"{scontrol.parent}:{os.environ['PATH']}"}


def test_a_sigterm_that_follows_slurm_s_signal_does_not_cost_the_requeue(run: Run, tmp_path: Path, slurm: dict[str, str]) -> None:
    callbacks = [*curriculum(), strike("SIGUSR1", 4, "backward"), strike("SIGTERM", 4, "before_optimizer_step")]
    code, said = fit_in_child(run, callbacks, env=slurm)
    assert code == STOPPED_BY_USR1, said
    assert (tmp_path / "scontrol.log").read_text() == "requeue 4711\n"


def test_torchrun_within_a_slurm_allocation_counts_its_own_processes(run: Run) -> None:
    config = write_config(run.folder.parent / "two.yaml", [phase(1)], {"trainer": {"devices": 2, "strategy": "ddp"}})
    words = ["fit", "--config", config, "--data.store", run.store, "--run", run.folder]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "--", "clin_jepa.cli"]
    result = subprocess.run(
        [*torchrun, *map(str, words)], env={**os.environ, **JOB, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "MEMBER: 2/2" in result.stderr
    assert run.checkpoint("phase1")["TrajectoryDataModule"]["samples_trained"] == 3 * 2 * 2


@pytest.mark.parametrize("words", [(), ("--overwrite", "true")], ids=["plain", "overwriting"])
def test_a_requeued_job_goes_on_with_the_very_same_command_line(
    run: Run, undisturbed: Run, tmp_path: Path, slurm: dict[str, str], words: tuple[str, ...]
) -> None:
    callbacks = [*curriculum(), strike("SIGUSR1", 4, "backward")]
    code, said = fit_in_child(run, callbacks, *words, env=slurm)
    assert code == STOPPED_BY_USR1, said
    assert "clinjepa fit: requeued SLURM job 4711" in said
    assert (tmp_path / "scontrol.log").read_text() == "requeue 4711\n"
    assert not list(run.folder.rglob("hpc_ckpt*"))

    code, said = fit_in_child(run, callbacks, *words, env={**slurm, "SLURM_RESTART_COUNT": "1"})

    assert code == 0, said
    assert different_files(run.folder, undisturbed.folder) == []


def test_a_requeued_job_without_a_checkpoint_starts_over(run: Run, undisturbed: Run, slurm: dict[str, str]) -> None:
    (run.folder / "checkpoints").mkdir(parents=True)
    (run.folder / "config.yaml").write_text("half a con")

    code, said = fit_in_child(run, curriculum(), env={**slurm, "SLURM_RESTART_COUNT": "1"})

    assert code == 0, said
    assert different_files(run.folder, undisturbed.folder) == []


def test_a_requeued_job_does_not_go_on_with_another_job_s_run(run: Run, undisturbed: Run, tmp_path: Path, slurm: dict[str, str]) -> None:
    # It was requeued before it came to replace the earlier run, as it was told.
    other = Run(run.store, Path(shutil.copytree(undisturbed.folder, tmp_path / "other")))

    code, said = fit_in_child(other, [phase(1)], "--overwrite", "true", env={**slurm, "SLURM_RESTART_COUNT": "1"})

    assert code == 0, said
    assert other.checkpoint("last")["global_step"] == 3


def test_a_task_of_an_array_is_requeued_by_its_own_name(run: Run, tmp_path: Path, slurm: dict[str, str]) -> None:
    array = {"SLURM_ARRAY_JOB_ID": "4700", "SLURM_ARRAY_TASK_ID": "3"}
    assert fit_in_child(run, [*curriculum(), strike("SIGUSR1", 1, "backward")], env={**slurm, **array})[0] == STOPPED_BY_USR1

    assert (tmp_path / "scontrol.log").read_text() == "requeue 4700_3\n"


def test_a_job_that_cannot_be_requeued_says_so_and_has_saved(run: Run, slurm: dict[str, str]) -> None:
    (Path(slurm["PATH"].split(":")[0]) / "scontrol").write_text("#!/bin/sh\necho 'Job is pinned' >&2\nexit 1\n")

    code, said = fit_in_child(run, [*curriculum(), strike("SIGUSR1", 1, "backward")], env=slurm)

    assert code == STOPPED_BY_USR1
    assert "clinjepa fit: SLURM job 4711 was not requeued (Job is pinned): submit it again" in said
    assert run.checkpoint("last")["global_step"] == 2


def test_a_terminated_job_is_not_requeued(run: Run, tmp_path: Path, slurm: dict[str, str]) -> None:
    # scancel sends SIGTERM too; a job that SLURM pre-empts goes back into the queue by SLURM's own hand.
    assert fit_in_child(run, [*curriculum(), strike("SIGTERM", 1, "backward")], env=slurm)[0] == TERMINATED

    assert not (tmp_path / "scontrol.log").exists()
