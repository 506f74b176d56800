"""``metrics.json``: every figure of an evaluation, in one file that other programs read (schema 1).

Sections: ``dataset`` (what was evaluated on), ``encoder`` and ``run`` (what was evaluated), ``drift`` and ``collapse``; ``geometry``,
``decoded``, ``tasks``, ``other_probes``, ``baselines`` and ``not_measured`` (models that could not be, and why), which a file may lack. A
figure that is undefined is ``null``; NaN and infinity never occur.
"""

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from clin_jepa.atomic_file import write_atomically
from clin_jepa.errors import InputError

SCHEMA_VERSION = 1
REQUIRED = ("dataset", "encoder", "run", "drift", "collapse")
OPTIONAL = ("geometry", "decoded", "tasks", "other_probes", "baselines", "not_measured")


def write_metrics(sections: Mapping[str, Any], path: Path) -> Path:
    """Write ``metrics.json`` in one step.

    Args:
        sections: The sections by name.
        path: The file.

    Returns:
        ``path``.

    Raises:
        ValueError: If a section is missing or unknown, or a value is not finite or no JSON; the message names where it stands.
        InputError: If the file cannot be written.
    """
    missing, unknown = [name for name in REQUIRED if name not in sections], sections.keys() - {*REQUIRED, *OPTIONAL}
    if missing or unknown:
        raise ValueError(f"metrics lack {missing} and have the unknown {sorted(unknown)}")
    metrics = {"schema_version": SCHEMA_VERSION, **{name: sections[name] for name in (*REQUIRED, *OPTIONAL) if name in sections}}
    check_values(metrics)
    return write_atomically(path, json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a ``metrics.json``.

    Raises:
        InputError: If the file is missing, no JSON, or of another schema version.
    """
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): run 'clinjepa evaluate' first") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}): run 'clinjepa evaluate' again") from error
    found = metrics.get("schema_version") if isinstance(metrics, dict) else None
    if not isinstance(metrics, dict) or found != SCHEMA_VERSION:
        raise InputError(
            f"{path}: the metrics have schema version {found!r}, this clinjepa reads version {SCHEMA_VERSION}: "
            "run 'clinjepa evaluate' again with this version"
        )
    return metrics


def withdraw_results(folder: Path) -> None:
    """Remove figures and page before tables are replaced: wherever that is killed, files of two measurements never stand side by side.

    Args:
        folder: Where ``metrics.json`` and ``report.html`` are, or will be.
    """
    for name in ("metrics.json", "report.html"):
        (folder / name).unlink(missing_ok=True)


def check_values(value: Any, place: str = "metrics") -> None:
    """Refuse what JSON cannot hold.

    Args:
        value: Nested dicts and lists of numbers, strings, booleans and None.
        place: What the value is called in a message.

    Raises:
        ValueError: Naming the place of the first value that is not finite, or of a type that JSON lacks.

    >>> check_values({"drift": {"l1": [0.5, None]}})
    >>> check_values({"drift": {"l1": [0.5, float("nan")]}})
    Traceback (most recent call last):
    ValueError: metrics.drift.l1[1] is nan: a figure that is undefined must be None
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{place} has the key {key!r}, which is no string")
            check_values(inner, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            check_values(inner, f"{place}[{index}]")
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{place} is {value}: a figure that is undefined must be None")
    elif value is not None and not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"{place} is of type {type(value).__name__}, which JSON lacks")
