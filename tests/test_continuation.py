"""Going on from a checkpoint: with other micro-batches it is the same run; what would silently make it another one is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from clin_jepa.checkpoint import AtomicCheckpointIO
from tests.training_runs import Run, clinjepa, curriculum, merged, phase

# As in the tests of several processes: gradients that are nothing but rounding would make full steps at Adam's usual eps.
STEADY: dict[str, Any] = {"model": {"optimization": {"eps": 1e-4}}}


def cut(batch_size: int, accumulate: int, **trainer: Any) -> dict[str, Any]:
    """Four windows a step, in so many micro-batches."""
    return merged(STEADY, {"trainer": {"accumulate_grad_batches": accumulate, **trainer}, "data": {"batch_size": batch_size}})


@pytest.fixture(scope="module")
def whole_steps(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A curriculum of one batch a step."""
    run = Run(small_store_path, tmp_path_factory.mktemp("whole_steps") / "run")
    assert run.fit(curriculum(), over=cut(4, 1)) == 0
    return run


@pytest.mark.parametrize("accumulate", [[1, 4, 2], [4, 1, 4]], ids=str)
def test_other_micro_batches_from_an_odd_step_on_are_the_same_run(run: Run, whole_steps: Run, accumulate: list[int]) -> None:
    for part, (stop, count) in enumerate(zip((5, 9, 13), accumulate, strict=True)):
        words = ["--ckpt_path", "last"] if part else []
        assert run.fit(curriculum(), "--trainer.max_steps", str(stop), *words, over=cut(4 // count, count)) == 0
        assert run.checkpoint("last")["global_step"] == stop

    assert run.checkpoint()["TrajectoryDataModule"]["samples_trained"] == 4 * 13
    for name, expected in whole_steps.weights().items():
        torch.testing.assert_close(run.weights()[name], expected, atol=1e-6, rtol=0.0, msg=name)


@pytest.fixture
def refused(in_one_go: Run, run: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Continue the phase 2 of a finished run with other settings, expect a refusal, and return the message."""

    def train(*words: str, over: dict[str, Any] | None = None) -> str:
        assert run.fit(curriculum(), "--ckpt_path", str(in_one_go.checkpoint_path("phase2")), *words, over=over) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said and not run.folder.exists()
        return " ".join(said.split())

    return train


def test_another_seed_is_refused(refused: Callable[..., str]) -> None:
    assert "trained with --seed_everything 0, this run has 7, which would draw other windows" in refused("--seed_everything", "7")


@pytest.mark.parametrize(
    ("name", "value", "theirs"),
    [("optimizer", "adamw_8bit", "adamw"), ("predictor_lr", "0.1", "0.0005"), ("weight_decay", "0.5", "0.04")],
)
def test_another_optimizer_is_refused(refused: Callable[..., str], name: str, value: str, theirs: str) -> None:
    said = refused(f"--model.optimization.{name}", value)
    assert f"trained with --model.optimization.{name} {theirs}, this run has {value}" in said
    assert "--model.encoder.weights" in said


def test_a_schedule_of_another_length_is_refused(refused: Callable[..., str]) -> None:
    assert "follow a schedule of 13 steps, those of this run one of 20: give --model.optimization.total_steps 13" in refused(
        "--model.optimization.total_steps", "20"
    )


@pytest.mark.parametrize("setting", ["limit_train_batches", "overfit_batches"])
def test_a_stream_that_would_repeat_itself_is_refused(run: Run, capsys: pytest.CaptureFixture[str], setting: str) -> None:
    assert run.fit([phase(1)], f"--trainer.{setting}", "3") == 2
    assert "would draw the same windows again and again" in capsys.readouterr().err


def test_a_scheduled_accumulation_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler = {"class_path": "lightning.pytorch.callbacks.GradientAccumulationScheduler", "init_args": {"scheduling": {0: 2}}}
    assert run.fit([phase(1), scheduler]) == 2
    assert "give --trainer.accumulate_grad_batches" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["model.layers.0.", "model."])
def test_encoder_weights_that_are_not_whole_are_refused(
    run: Run, in_one_go: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    content = in_one_go.checkpoint()
    content["state_dict"] = {name: value for name, value in content["state_dict"].items() if f"encoder.lm.{lost}" not in name}
    AtomicCheckpointIO().save_checkpoint(content, tmp_path / "partial.ckpt")

    assert run.fit([phase(1)], "--model.encoder.weights", str(tmp_path / "partial.ckpt")) == 2
    assert "partial.ckpt lacks weights of the encoder, first lm.model." in capsys.readouterr().err


def test_another_optimizer_does_not_matter_to_a_measurement(in_one_go: Run, tmp_path: Path) -> None:
    words = ("--config", in_one_go.folder / "config.yaml", "--run", tmp_path / "measured", "--trainer.limit_val_batches", "1")
    checkpoint = in_one_go.checkpoint_path()
    assert clinjepa("validate", *words, "--ckpt_path", checkpoint, "--model.optimization.predictor_lr", "0.1") == 0
