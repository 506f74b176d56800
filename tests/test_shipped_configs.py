"""Every line of every shipped config is in effect, and every config trains; that the ablations train is tested in test_ablations.py."""

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from clin_jepa.callbacks import EMAAlignment
from clin_jepa.callbacks.phase_chain import PhaseChain
from clin_jepa.grounding import GroundingConfig
from clin_jepa.shipped_configs import config_folder
from tests.training_runs import STARTS, Run, clinjepa, curriculum, merged, phase, phases_finished, write_config

ALL = sorted(str(file.relative_to(config_folder())) for file in config_folder().rglob("*.yaml"))
ENCODERS = [name for name in ALL if name.startswith("encoder/")]
RECIPES = [name for name in ALL if name.startswith("recipes/")]
ARMS = [name for name in ALL if name.startswith("ablations/")]
RUNS = [name for name in ALL if "/" not in name]

# What each config's callbacks resolve to: class, and every argument.
Callbacks = list[tuple[str, dict[str, Any]]]
START = {"start": None, "follows": None}


def warmup(steps: float = 0.15, **start: float) -> tuple[str, dict[str, Any]]:
    return "PredictorWarmup", {"steps": steps, **START, **start}


def joint(steps: float = 0.45, tau: float | None = None, rollout: str = "teacher_forced", **start: float) -> tuple[str, dict[str, Any]]:
    return "JointRefinement", {"steps": steps, "tau": tau, "rollout": rollout, **START, **start}


def alignment(steps: float = 0.10, tau: float | None = None, **start: float) -> tuple[str, dict[str, Any]]:
    return "EMAAlignment", {"steps": steps, "tau": tau, "until_gap": None, **START, **start}


def sync(**start: float) -> tuple[str, dict[str, Any]]:
    return "HardSync", {**START, **start}


def finalization(steps: float = 0.30, **start: float) -> tuple[str, dict[str, Any]]:
    return "PredictorFinalization", {"steps": steps, **START, **start}


def co_training(steps: float, stop_gradient: bool, rollout: str) -> tuple[str, dict[str, Any]]:
    return "CoTraining", {"steps": steps, "stop_gradient": stop_gradient, "rollout": rollout, **START}


def tuning(steps: float) -> tuple[str, dict[str, Any]]:
    return "NextTokenTuning", {"steps": steps, **START}


FULL: Callbacks = [warmup(), joint(), alignment(), sync(), finalization()]
CHAINED: Callbacks = [warmup(), joint(rollout="chained"), alignment(), sync(), finalization()]
PUBLISHED: Callbacks = [warmup(), joint(tau=0.996), alignment(tau=0.996), sync(), finalization()]

EXPECTED: dict[str, Callbacks] = {
    "curriculum.yaml": PUBLISHED,
    "curriculum_published.yaml": PUBLISHED,
    "phase1.yaml": [warmup()],
    "phase2.yaml": [joint(tau=0.996, start=0.15)],
    "phase3.yaml": [alignment(tau=0.996, start=0.6)],
    "phase4.yaml": [sync(start=0.7)],
    "phase5.yaml": [finalization(start=0.7)],
    "sft.yaml": [tuning(2000)],
    "demo.yaml": [warmup(120), joint(120, 0.9), alignment(40, 0.9), sync(), finalization(240)],
    "demo_sft.yaml": [tuning(60)],
}

# On top of the curriculum: the callbacks, and what else the arm sets.
EXPECTED_ARMS: dict[str, tuple[Callbacks, dict[str, Any]]] = {
    "full": (FULL, {}),
    "no_warmup": ([joint(0.6), alignment(), sync(), finalization()], {}),
    "no_joint_refinement": ([warmup(0.6), finalization(0.4)], {}),
    "no_alignment_no_sync": ([warmup(), joint(), finalization(0.4)], {}),
    "no_sync": ([warmup(), joint(), alignment(), finalization()], {}),
    "no_ema": ([warmup(), co_training(0.45, True, "teacher_forced"), finalization(0.4)], {}),
    "naive": ([co_training(1.0, False, "chained")], {}),
    "sft_encoder": ([tuning(0.45), warmup(), finalization(0.4)], {}),
    "chained": (CHAINED, {}),
    "chained_h8": (CHAINED, {"horizon": 8}),
    "vicreg": (FULL, {"anti_collapse": {"kind": "vicreg"}}),
    "sigreg": (FULL, {"anti_collapse": {"kind": "sigreg"}}),
    "layer_norm": (FULL, {"normalize_latents": True}),
    "residual": (FULL, {"predictor": {"residual": True}}),
    "no_grounding": (FULL, {"grounding": {"ahead": 0.0}}),
    "outlook": (FULL, {"grounding": {"outlook": 1.0}}),
    "horizon_2": (FULL, {"horizon": 2}),
}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((config_folder() / name).read_text())
    return content


def leaves(settings: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value of nested settings with its path."""
    items = settings.items() if isinstance(settings, dict) else enumerate(settings) if isinstance(settings, list) else None
    if items is None or not settings:
        yield path, settings
        return
    for key, value in items:
        yield from leaves(value, (*path, key))


def at(settings: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        settings = settings[key]
    return settings


def resolved(capsys: pytest.CaptureFixture[str], *names: str) -> dict[str, Any]:
    """What the command line makes of configs."""
    words = [word for name in names for word in ("--config", name)]
    assert clinjepa("fit", *words, "--data.store", "STORE", "--print_config") == 0
    content: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return content


def listed(settings: dict[str, Any]) -> Callbacks:
    """The callbacks of resolved settings: class, and every argument."""
    return [(entry["class_path"].rsplit(".", 1)[1], entry.get("init_args", {})) for entry in settings["trainer"]["callbacks"]]


def shares(callbacks: Callbacks) -> Fraction:
    """Sum of the shares of the total steps, as their decimals read."""
    return sum((Fraction(str(arguments.get("steps", 0))) for _, arguments in callbacks), Fraction(0))


def test_every_config_is_listed_here() -> None:
    assert ENCODERS == ["encoder/qwen3_0_6b.yaml", "encoder/qwen3_8b.yaml", "encoder/small.yaml", "encoder/tiny.yaml"]
    assert [f"recipes/{name}.yaml" for name in ("eight_gpus", "one_80gb_gpu", "several_nodes", "workstation_gpu")] == RECIPES
    assert sorted(f"ablations/{name}.yaml" for name in EXPECTED_ARMS) == ARMS
    assert set(RUNS) == set(EXPECTED)


@pytest.mark.parametrize("name", ALL)
def test_every_line_is_in_effect(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = resolved(capsys, name)

    for path, value in leaves(read(name)):
        assert at(found, path) == value, path


@pytest.mark.parametrize("name", ALL)
def test_every_line_differs_from_nothing_or_is_said_on_purpose(name: str) -> None:
    # A key that is written twice in one file would lose its first value without a word.
    text = (config_folder() / name).read_text()
    assert yaml.safe_load(text) is not None
    keys = [line.split(":")[0] for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", EXPECTED)
def test_callbacks_resolve_to_what_is_written_here(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(resolved(capsys, name)) == EXPECTED[name]


@pytest.mark.parametrize("base", ["curriculum.yaml", "demo.yaml"])
@pytest.mark.parametrize("arm", EXPECTED_ARMS)
def test_an_arm_is_its_callbacks_and_one_setting_on_top_of_a_curriculum(arm: str, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    found, whole = resolved(capsys, base, f"ablations/{arm}.yaml"), resolved(capsys, base)

    callbacks, setting = EXPECTED_ARMS[arm]
    assert listed(found) == callbacks
    whole["trainer"]["callbacks"] = found["trainer"]["callbacks"]
    assert found == merged(whole, {"model": setting})


@pytest.mark.parametrize("arm", EXPECTED_ARMS)
def test_every_arm_takes_all_steps(arm: str) -> None:
    assert shares(EXPECTED_ARMS[arm][0]) == 1


@pytest.mark.parametrize("arm", EXPECTED_ARMS)
def test_every_arm_says_what_it_asks(arm: str) -> None:
    assert "\n# Question: " in (config_folder() / "ablations" / f"{arm}.yaml").read_text()


@pytest.mark.parametrize("name", [*ENCODERS, *RECIPES])
def test_a_preset_or_recipe_goes_on_top_of_the_curriculum(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = resolved(capsys, "curriculum.yaml", name)

    for path, value in leaves(read(name)):
        assert at(found, path) == value, path
    assert found["trainer"]["callbacks"] == resolved(capsys, "curriculum.yaml")["trainer"]["callbacks"]
    assert found["model"]["optimization"]["total_steps"] == 20000


@pytest.mark.parametrize(
    ("recipe", "preset"),
    [("workstation_gpu", "qwen3_0_6b"), ("one_80gb_gpu", "qwen3_8b"), ("eight_gpus", "qwen3_8b"), ("several_nodes", "qwen3_8b")],
)
def test_a_recipe_trains_the_model_of_its_preset(recipe: str, preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    found, expected = (resolved(capsys, "curriculum.yaml", name)["model"] for name in (f"recipes/{recipe}.yaml", f"encoder/{preset}.yaml"))

    if recipe in ("eight_gpus", "several_nodes"):  # a sharded base is not quantized, and the 8-bit optimizer steps no shards
        expected["encoder"]["quantization"], expected["optimization"]["optimizer"] = "none", "adamw"
    assert found == expected


@pytest.mark.parametrize(("recipe", "windows"), [("workstation_gpu", 8), ("one_80gb_gpu", 8), ("eight_gpus", 8), ("several_nodes", 16)])
def test_a_recipe_takes_the_windows_a_step_that_its_comment_says(recipe: str, windows: int) -> None:
    settings = read(f"recipes/{recipe}.yaml")
    trainer, data = settings["trainer"], settings["data"]

    found = data["batch_size"] * trainer.get("accumulate_grad_batches", 1) * trainer["devices"] * trainer.get("num_nodes", 1)

    assert found == windows
    assert f"= {windows} windows" in (config_folder() / f"recipes/{recipe}.yaml").read_text()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_validates_as_many_windows_every_as_many_steps_as_the_curriculum(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = resolved(capsys, "curriculum.yaml", recipe)
    trainer, data = settings["trainer"], settings["data"]

    assert trainer["limit_val_batches"] * data["batch_size"] == 400
    assert trainer["val_check_interval"] == 500 * trainer["accumulate_grad_batches"]


def test_phase_configs_are_the_curriculum_cut_in_five(capsys: pytest.CaptureFixture[str]) -> None:
    whole = resolved(capsys, "curriculum.yaml")
    start, callbacks = Fraction(0), []
    for number in range(1, 6):
        part = resolved(capsys, f"phase{number}.yaml")
        (entry,) = part["trainer"]["callbacks"]
        assert entry["init_args"]["start"] == (float(start) or None)
        start += Fraction(str(entry["init_args"].get("steps", 0)))
        callbacks.append({**entry, "init_args": {**entry["init_args"], "start": None}})
        for settings in (part, whole):
            settings.pop("config", None)
        same = {key: value for key, value in part.items() if key != "trainer"} == {k: v for k, v in whole.items() if k != "trainer"}
        assert same, number
        trainers = [{key: value for key, value in settings["trainer"].items() if key != "callbacks"} for settings in (part, whole)]
        assert trainers[0] == trainers[1], number
    assert callbacks == whole["trainer"]["callbacks"]
    assert start == 1


def test_the_published_curriculum_is_the_default_without_grounding_and_with_short_rollouts(capsys: pytest.CaptureFixture[str]) -> None:
    published, default = resolved(capsys, "curriculum_published.yaml"), resolved(capsys, "curriculum.yaml")

    assert published["run"] != default["run"]
    assert not GroundingConfig(**published["model"]["grounding"]).is_on
    assert published["model"]["horizon"] == 2 < default["model"]["horizon"]
    for ours in ("grounding", "horizon"):
        published["model"][ours] = default["model"][ours]
    published["run"] = default["run"]
    assert published == default


def test_the_demo_s_schedule_is_as_long_as_its_phases() -> None:
    assert shares(EXPECTED["demo.yaml"]) == read("demo.yaml")["model"]["optimization"]["total_steps"]


@pytest.mark.parametrize("name", ["curriculum.yaml", "phase3.yaml", "demo.yaml"])
def test_alignment_has_the_steps_to_close_the_gap(name: str) -> None:
    # The method's 2 %; what is left of the gap after n steps is tau to the n.
    (found,) = [arguments for phase_, arguments in EXPECTED[name] if phase_ == "EMAAlignment"]
    (span,) = PhaseChain.of([EMAAlignment(**found)], total_steps=read(name)["model"]["optimization"]["total_steps"]).spans
    assert found["tau"] ** span.steps <= 0.02


SMALL_RUNS = {
    "curriculum.yaml": curriculum(),
    "curriculum_published.yaml": curriculum(),
    "demo.yaml": curriculum(),
    "sft.yaml": [{"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": 2}}],
    "demo_sft.yaml": [{"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": 2}}],
    "phase1.yaml": [phase(1)],
    **{f"phase{number}.yaml": [phase(number, start=STARTS[number])] for number in range(2, 6)},
}


@pytest.mark.parametrize("name", RUNS)
def test_every_config_trains(name: str, run: Run, in_one_go: Run, tmp_path: Path) -> None:
    small = write_config(tmp_path / "small.yaml", SMALL_RUNS[name], {"trainer": {"limit_val_batches": 1, "val_check_interval": 2}})
    words: list[str | Path] = ["fit", "--config", name, "--config", small, "--data.store", run.store, "--run", run.folder]
    if name in {f"phase{number}.yaml" for number in range(2, 6)}:
        words += [
            "--model.grounding.ahead",
            "0",
            "--ckpt_path",
            in_one_go.checkpoint_path(f"phase{int(name[5]) - 1}"),
        ]

    assert clinjepa(*words) == 0

    numbers = {
        "curriculum.yaml": "12345",
        "curriculum_published.yaml": "12345",
        "demo.yaml": "12345",
        "sft.yaml": "0",
        "demo_sft.yaml": "0",
    }.get(name, name[5])
    assert phases_finished(run) == numbers


def test_the_tiny_preset_trains_on_top_of_the_curriculum(run: Run, tmp_path: Path) -> None:
    small = write_config(tmp_path / "small.yaml", [phase(1)])
    words = ["--config", "curriculum.yaml", "--config", "encoder/tiny.yaml", "--config", small]

    assert clinjepa("fit", *words, "--data.store", run.store, "--run", run.folder) == 0


@pytest.mark.parametrize("name", ["encoder/qwen3_0_6b.yaml", "encoder/qwen3_8b.yaml"])
def test_a_pretrained_preset_builds_its_published_shape(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from clin_jepa.encoder import TextEncoder
    from clin_jepa.language_model import ARCHITECTURES, EncoderConfig

    encoder = resolved(capsys, name)["model"]["encoder"]
    with torch.device("meta"):
        model = TextEncoder(EncoderConfig(**{**encoder, "random_weights": True, "quantization": "none"}))

    assert model.latent_dim == ARCHITECTURES[encoder["base"]]["hidden_size"]
    assert model.has_adapters


def test_printing_a_config_touches_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    resolved(capsys, "curriculum.yaml")
    assert list(tmp_path.iterdir()) == []
    assert "clin_jepa" in sys.modules
