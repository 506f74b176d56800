"""The design that a result was made with, as a digest: with another one it is made again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

import yaml

from clin_jepa.shipped_configs import config_folder
from study.design import DRAWS, NEXT_TOKEN_RATE, PUBLISHED, TRAINING, TUNING, TUNING_BATCH, Arm, StudyData

# What later choices were before they could be made.
_BEFORE = {"revision": 1, "batch_size": 8, "tuning_batch": 8, "tuned_outlook": 0.0}


def design_of_tuning(data: StudyData, name: str, arm: Arm, seed: int) -> str:
    """Digest of all that next-token tuning depends on, but for the code.

    Args:
        data: The data set.
        name: Of the data set, with its fold.
        arm: The arm whose encoder it is.
        seed: Of the run.

    Returns:
        64 hexadecimal digits.
    """
    configs = _config(arm.encoder), _config(TUNING)
    later = _unlike_before({"tuning_batch": TUNING_BATCH, "tuned_outlook": arm.tuned_outlook})
    settings = _unlike_before(asdict(data)), name, arm.tuned_present, arm.tuned_steps, seed, NEXT_TOKEN_RATE, TRAINING, *configs
    return _digest(*settings, *([later] if later else []))


def design_of_run(data: StudyData, name: str, arm: Arm, seed: int) -> str:
    """Digest of all that an arm's run and its figures depend on, but for the code: another one is trained and measured again.

    Args:
        data: The data set.
        name: Of the data set, with its fold.
        arm: The arm.
        seed: Of the run.

    Returns:
        64 hexadecimal digits.
    """
    configs = [_config(name) for name in (arm.base, f"ablations/{arm.config}.yaml")]
    shared = None if arm.shares is None else [_config(PUBLISHED), _config("ablations/full.yaml")]
    return _digest(design_of_tuning(data, name, arm, seed), _chosen(arm), configs, shared, DRAWS)


def design_of_result(data: StudyData, arm: Arm, seed: int) -> str:
    """Digest of what a result depends on: its runs, one a fold, and which stays are forecast; with the arguments of `design_of_run`."""
    designs = [design_of_run(data.trained, name, arm, seed) for name in data.trained.fold_names]
    trained = designs[0] if len(designs) == 1 else _digest(designs)
    return _digest(trained, "validation stays") if data.validation else trained


def _unlike_before(choices: Mapping[str, Any]) -> dict[str, Any]:
    """What could always be chosen, and what came later where it is not as it was before."""
    return {name: value for name, value in choices.items() if name not in _BEFORE or _BEFORE[name] != value}


def _config(name: str) -> Any:
    """Parsed, so that a comment makes no other design, and without the folder that the study replaces."""
    settings = yaml.safe_load((config_folder() / name).read_text(encoding="utf-8"))
    return {key: value for key, value in settings.items() if key != "run"}


def _chosen(arm: Arm) -> dict[str, Any]:
    """What of an arm differs from a default, so that a further choice that it does not make leaves its design as it was."""
    values = {field.name: (getattr(arm, field.name), field.default) for field in fields(arm)}
    return {name: value for name, (value, default) in values.items() if default is MISSING or value != default}


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
