"""Several --config in a row: a list of callbacks replaces the one before it, whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.training_runs import clinjepa

PHASES = "clin_jepa.callbacks"


def entry(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": f"{PHASES}.{name}", "init_args": init_args}


def config(callbacks: list[dict[str, Any]] | None, key: str = "callbacks") -> dict[str, Any]:
    return {"trainer": {"val_check_interval": 7} if callbacks is None else {key: callbacks}}


@pytest.fixture
def callbacks_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[tuple[str, dict[str, Any]]]]:
    """The callbacks, class and arguments that are not None, that the command line makes of configs and further words."""

    def resolve(*configs: dict[str, Any], words: tuple[str, ...] = (), as_text: bool = False) -> list[tuple[str, dict[str, Any]]]:
        given = list[str]()
        for k, settings in enumerate(configs):
            file = tmp_path / f"{k}.yaml"
            file.write_text(yaml.safe_dump(settings))
            given += ["--config", file.read_text() if as_text else str(file)]
        assert clinjepa("fit", *given, *words, "--data.store", "STORE", "--print_config") == 0
        found = yaml.safe_load(capsys.readouterr().out)["trainer"]["callbacks"]
        return [
            (one["class_path"].removeprefix(f"{PHASES}."), {k: v for k, v in one.get("init_args", {}).items() if v is not None})
            for one in found
        ]

    return resolve


@pytest.mark.parametrize("as_text", [False, True], ids=["files", "text"])
def test_another_class_at_the_same_place_inherits_nothing(callbacks_of: Callable[..., Any], as_text: bool) -> None:
    found = callbacks_of(
        config([entry("EMAAlignment", steps=3, tau=0.5, start=9)]), config([entry("JointRefinement", steps=4)]), as_text=as_text
    )

    assert found == [("JointRefinement", {"steps": 4, "rollout": "teacher_forced"})]


def test_the_same_class_at_the_same_place_inherits_nothing(callbacks_of: Callable[..., Any]) -> None:
    found = callbacks_of(config([entry("JointRefinement", steps=3, tau=0.5, start=9)]), config([entry("JointRefinement", steps=4)]))

    assert found == [("JointRefinement", {"steps": 4, "rollout": "teacher_forced"})]


def test_a_list_in_a_file_that_a_config_names_inherits_nothing(callbacks_of: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "trainer.yaml").write_text(yaml.safe_dump({"callbacks": [entry("JointRefinement", steps=4)]}))

    found = callbacks_of(config([entry("EMAAlignment", steps=3, tau=0.5, start=9)]), {"trainer": str(tmp_path / "trainer.yaml")})

    assert found == [("JointRefinement", {"steps": 4, "rollout": "teacher_forced"})]


def test_a_list_under_a_dotted_key_inherits_nothing(callbacks_of: Callable[..., Any]) -> None:
    found = callbacks_of(
        config([entry("EMAAlignment", steps=3, tau=0.5, start=9)]), {"trainer.callbacks": [entry("JointRefinement", steps=4)]}
    )

    assert found == [("JointRefinement", {"steps": 4, "rollout": "teacher_forced"})]


def test_a_list_on_the_command_line_inherits_nothing(callbacks_of: Callable[..., Any]) -> None:
    words = ("--trainer.callbacks", json.dumps([entry("JointRefinement", steps=4)]))

    found = callbacks_of(config([entry("EMAAlignment", steps=3, tau=0.5, start=9)]), words=words)

    assert found == [("JointRefinement", {"steps": 4, "rollout": "teacher_forced"})]


@pytest.mark.parametrize("last", [[], [entry("PredictorWarmup", steps=1)], [entry("PredictorWarmup", steps=1), entry("HardSync")]], ids=len)
def test_a_list_of_any_length_replaces_the_one_before(callbacks_of: Callable[..., Any], last: list[dict[str, Any]]) -> None:
    found = callbacks_of(config([entry("EMAAlignment", steps=3, tau=0.5)]), config(last))

    assert [name for name, _ in found] == [one["class_path"].rsplit(".", 1)[1] for one in last]


def test_the_last_of_three_configs_stands(callbacks_of: Callable[..., Any]) -> None:
    configs = [config([entry("JointRefinement", steps=steps, **tau)]) for steps, tau in ((1, {"tau": 0.1}), (2, {"tau": 0.2}), (3, {}))]

    assert callbacks_of(*configs) == [("JointRefinement", {"steps": 3, "rollout": "teacher_forced"})]


def test_a_config_without_callbacks_keeps_those_before(callbacks_of: Callable[..., Any]) -> None:
    found = callbacks_of(config([entry("JointRefinement", steps=3, tau=0.5)]), config(None))

    assert found == [("JointRefinement", {"steps": 3, "tau": 0.5, "rollout": "teacher_forced"})]


def test_a_plus_appends(callbacks_of: Callable[..., Any]) -> None:
    found = callbacks_of(
        config([entry("PredictorWarmup", steps=3)]), config([entry("JointRefinement", steps=4)], key="callbacks+"), config(None)
    )

    assert found == [("PredictorWarmup", {"steps": 3}), ("JointRefinement", {"steps": 4, "rollout": "teacher_forced"})]


def test_the_command_line_has_the_last_word(callbacks_of: Callable[..., Any]) -> None:
    words = ("--trainer.callbacks", f"{PHASES}.EMAAlignment", "--trainer.callbacks.steps", "5", "--trainer.callbacks.tau", "0.5")

    found = callbacks_of(config([entry("JointRefinement", steps=3)]), config([entry("PredictorWarmup", steps=4)]), words=words)

    assert found[-1] == ("EMAAlignment", {"steps": 5, "tau": 0.5})


def test_the_command_line_changes_the_last_callback_of_the_last_config(callbacks_of: Callable[..., Any]) -> None:
    found = callbacks_of(
        config([entry("JointRefinement", steps=3)]), config([entry("PredictorWarmup", steps=4)]), words=("--trainer.callbacks.steps", "5")
    )

    assert found == [("PredictorWarmup", {"steps": 5})]


def test_settings_beside_the_callbacks_still_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(yaml.safe_dump({"trainer": {"callbacks": [entry("HardSync")], "val_check_interval": 7}, "model": {"horizon": 3}}))
    second.write_text(yaml.safe_dump({"trainer": {"callbacks": [entry("HardSync")], "log_every_n_steps": 3}}))

    assert clinjepa("fit", "--config", first, "--config", second, "--data.store", "STORE", "--print_config") == 0

    found = yaml.safe_load(capsys.readouterr().out)
    assert (found["trainer"]["val_check_interval"], found["trainer"]["log_every_n_steps"], found["model"]["horizon"]) == (7, 3, 3)
