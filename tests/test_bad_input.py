"""A user's mistake in training: exit code 2, a message with the way out, and no run folder left behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training_runs import STARTS, Run, clinjepa, curriculum, phase

SWA = {"class_path": "lightning.pytorch.callbacks.StochasticWeightAveraging", "init_args": {"swa_lrs": 0.01, "device": None}}
EMA = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {}}


@pytest.fixture
def refused(run: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Train, expect a refusal that leaves nothing, and return the message."""

    def train(callbacks: list[dict[str, Any]], *words: str | Path, over: dict[str, Any] | None = None) -> str:
        assert run.fit(callbacks, *words, over=over) == 2
        message = capsys.readouterr().err
        assert "Traceback" not in message
        assert not run.folder.exists(), sorted(str(file) for file in run.folder.rglob("*"))
        return " ".join(message.split())

    return train


# ---------------------------------------------------------------------- the chain of phases


def test_phases_in_the_wrong_order(refused: Callable[..., str]) -> None:
    message = refused([phase(2), phase(1)])
    assert "phase 1 'predictor_warmup' cannot come after phase 2 'joint_refinement'" in message
    assert "ascending order" in message


def test_a_phase_listed_twice(refused: Callable[..., str]) -> None:
    assert "each at most once" in refused([phase(1), phase(1)])


@pytest.mark.parametrize("start", [2, 4], ids=["overlapping", "leaving a gap"])
def test_a_start_that_does_not_meet_the_phase_before(refused: Callable[..., str], start: int) -> None:
    message = refused([phase(1), phase(2, start=start)])
    assert f"starts at step {start} but 'predictor_warmup' before it ends at step 3: leave its start out" in message


@pytest.mark.parametrize("rival", [SWA, EMA], ids=["swa", "ema"])
def test_a_callback_that_owns_the_same_weights(refused: Callable[..., str], rival: dict[str, Any]) -> None:
    assert "freezes or averages weights that the phases own: remove it" in refused([*curriculum(), rival])


def test_more_steps_than_the_phases_have(refused: Callable[..., str]) -> None:
    message = refused(curriculum(), "--trainer.max_steps", "14")
    assert "trainer.max_steps is 14 but the last phase ends at step 13" in message


def test_a_schedule_shorter_than_the_phases(refused: Callable[..., str]) -> None:
    assert "total_steps is 12 but the last phase ends at step 13" in refused(curriculum(), "--model.optimization.total_steps", "12")


@pytest.mark.parametrize(("settings", "words"), [({"steps": -1}, "must not be negative"), ({"tau": 1.5}, "must lie in [0, 1)")], ids=str)
def test_a_phase_with_an_impossible_number(refused: Callable[..., str], settings: dict[str, Any], words: str) -> None:
    assert words in refused([phase(1), phase(2, **settings)])


@pytest.mark.parametrize("total_steps", [None, 13])
def test_no_phase_and_no_number_of_steps(refused: Callable[..., str], total_steps: int | None) -> None:
    # total_steps is the length of the schedule; it ends no run.
    assert "the run needs a length" in refused([], over={"model": {"optimization": {"total_steps": total_steps}}})


@pytest.mark.parametrize("until_gap", [0.0, 1.0, 2])
def test_a_gap_that_is_no_share(refused: Callable[..., str], until_gap: float) -> None:
    assert "until_gap is" in refused([phase(3, until_gap=until_gap)])


# ---------------------------------------------------------------------- checkpoints


def test_a_phase_without_the_one_before(refused: Callable[..., str]) -> None:
    message = refused([phase(2, start=STARTS[2])])
    assert "starts at step 3 but" in message and "phase1.ckpt does not exist: finish phase 1" in message


def test_a_checkpoint_that_does_not_exist(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "no.ckpt does not exist" in refused([phase(2, start=3)], "--ckpt_path", tmp_path / "no.ckpt")


def test_the_checkpoint_of_an_earlier_phase(refused: Callable[..., str], in_one_go: Run) -> None:
    message = refused([phase(3, start=STARTS[3])], "--ckpt_path", in_one_go.checkpoint_path("phase1"))
    assert "phase 3 'ema_alignment' starts at step 7 but the checkpoint is at step 3" in message
    assert "--ckpt_path" in message


def test_the_checkpoint_of_another_phase_at_the_right_step(refused: Callable[..., str], in_one_go: Run) -> None:
    message = refused([phase(5, start=STARTS[5])], "--ckpt_path", in_one_go.checkpoint_path("phase3"))
    assert "phase 5 'predictor_finalization' starts at step 10 and continues phase 4" in message
    assert "but the checkpoint is of phase 3 'ema_alignment' at step 10" in message
    assert "follows: 3" in message


def test_the_checkpoint_of_the_right_phase_at_another_step(refused: Callable[..., str], in_one_go: Run) -> None:
    message = refused([phase(2, start=2)], "--ckpt_path", in_one_go.checkpoint_path("phase1"))
    assert "phase 2 'joint_refinement' starts at step 2 and continues phase 1" in message
    assert "the checkpoint is of phase 1 'predictor_warmup' at step 3" in message


def test_the_checkpoint_of_next_token_tuning_as_the_beginning(refused: Callable[..., str], run: Run, tmp_path: Path) -> None:
    # Its steps would count as warmup's, and its optimizer state would go on.
    tuned = Run(run.store, tmp_path / "tuned")
    assert tuned.fit([{"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": 2}}]) == 0

    message = refused(curriculum(), "--ckpt_path", tuned.checkpoint_path("phase0"))

    assert "the checkpoint is of phase 0 'next_token_tuning' at step 2" in message
    assert "a tuned encoder starts a new run by --model.encoder.weights" in message


def test_the_checkpoint_of_a_later_phase(refused: Callable[..., str], in_one_go: Run) -> None:
    message = refused([phase(1)], "--ckpt_path", in_one_go.checkpoint_path("phase2"))
    assert "the checkpoint is at step 7" in message and "the last phase ends at step 3" in message


def test_a_checkpoint_whose_phase_has_other_steps_here(refused: Callable[..., str], in_one_go: Run) -> None:
    phases = [phase(1, steps=1), phase(2, steps=1), phase(3, steps=9)]
    message = refused(phases, "--ckpt_path", in_one_go.checkpoint_path("phase2"))
    assert "use the steps of the checkpoint's run" in message


def test_the_checkpoint_of_another_encoder(refused: Callable[..., str], in_one_go: Run) -> None:
    words = ("--ckpt_path", in_one_go.checkpoint_path("phase1"), "--model.encoder.adaptation", "lora")
    assert "the checkpoint is of another encoder: its adaptation is 'full'" in refused([phase(2, start=3)], *words)


def test_the_checkpoint_of_another_predictor(refused: Callable[..., str], in_one_go: Run) -> None:
    words = ("--ckpt_path", in_one_go.checkpoint_path("phase1"), "--model.predictor.width", "64")
    assert "the checkpoint does not fit this model" in refused([phase(2, start=3)], *words)


def test_the_checkpoint_of_a_predictor_with_more_layers(refused: Callable[..., str], run: Run, tmp_path: Path) -> None:
    deep = Run(run.store, tmp_path / "deep")
    assert deep.fit([phase(1)], "--model.predictor.layers", "2") == 0

    assert "missing or left over" in refused([phase(2, start=3)], "--ckpt_path", deep.checkpoint_path("phase1"))


@pytest.mark.parametrize(
    ("setting", "theirs", "ours"),
    [("predictor.heads", "2", "4"), ("predictor.residual", "False", "True"), ("normalize_latents", "False", "True")],
)
def test_the_checkpoint_of_a_model_that_computes_otherwise(
    refused: Callable[..., str], in_one_go: Run, setting: str, theirs: str, ours: str
) -> None:
    # The parameters have the same names and shapes, so only the settings tell.
    words = ("--ckpt_path", in_one_go.checkpoint_path("phase1"), f"--model.{setting}", ours.lower())
    assert f"the checkpoint has --model.{setting} {theirs}, this run {ours}" in refused([phase(2, start=3)], *words)


def test_the_checkpoint_of_another_store(run: Run, in_one_go: Run, store_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Run(store_path, run.folder)
    assert other.fit([phase(2, start=3)], "--ckpt_path", in_one_go.checkpoint_path("phase1")) == 2
    assert "--data.store" in capsys.readouterr().err
    assert not run.folder.exists()


def truncated(good: bytes) -> bytes:
    return good[: len(good) // 2]


def empty(good: bytes) -> bytes:
    return b""


def text(good: bytes) -> bytes:
    return b"not a checkpoint"


@pytest.mark.parametrize("damage", [truncated, empty, text])
def test_a_damaged_checkpoint(refused: Callable[..., str], in_one_go: Run, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "damaged.ckpt"
    file.write_bytes(damage(in_one_go.checkpoint_path("phase1").read_bytes()))
    assert "is damaged or not a Clin-JEPA checkpoint" in refused([phase(2, start=3)], "--ckpt_path", file)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], torch.zeros(2)], ids=["dict", "list", "tensor"])
def test_a_foreign_checkpoint(refused: Callable[..., str], tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "foreign.ckpt")
    assert "is not a Clin-JEPA checkpoint" in refused([phase(2, start=3)], "--ckpt_path", tmp_path / "foreign.ckpt")


def test_a_checkpoint_that_would_run_code(refused: Callable[..., str], tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    torch.save({"clin_jepa": Trap()}, tmp_path / "trap.ckpt")
    refused([phase(2, start=3)], "--ckpt_path", tmp_path / "trap.ckpt")
    assert not (tmp_path / "sprung").exists()


def test_encoder_weights_of_another_encoder(refused: Callable[..., str], in_one_go: Run) -> None:
    words = ("--model.encoder.weights", in_one_go.checkpoint_path("phase1"), "--data.vocab_size", "600")
    assert "the checkpoint is of another encoder: its shape" in refused([phase(1)], *words)


def test_encoder_weights_of_another_tokenizer(run: Run, in_one_go: Run, store_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The vocabulary is of the same size, so the shapes agree, but its numbers mean other words.
    other = Run(store_path, run.folder)
    assert other.fit([phase(1)], "--model.encoder.weights", in_one_go.checkpoint_path("phase1")) == 2
    assert "was trained with another tokenizer" in capsys.readouterr().err
    assert not run.folder.exists()


# ---------------------------------------------------------------------- data and model


def test_no_store(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(tmp_path / "nowhere", run.folder).fit([phase(1)]) == 2
    assert "is not a trajectory store" in capsys.readouterr().err
    assert not run.folder.exists()


def test_a_store_of_another_schema_version(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = Path(shutil.copytree(run.store, tmp_path / "old"))
    dataset = json.loads((old / "dataset.json").read_text())
    (old / "dataset.json").write_text(json.dumps(dataset | {"schema_version": 0}))
    assert Run(old, run.folder).fit([phase(1)]) == 2
    assert "schema version 0" in capsys.readouterr().err
    assert not run.folder.exists()


def test_a_model_that_is_nowhere(refused: Callable[..., str]) -> None:
    message = refused([phase(1)], "--model.encoder.base", "/no/such/model")
    assert "neither a local folder" in message and "--model.encoder.base" in message and "go online" in message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--model.predictor.width", "30", "--model.predictor.heads", "4"), "width a multiple of heads"),
        (("--model.horizon", "0"), "--model.horizon 0 must be at least 1"),
        (("--model.optimization.warmup_fraction", "2"), "warmup_fraction lies in [0, 1]"),
        (("--data.batch_size", "0"), "--data.batch_size"),
        (("--data.windowing.hours", "3"), "min_hours <= hours"),
        (("--rollout_monitor.context", "0"), "context and horizon of at least 1"),
        (("--collapse_monitor.thresholds.rankme_fraction", "7"), "does not lie between 0 and 1"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_impossible_setting(refused: Callable[..., str], words: tuple[str, ...], expected: str) -> None:
    assert expected in refused([phase(1)], *words)


def test_windows_longer_than_the_predictor_reads(refused: Callable[..., str]) -> None:
    assert "max_hours" in refused([phase(1)], "--model.predictor.max_hours", "12")


def test_an_unknown_key(refused: Callable[..., str]) -> None:
    assert "temperature" in refused([phase(1)], over={"model": {"temperature": 1}})


def test_a_config_that_is_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert clinjepa("fit", "--config", "phase7.yaml") == 2
    assert "phase7.yaml" in capsys.readouterr().err


# ---------------------------------------------------------------------- the run folder


def test_a_refused_overwrite_keeps_the_earlier_run(in_one_go: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(in_one_go.store, Path(shutil.copytree(in_one_go.folder, tmp_path / "run")))
    before = {str(file.relative_to(run.folder)) for file in run.folder.rglob("*")}
    words = ("--overwrite", "true", "--ckpt_path", in_one_go.checkpoint_path("phase1"), "--model.encoder.adaptation", "lora")

    assert run.fit([phase(2, start=3)], *words) == 2

    assert {str(file.relative_to(run.folder)) for file in run.folder.rglob("*")} == before


def test_a_folder_that_holds_no_run_is_not_overwritten(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (run.folder / "checkpoints").mkdir(parents=True)
    (run.folder / "checkpoints" / "mine.ckpt").write_text("mine")

    assert run.fit([phase(1)], "--overwrite", "true") == 2

    assert "holds no run, so it is not overwritten: give another folder with --run" in capsys.readouterr().err
    assert [file.name for file in run.folder.rglob("*.*")] == ["mine.ckpt"]


@pytest.mark.parametrize("option", ["--run", "--data.token_folder"])
def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    # A folder inside a file: unlike permissions, that stops root too.
    (tmp_path / "file").write_text("a file")

    assert run.fit([phase(1)], option, tmp_path / "file" / "folder") == 2

    message = " ".join(capsys.readouterr().err.split())
    assert f"the folder {tmp_path / 'file' / 'folder'} cannot be written" in message and f"with {option}" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("verb", ["test", "predict"])
def test_measuring_into_a_folder_that_cannot_be_written(
    in_one_go: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    (tmp_path / "file").write_text("a file")
    words = ("--run", tmp_path / "file" / "run", "--ckpt_path", in_one_go.checkpoint_path())

    assert clinjepa(verb, "--config", in_one_go.folder / "config.yaml", *words) == 2

    assert "cannot be written" in capsys.readouterr().err
