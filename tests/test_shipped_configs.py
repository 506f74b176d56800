"""Every line of every shipped config is in effect, and every config trains."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clin_jepa.shipped_configs import config_folder
from tests.training_runs import STARTS, Run, clinjepa, curriculum, phase, write_config

ALL = sorted(str(file.relative_to(config_folder())) for file in config_folder().rglob("*.yaml"))
ENCODERS = [name for name in ALL if name.startswith("encoder/")]
RUNS = [name for name in ALL if name not in ENCODERS]

# What each config's callbacks resolve to: class, and every argument.
START = {"start": None, "follows": None}
EXPECTED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "curriculum.yaml": [
        ("PredictorWarmup", {"steps": 3000, **START}),
        ("JointRefinement", {"steps": 9000, "tau": 0.996, "rollout": "teacher_forced", **START}),
        ("EMAAlignment", {"steps": 2000, "tau": 0.996, "until_gap": None, **START}),
        ("HardSync", START),
        ("PredictorFinalization", {"steps": 6000, **START}),
    ],
    "phase1.yaml": [("PredictorWarmup", {"steps": 3000, **START})],
    "phase2.yaml": [("JointRefinement", {"steps": 9000, "tau": 0.996, "rollout": "teacher_forced", "start": 3000, "follows": None})],
    "phase3.yaml": [("EMAAlignment", {"steps": 2000, "tau": 0.996, "until_gap": None, "start": 12000, "follows": None})],
    "phase4.yaml": [("HardSync", {"start": 14000, "follows": None})],
    "phase5.yaml": [("PredictorFinalization", {"steps": 6000, "start": 14000, "follows": None})],
    "sft.yaml": [("NextTokenTuning", {"steps": 2000, **START})],
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


def test_every_config_is_listed_here() -> None:
    assert ENCODERS == ["encoder/qwen3_0_6b.yaml", "encoder/qwen3_8b.yaml", "encoder/tiny.yaml"]
    expected = {*EXPECTED, "demo.yaml", "demo_sft.yaml"}
    assert set(RUNS) == expected


@pytest.mark.parametrize("name", ALL)
def test_every_line_is_in_effect(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = resolved(capsys, name)

    for path, value in leaves(read(name)):
        assert at(found, path) == value, path


@pytest.mark.parametrize("name", RUNS)
def test_every_line_differs_from_nothing_or_is_said_on_purpose(name: str) -> None:
    # A key that is written twice in one file would lose its first value without a word.
    text = (config_folder() / name).read_text()
    assert yaml.safe_load(text) is not None
    keys = [line.split(":")[0] for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", EXPECTED)
def test_callbacks_resolve_to_what_is_written_here(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        (entry["class_path"].rsplit(".", 1)[1], entry.get("init_args", {})) for entry in resolved(capsys, name)["trainer"]["callbacks"]
    ]
    assert found == EXPECTED[name]


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_preset_goes_on_top_of_the_curriculum(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = resolved(capsys, "curriculum.yaml", name)

    for path, value in leaves(read(name)):
        assert at(found, path) == value, path
    assert found["trainer"]["callbacks"] == resolved(capsys, "curriculum.yaml")["trainer"]["callbacks"]
    assert found["model"]["optimization"]["total_steps"] == 20000


def test_phase_configs_are_the_curriculum_cut_in_five(capsys: pytest.CaptureFixture[str]) -> None:
    whole = resolved(capsys, "curriculum.yaml")
    start, callbacks = 0, []
    for number in range(1, 6):
        part = resolved(capsys, f"phase{number}.yaml")
        (entry,) = part["trainer"]["callbacks"]
        assert entry["init_args"]["start"] == (start or None)
        start += entry["init_args"].get("steps", 0)
        callbacks.append({**entry, "init_args": {**entry["init_args"], "start": None}})
        for settings in (part, whole):
            settings.pop("config", None)
        same = {key: value for key, value in part.items() if key != "trainer"} == {k: v for k, v in whole.items() if k != "trainer"}
        assert same, number
        trainers = [{key: value for key, value in settings["trainer"].items() if key != "callbacks"} for settings in (part, whole)]
        assert trainers[0] == trainers[1], number
    assert callbacks == whole["trainer"]["callbacks"]
    assert start == whole["model"]["optimization"]["total_steps"]


def test_shares_of_the_curriculum_s_steps(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [entry["init_args"].get("steps", 0) for entry in resolved(capsys, "curriculum.yaml")["trainer"]["callbacks"]]

    assert [step / sum(steps) for step in steps] == pytest.approx([0.15, 0.45, 0.10, 0.0, 0.30])


@pytest.mark.parametrize("name", ["curriculum.yaml", "phase3.yaml", "demo.yaml"])
def test_alignment_has_the_steps_to_close_the_gap(name: str) -> None:
    # The method's 2 %; what is left of the gap after n steps is tau to the n.
    (alignment,) = [entry["init_args"] for entry in read(name)["trainer"]["callbacks"] if entry["class_path"].endswith("EMAAlignment")]
    assert alignment["tau"] ** alignment["steps"] <= 0.02


SMALL_RUNS = {
    "curriculum.yaml": curriculum(),
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
        words += ["--ckpt_path", in_one_go.checkpoint_path(f"phase{int(name[5]) - 1}")]

    assert clinjepa(*words) == 0

    numbers = {"curriculum.yaml": "12345", "demo.yaml": "12345", "sft.yaml": "0", "demo_sft.yaml": "0"}.get(name, name[5])
    assert {file.stem for file in (run.folder / "checkpoints").glob("phase*")} == {f"phase{number}" for number in numbers}


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
