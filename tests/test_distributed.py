"""Several processes train what one process trains: sharded by FSDP2, or as DDP; cut into micro-batches; resumed on another number."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.distributed_runs import (
    CALLBACKS,
    FEW,
    FEW_CALLBACKS,
    FEW_STEPS,
    ONE,
    STEPS,
    TOTAL_STEPS,
    Layout,
    fit,
    largest_difference,
    samples,
)
from tests.language_models import save_language_model
from tests.training_runs import Run, merged

# Of every weight. A gradient of the L1 loss jumps where an error passes zero, which rounding may move by a step: Adam's moments keep it.
TOLERANCE = 1e-6
OF_MOMENTS = 1e-3

FSDP = Layout("clinjepa_fsdp2", processes=2)
LAYOUTS = {
    "fsdp2": FSDP,
    "ddp": Layout("ddp", processes=2),
    "fsdp2-accumulated": Layout("clinjepa_fsdp2", processes=2, accumulate=2),
    "fsdp2-alone": Layout("clinjepa_fsdp2"),
    "one-accumulated": Layout(None, accumulate=4),
}


FIGURES: list[str] = []


@pytest.fixture(autouse=True)
def largest_differences(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """What `assert_equal_runs` finds in a test is printed at the end of all tests."""
    FIGURES.clear()
    yield
    for figure in FIGURES:
        record_property("largest difference", figure)


def assert_equal_runs(run: Run, expected: Run, *names: str, tolerance: float = TOLERANCE) -> None:
    """Every weight within the tolerance; notes the largest difference."""
    for name in names:
        found = largest_difference(run, expected, name)
        FIGURES.append(f"{name}: " + ", ".join(f"{part} {value:.1e}" for part, value in found.items()))
        assert found.pop("optimizer") <= OF_MOMENTS, name
        assert max(found.values()) <= tolerance, (name, found)


@pytest.fixture(scope="session")
def one_process(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The curriculum on one process."""
    run = Run(small_store_path, tmp_path_factory.mktemp("finished") / "one_process")
    result = fit(run, ONE)
    assert result.returncode == 0, result.stdout
    return run


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_processes_train_what_one_trains(run: Run, one_process: Run, name: str) -> None:
    layout = LAYOUTS[name]
    result = fit(run, layout)
    assert result.returncode == 0, result.stdout

    assert samples(run, layout) == samples(one_process, ONE)
    assert len(samples(run, layout)) == TOTAL_STEPS >= 60
    assert_equal_runs(run, one_process, "phase1", "phase2", "phase3", "phase4", "phase5")


def test_the_run_of_one_process_moves_every_part(one_process: Run) -> None:
    # Equality above says nothing of weights that stay where they began.
    start, joint, end = (one_process.checkpoint(f"phase{number}")["state_dict"] for number in (1, 2, 5))
    for part, before, after in [("encoder.", start, joint), ("target.", start, joint), ("predictor.", joint, end)]:
        moved = max(float((after[key] - before[key]).abs().max()) for key in after if key.startswith(part))
        assert moved > 100 * TOLERANCE, part


def strike(name: str, step: int, rank: int) -> dict[str, Any]:
    """A signal to one process, in the middle of a step."""
    settings = {"name": name, "step": step, "hook": "before_optimizer_step", "rank": rank}
    return {"class_path": "tests.chaos.strikes.SignalAt", "init_args": settings}


def test_two_then_one_then_two_processes(run: Run, one_process: Run) -> None:
    within_joint, within_alignment = STEPS[1] + 8, STEPS[1] + STEPS[2] + 7
    killed = fit(run, FSDP, "--checkpoint_every", "4", callbacks=[*CALLBACKS, strike("SIGKILL", within_joint, rank=1)])
    assert killed.returncode not in (0, 2), killed.stdout
    assert run.checkpoint("last")["global_step"] in range(within_joint - 4, within_joint + 1)

    for layout, words in [(ONE, ["--trainer.max_steps", str(within_alignment)]), (FSDP, [])]:
        result = fit(run, layout, "--ckpt_path", "last", *words)
        assert result.returncode == 0, result.stdout

    assert_equal_runs(run, one_process, "phase1", "phase2", "phase3", "phase5")


def test_a_signal_to_one_process_stops_all_at_the_same_step(run: Run, one_process: Run) -> None:
    within_joint = STEPS[1] + 8
    result = fit(run, FSDP, callbacks=[*CALLBACKS, strike("SIGTERM", within_joint, rank=1)])
    assert result.returncode == 143, result.stdout
    assert f"terminated at step {within_joint + 1}" in result.stdout
    assert run.checkpoint("last")["global_step"] == within_joint + 1

    assert fit(run, FSDP, "--ckpt_path", "last").returncode == 0
    assert_equal_runs(run, one_process, "phase2", "phase5")


def test_a_phase_that_ends_early_ends_at_the_same_step_on_every_process(run: Run, small_store_path: Path, tmp_path: Path) -> None:
    callbacks: list[dict[str, Any]] = [dict(callback) for callback in FEW_CALLBACKS]
    callbacks[2] = {**callbacks[2], "init_args": {**callbacks[2]["init_args"], "steps": STEPS[3], "until_gap": 1e-3}}
    over = merged(FEW, {"model": {"optimization": {"total_steps": sum(FEW_STEPS.values()) + STEPS[3] - FEW_STEPS[3]}}})
    alone = Run(small_store_path, tmp_path / "alone")
    for each, layout in [(alone, ONE), (run, FSDP)]:
        result = fit(each, layout, callbacks=callbacks, over=over)
        assert result.returncode == 0, result.stdout

    skipped = [each.checkpoint()["clin_jepa"]["position"]["skipped"] for each in (alone, run)]
    assert skipped[0] == skipped[1] > 0
    assert_equal_runs(run, alone, "phase3", "phase5")


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_adapters_on_a_shared_base(small_store_path: Path, tmp_path: Path, quantization: str) -> None:
    base = save_language_model(tmp_path / "base")
    encoder = {"base": str(base), "adaptation": "lora", "lora_rank": 4, "quantization": quantization, "activation_checkpointing": True}
    over = merged(FEW, {"model": {"encoder": encoder, "optimization": {"encoder_lr": 1e-3}}})
    runs = {layout: Run(small_store_path, tmp_path / name) for name, layout in (("one", ONE), ("two", FSDP))}
    for layout, each in runs.items():
        result = fit(each, layout, over=over, callbacks=FEW_CALLBACKS)
        assert result.returncode == 0, result.stdout

    joint = runs[ONE].weights("phase2")
    assert any(".target." in key for key in joint)
    assert all("lora_" in key for key in joint if key.startswith("encoder."))
    lora_b = [float(value.abs().max()) for key, value in joint.items() if "lora_B.online" in key]
    assert min(lora_b) > 100 * TOLERANCE  # zero before any training
    assert_equal_runs(runs[FSDP], runs[ONE], "phase2", "phase5")


@pytest.mark.parametrize("kind", ["vicreg", "sigreg"])
def test_an_anti_collapse_term_is_that_of_all_processes_windows(small_store_path: Path, tmp_path: Path, kind: str) -> None:
    over = merged(FEW, {"model": {"anti_collapse": {"kind": kind}}})
    runs = {layout: Run(small_store_path, tmp_path / name) for name, layout in (("one", ONE), ("two", FSDP))}
    for layout, each in runs.items():
        result = fit(each, layout, "--trainer.max_steps", str(FEW_STEPS[1] + FEW_STEPS[2]), over=over, callbacks=FEW_CALLBACKS)
        assert result.returncode == 0, result.stdout

    # SIGReg's statistic is N times a squared difference of means, and so is their rounding; its gradient has a proof of its own.
    assert_equal_runs(runs[FSDP], runs[ONE], "phase2", tolerance=TOLERANCE if kind == "vicreg" else 1e-4)


@pytest.mark.parametrize("layout", [FSDP, LAYOUTS["ddp"]], ids=["fsdp", "ddp"])
def test_heads_that_ground_latents_train_as_on_one_process(small_store_path: Path, tmp_path: Path, layout: Layout) -> None:
    over = merged(FEW, {"model": {"grounding": {"ahead": 1.0, "present": 0.5, "outlook": 0.5, "horizons": [2, 6]}}})
    runs = {each: Run(small_store_path, tmp_path / name) for name, each in (("one", ONE), ("two", layout))}
    for each, run in runs.items():
        result = fit(run, each, over=over, callbacks=FEW_CALLBACKS)
        assert result.returncode == 0, result.stdout

    assert runs[ONE].weights(part="grounding.")
    assert_equal_runs(runs[layout], runs[ONE], "phase1", "phase2", "phase5")


def test_what_the_first_process_finds_of_a_collapse_stops_all(run: Run) -> None:
    callbacks = [*FEW_CALLBACKS, {"class_path": "tests.distributed_runs.Blinded"}]

    result = fit(run, FSDP, "--collapse_monitor.action", "stop", over=FEW, callbacks=callbacks)

    assert result.returncode == 3, result.stdout
    assert "the collapse monitor stopped the run at step 10" in result.stdout
    assert run.checkpoint("last")["global_step"] == 10


def test_a_sharded_run_gives_its_model_back(run: Run) -> None:
    from clin_jepa.module import ClinJEPA

    assert fit(run, FSDP, "--trainer.max_steps", str(STEPS[1])).returncode == 0
    module = ClinJEPA.from_checkpoint(run.checkpoint_path("phase1"))
    assert not any(isinstance(p, torch.distributed.tensor.DTensor) for p in module.parameters())
    assert module.target.equals_online()


def test_eight_bit_adam_is_refused_where_parameters_are_sharded(run: Run) -> None:
    result = fit(run, FSDP, "--model.optimization.optimizer", "adamw_8bit")
    assert result.returncode == 2
    assert "adamw_8bit cannot step sharded parameters: use adamw" in result.stdout
