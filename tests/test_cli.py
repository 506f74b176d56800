"""The command line: verbs, shipped names, run folders, and what follows training."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from clin_jepa.cli import main
from clin_jepa.shipped_configs import config_folder, resolve_config_names
from tests.data_pipelines.hospital import write_mimic_iv
from tests.training_runs import PHASES, STARTS, Run, clinjepa, curriculum, phase, write_config

VERBS = ("extract", "fit", "validate", "test", "predict", "evaluate")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_verb_with_a_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    for verb in VERBS:
        assert [line for line in lines if line.split()[:1] == [verb] and len(line.split()) > 3], verb


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from clin_jepa import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"clinjepa {__version__}\n"


def test_an_unknown_verb_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 2
    message = capsys.readouterr().err
    assert "unknown verb 'train'" in message and "fit" in message


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert clinjepa(verb, "--help") == 0
    assert "usage: clinjepa" in capsys.readouterr().out


# ---------------------------------------------------------------------- shipped names


def test_a_bare_shipped_name_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = str(config_folder() / "phase3.yaml")

    assert resolve_config_names(["fit", "--config", "phase3.yaml"]) == ["fit", "--config", expected]
    assert resolve_config_names(["fit", "-c", "phase3.yaml"]) == ["fit", "-c", expected]
    assert resolve_config_names(["fit", "--config=phase3.yaml"]) == ["fit", f"--config={expected}"]


def test_a_shipped_name_in_a_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_config_names(["--config", "encoder/tiny.yaml"])[1] == str(config_folder() / "encoder" / "tiny.yaml")


def test_a_file_of_that_name_here_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phase3.yaml").write_text("run: mine\n")
    assert resolve_config_names(["--config", "phase3.yaml"]) == ["--config", "phase3.yaml"]


def test_other_words_stay_as_they_are() -> None:
    words = ["fit", "--run", "phase3.yaml", "--config", "mine.yaml", "--config"]
    assert resolve_config_names(words) == words


# ---------------------------------------------------------------------- the run folder


@pytest.fixture
def finished(in_one_go: Run, tmp_path: Path) -> Run:
    """A copy of a finished run that a test may change."""
    return Run(in_one_go.store, Path(shutil.copytree(in_one_go.folder, tmp_path / "finished")))


def test_a_run_folder_holds_what_the_readme_names(in_one_go: Run) -> None:
    names = {file.name.split(".out.")[0] for file in in_one_go.folder.iterdir()}
    assert {"config.yaml", "phases.yaml", "checkpoints", "events"} <= names


def test_a_second_run_in_a_used_folder_is_refused(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.stat().st_mtime_ns for file in finished.folder.rglob("*")}

    assert finished.fit(curriculum()) == 2

    message = capsys.readouterr().err
    assert "is not empty" in message and "--run" in message and "--overwrite true" in message
    assert {file: file.stat().st_mtime_ns for file in finished.folder.rglob("*")} == before


def test_overwrite_replaces_the_run_and_spares_foreign_files(finished: Run) -> None:
    (finished.folder / "notes.md").write_text("mine")
    (finished.folder / "figures").mkdir()
    (finished.folder / "figures" / "one.png").write_text("mine")

    assert finished.fit([phase(1)], "--overwrite", "true") == 0

    assert (finished.folder / "notes.md").read_text() == (finished.folder / "figures" / "one.png").read_text() == "mine"
    assert {file.name for file in (finished.folder / "checkpoints").glob("phase*")} == {"phase1.ckpt"}
    assert len(list(finished.folder.glob("events.*"))) == 1


def test_a_run_folder_that_is_a_file_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.folder.write_text("a file")
    assert run.fit([phase(1)]) == 2
    assert "is a file" in capsys.readouterr().err
    assert run.folder.read_text() == "a file"


def test_the_kept_config_trains_the_same_run_again(in_one_go: Run, tmp_path: Path) -> None:
    again = Run(in_one_go.store, tmp_path / "again")

    assert clinjepa("fit", "--config", in_one_go.folder / "config.yaml", "--run", again.folder) == 0

    assert all(torch.equal(value, again.weights()[name]) for name, value in in_one_go.weights().items())


def phases_left(run: Run) -> set[str]:
    return {file.stem for file in (run.folder / "checkpoints").glob("phase*")}


def test_training_an_earlier_phase_again_removes_what_followed_from_it(finished: Run) -> None:
    assert finished.fit([phase(2, start=STARTS[2], tau=0.5)], "--ckpt_path", finished.checkpoint_path("phase1")) == 0
    assert phases_left(finished) == {"phase1", "phase2"}


def test_hard_sync_again_removes_what_followed_from_it(finished: Run) -> None:
    assert finished.fit([phase(4, start=STARTS[4])], "--ckpt_path", finished.checkpoint_path("phase3")) == 0
    assert phases_left(finished) == {"phase1", "phase2", "phase3", "phase4"}


def test_a_run_resumed_within_a_phase_removes_that_phase_s_checkpoint_and_later_ones(finished: Run, run: Run) -> None:
    assert run.fit(curriculum(), "--trainer.max_steps", "5", "--checkpoint_every", "1") == 0
    words = ("--trainer.max_steps", "6", "--ckpt_path", run.checkpoint_path("last").rename(finished.checkpoint_path("step5")))

    assert finished.fit(curriculum(), *words) == 0

    assert phases_left(finished) == {"phase1"}


def test_a_refused_start_removes_no_checkpoint(finished: Run) -> None:
    words = ("--ckpt_path", finished.checkpoint_path("phase1"), "--model.normalize_latents", "true")
    assert finished.fit([phase(2, start=STARTS[2])], *words) == 2
    assert phases_left(finished) == {f"phase{number}" for number in PHASES}


def test_a_finished_run_continued_keeps_its_checkpoints(finished: Run) -> None:
    assert finished.fit(curriculum(), "--ckpt_path", "last") == 0
    assert phases_left(finished) == {f"phase{number}" for number in PHASES}


def test_no_progress_bar_is_a_choice(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fit([phase(1)], "--trainer.enable_progress_bar", "false") == 0
    assert "it/s" not in "".join(capsys.readouterr())


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files of this process go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


INTERRUPT = {"class_path": "tests.training_runs.InterruptAt", "init_args": {"step": 1}}


@pytest.mark.parametrize(("more", "code"), [([], 0), ([INTERRUPT], 130)], ids=["finished", "interrupted"])
def test_a_fast_dev_run_leaves_nothing(run: Run, temporary: Path, more: list[dict[str, Any]], code: int) -> None:
    assert run.fit([phase(1), *more], "--trainer.fast_dev_run", "2") == code

    assert not run.folder.exists()
    assert list(temporary.iterdir()) == []


# ---------------------------------------------------------------------- after training


def after(run: Run, verb: str, *words: str) -> int:
    return clinjepa(verb, "--config", run.folder / "config.yaml", "--run", run.folder, *words)


@pytest.mark.parametrize(("verb", "stage"), [("validate", "val"), ("test", "test")])
def test_a_finished_run_is_measured(finished: Run, verb: str, stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--trainer.limit_val_batches", "1.0") if verb == "validate" else ()
    assert after(finished, verb, *words) == 0
    assert f"{stage}/mase_h1" in capsys.readouterr().out


def test_measuring_leaves_the_run_s_files_alone(finished: Run) -> None:
    def state() -> dict[Path, int]:
        return {f: f.stat().st_mtime_ns for f in finished.folder.rglob("*") if f.is_file() and "latents" not in f.parts}

    before = state()
    assert after(finished, "test") == 0
    assert state() == before


def test_predict_writes_each_held_out_hour_once_with_its_latent(finished: Run) -> None:
    # The verb's line in the help: "Write latents and next-hour predictions of the held-out split."
    assert after(finished, "predict") == 0

    written = pl.concat([pl.read_parquet(file) for file in sorted((finished.folder / "predictions").glob("*.parquet"))])
    stays = pl.read_parquet(finished.store / "stays.parquet").filter(pl.col("split") == "held_out")
    assert set(written["stay_id"]) == set(stays["stay_id"])
    assert {"stay_id", "hour", "latent", "predicted_next"} <= set(written.columns)
    assert written.select("stay_id", "hour").n_unique() == stays["n_hours"].sum()


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_measured_checkpoint_s_run_is_where_things_are_written(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = write_config(tmp_path / "no_run.yaml", curriculum())

    words = ("--data.store", finished.store, "--ckpt_path", finished.checkpoint_path("phase2"))
    assert clinjepa(verb, "--config", config, *words) == 0

    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (finished.folder / "predictions").is_dir() == (verb == "predict")


def test_the_last_checkpoint_of_a_run_is_measured_by_its_name(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert after(finished, "test", "--ckpt_path", "last") == 0
    assert "test/mase_h1" in capsys.readouterr().out


def test_a_fast_dev_run_of_predict_keeps_the_predictions(finished: Run) -> None:
    assert after(finished, "predict") == 0
    before = {file: file.read_bytes() for file in (finished.folder / "predictions").iterdir()}

    assert after(finished, "predict", "--trainer.fast_dev_run", "1") == 0

    assert {file: file.read_bytes() for file in (finished.folder / "predictions").iterdir()} == before


def test_measuring_a_folder_without_a_run_is_refused(finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = finished.folder / "config.yaml"
    assert clinjepa("test", "--config", config, "--run", tmp_path / "nothing") == 2
    assert "holds no finished phase" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_measuring_reads_the_newest_phase(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def table(*words: str) -> list[str]:
        assert after(finished, "test", *words) == 0
        return [line for line in capsys.readouterr().out.splitlines() if "test/" in line and "it/s" not in line]

    assert (
        table()
        == table("--ckpt_path", str(finished.checkpoint_path("phase5")))
        != table("--ckpt_path", str(finished.checkpoint_path("phase1")))
    )


def test_from_checkpoint_gives_the_run_s_model(in_one_go: Run) -> None:
    from clin_jepa.module import ClinJEPA

    model = ClinJEPA.from_checkpoint(in_one_go.checkpoint_path())

    assert not model.training
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in in_one_go.weights().items())


# ---------------------------------------------------------------------- extract


def test_extract_writes_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = write_mimic_iv(tmp_path / "raw")

    assert clinjepa("extract", "--source", "mimic_iv", "--input", raw, "--output", tmp_path / "store") == 0

    assert (tmp_path / "store" / "dataset.json").is_file()
    assert str(tmp_path / "store") in capsys.readouterr().out


def test_extract_of_a_missing_folder_is_refused_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--source", "mimic_iv", "--input", tmp_path / "nowhere", "--output", tmp_path / "store")
    assert clinjepa("extract", *words) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_of_the_process_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "argv", ["python", "--mine"])
    clinjepa("fit", "--config", "phase7.yaml")
    assert sys.argv == ["python", "--mine"]
