"""The curriculum on a pretrained model with LoRA: what its checkpoints hold, and that they suffice."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from clin_jepa.data import datamodule
from clin_jepa.evaluation.finished_run import open_run
from clin_jepa.module import ClinJEPA
from tests.language_models import save_language_model
from tests.training_runs import RECORDER, GradientLog, Recorder, Run, Step, curriculum, differs, phase

TEXT = torch.tensor([5, 6, 7, 8, 0]), torch.tensor([5])


def settings(base: Path | str, **encoder: Any) -> dict[str, Any]:
    return {"model": {"encoder": {"base": str(base), "adaptation": "lora", "lora_rank": 2, **encoder}}, "data": {"max_text_tokens": 96}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def finished(base: Path, small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Step]]:
    """A finished curriculum on a local model folder, watched."""
    run = Run(small_store_path, tmp_path_factory.mktemp("finished") / "lora")
    assert run.fit([*curriculum(), RECORDER], over=settings(base)) == 0
    return run, list(Recorder.steps)


def test_a_checkpoint_holds_both_adapters_and_no_base_weight(finished: tuple[Run, list[Step]]) -> None:
    names = finished[0].weights("phase2", "encoder.")

    assert names and all("lora_" in name for name in names)
    assert sum(".online." in name for name in names) == sum(".target." in name for name in names) == 2 * 4 * 2


def test_a_checkpoint_names_its_base(finished: tuple[Run, list[Step]], base: Path) -> None:
    identity = finished[0].checkpoint("phase2")["clin_jepa"]["encoder"]

    assert identity["base"] == str(base) and identity["adaptation"] == "lora"


def test_the_saved_target_adapter_is_the_ema_one(finished: tuple[Run, list[Step]]) -> None:
    run, steps = finished
    last_joint = [step for step in steps if step.phase == 2][-1]
    saved = run.weights("phase2", "encoder.lm.")

    for name, value in last_joint.after["target"].items():
        assert torch.equal(saved[f"encoder.lm.{name.replace('.online.', '.target.')}"], value)
    assert differs(last_joint.after["target"], last_joint.after["encoder"])


def test_the_online_adapter_moves_in_joint_refinement_only(finished: tuple[Run, list[Step]]) -> None:
    assert {step.phase for step in finished[1] if step.moved("encoder")} == {2}


def test_the_target_adapter_equals_the_online_one_after_hard_sync(finished: tuple[Run, list[Step]]) -> None:
    after = finished[1][-1].after
    assert not differs(after["target"], after["encoder"])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_reach_what_a_phase_trains_and_nothing_else(base: Path, run: Run, checkpointing: bool) -> None:
    GradientLog.steps = []
    log = {"class_path": "tests.training_runs.GradientLog"}
    over = {**settings(base, activation_checkpointing=checkpointing)}
    over["model"]["optimization"] = {"encoder_lr": 1e-3}
    assert run.fit([*curriculum(), log], over=over) == 0

    assert {number for number, _ in GradientLog.steps} == {1, 2, 3, 5}
    adapters = set(run.weights("phase2", "encoder."))
    for number, reached in GradientLog.steps:
        encoder = {name for name in reached if not name.startswith("predictor.")}
        assert any(name.startswith("predictor.") for name in reached)
        # A freshly made adapter's B is zero, so that its A gets its first gradient one step later.
        assert encoder <= {name for name in adapters if ".online." in name} if number == 2 else not encoder, number
    last_joint = [reached for number, reached in GradientLog.steps if number == 2][-1]
    assert {name for name in adapters if ".online." in name} <= last_joint

    moments = {name: run.checkpoint(name)["optimizer_states"][0] for name in ("phase1", "phase2", "phase5")}
    encoder_numbers = moments["phase1"]["param_groups"][0]["params"]
    assert not any(number in moments["phase1"]["state"] for number in encoder_numbers)
    for number in encoder_numbers:
        for name, value in moments["phase2"]["state"][number].items():
            assert torch.equal(value, moments["phase5"]["state"][number][name])


@pytest.mark.parametrize("stop_after", [5, 9])
def test_a_stopped_run_resumes_bit_for_bit(finished: tuple[Run, list[Step]], base: Path, run: Run, stop_after: int) -> None:
    assert run.fit(curriculum(), "--trainer.max_steps", str(stop_after), "--checkpoint_every", "1", over=settings(base)) == 0
    assert run.fit(curriculum(), "--ckpt_path", "last", over=settings(base)) == 0

    assert not differs(run.weights(), finished[0].weights())


def test_a_checkpoint_of_another_base_is_refused(
    finished: tuple[Run, list[Step]], run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save_language_model(tmp_path / "other", hidden_size=32)
    assert run.fit([phase(2, start=3)], "--ckpt_path", finished[0].checkpoint_path("phase1"), over=settings(other)) == 2
    assert "the checkpoint is of another encoder" in capsys.readouterr().err


def test_the_same_base_under_another_path_goes_on(finished: tuple[Run, list[Step]], base: Path, run: Run, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(base, tmp_path / "moved"))

    assert run.fit([phase(2, start=3)], "--ckpt_path", finished[0].checkpoint_path("phase1"), over=settings(moved)) == 0

    assert not differs(run.weights("phase2"), finished[0].weights("phase2"))


@pytest.mark.parametrize("other", [{"lora_alpha": 7}, {"lora_targets": ["q_proj", "k_proj"]}], ids=str)
def test_a_checkpoint_of_other_adapters_is_refused(
    finished: tuple[Run, list[Step]], base: Path, run: Run, capsys: pytest.CaptureFixture[str], other: dict[str, Any]
) -> None:
    # Another alpha scales the same weights otherwise; no shape tells.
    words = ("--ckpt_path", finished[0].checkpoint_path("phase1"))
    assert run.fit([phase(2, start=3)], *words, over=settings(base, **other)) == 2
    assert "the checkpoint is of another encoder: its shape" in capsys.readouterr().err


def test_a_base_folder_whose_weights_changed_is_refused(
    finished: tuple[Run, list[Step]], base: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    # The adapters of one base on another give latents that mean nothing; name and shape alone do not tell.
    weights = base / "model.safetensors"
    good = weights.read_bytes()
    try:
        weights.write_bytes(good[:-64] + bytes(64))
        assert run.fit([phase(2, start=3)], "--ckpt_path", finished[0].checkpoint_path("phase1"), over=settings(base)) == 2
    finally:
        weights.write_bytes(good)
    assert "another encoder" in capsys.readouterr().err


def test_the_tokenizer_is_of_the_model_s_revision(base: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, load = [], datamodule.load_tokenizer
    monkeypatch.setattr(datamodule, "load_tokenizer", lambda *words: asked.append(words) or load(*words))

    assert run.fit([phase(1)], over=settings(base, revision="abc")) == 0
    assert set(asked) == {(str(base), "abc")}

    asked.clear()
    open_run(run.folder, run.checkpoint_path("phase1"), store=None, device="cpu")
    assert set(asked) == {(str(base), "abc")}


def test_a_finished_run_gives_its_model_back(finished: tuple[Run, list[Step]]) -> None:
    first, second = (ClinJEPA.from_checkpoint(finished[0].checkpoint_path()) for _ in range(2))

    assert torch.equal(first.encoder(*TEXT), second.encoder(*TEXT))


def test_adapters_on_a_random_base_give_their_model_back(run: Run) -> None:
    # A random base is nowhere but in the run: it has to travel with the checkpoint, or the combination has to be refused.
    code = run.fit([phase(1)], over=settings("tiny"))
    if code == 2:
        return
    torch.manual_seed(1)
    first = ClinJEPA.from_checkpoint(run.checkpoint_path("phase1"))
    torch.manual_seed(2)
    second = ClinJEPA.from_checkpoint(run.checkpoint_path("phase1"))

    assert torch.equal(first.encoder(*TEXT), second.encoder(*TEXT))


def test_a_quantised_base_trains_its_adapter(base: Path, run: Run) -> None:
    pytest.importorskip("bitsandbytes")
    assert run.fit([phase(2), RECORDER], over=settings(base, quantization="nf4")) == 0

    assert all(step.moved("encoder") for step in Recorder.steps)
    assert all("lora_" in name for name in run.weights("phase2", "encoder."))
