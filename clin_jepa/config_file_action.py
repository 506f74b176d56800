"""ReplacingConfigFile: a later config that lists callbacks replaces those of the configs before it."""

import argparse
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]
from typing_extensions import override


class ReplacingConfigFile(ActionConfigFile):
    """``--config`` whose list of ``trainer.callbacks`` stands alone.

    jsonargparse hands an entry the arguments of the entry at the same index of the list before it, where both lists are equally long: a
    phase would silently inherit the ``tau`` or the ``start`` of another one. ``callbacks+:`` still appends.
    """

    @override
    def __call__(self, parser: argparse.ArgumentParser, cfg: Any, values: Any, option_string: str | None = None) -> None:
        if _lists_callbacks(str(values)) and cfg.get("trainer.callbacks"):
            cfg["trainer.callbacks"] = None
        super().__call__(parser, cfg, values, option_string)  # type: ignore[no-untyped-call]


def _lists_callbacks(config: str) -> bool:
    """Whether a config, a path or YAML itself, has ``trainer.callbacks``; what cannot be read is left for jsonargparse to refuse.

    >>> _lists_callbacks("trainer: {callbacks: []}"), _lists_callbacks("trainer: {max_steps: 3}"), _lists_callbacks("no-such-file.yaml")
    (True, False, False)
    """
    try:
        path = Path(config)
        settings = yaml.safe_load(path.read_text(encoding="utf-8") if path.is_file() else config)
    except (OSError, ValueError, yaml.YAMLError):
        return False
    trainer = settings.get("trainer") if isinstance(settings, dict) else None
    return isinstance(trainer, dict) and "callbacks" in trainer
