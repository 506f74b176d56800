"""What runs were trained with, for tables: each setting with its values, and which runs have which."""

from collections.abc import Mapping, Sequence
from typing import Any

# Where files lie, what the terminal shows, and the seed, which tells the runs of an arm apart: no figure of an arm comes from these.
_NOT_THE_ARM = frozenset(
    {"run", "overwrite", "seed_everything", "trainer.default_root_dir", "trainer.enable_progress_bar", "trainer.enable_model_summary"}
)
ABSENT = "not there"


def settings_by_value(by_run: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """The runs that have each value of each setting, in order of appearance.

    Args:
        by_run: Settings of each run, nested.

    >>> settings_by_value({"a": {"lr": 0.1}, "b": {"lr": 0.1, "tau": None}})
    {'lr': {'0.1': ['a', 'b']}, 'tau': {'not there': ['a'], 'none': ['b']}}
    """
    flat = {run: flat_settings(settings) for run, settings in by_run.items()}
    found: dict[str, dict[str, list[str]]] = {}
    for name in dict.fromkeys(name for settings in flat.values() for name in settings):
        for run, settings in flat.items():
            found.setdefault(name, {}).setdefault(settings.get(name, ABSENT), []).append(run)
    return found


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names; of a list of classes, each goes by its class.

    >>> flat_settings({"callbacks": [{"class_path": "clin_jepa.callbacks.HardSync", "init_args": {"start": None}}], "layers": 6})
    {'callbacks.HardSync.start': 'none', 'layers': '6'}
    """
    flat: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flat_settings(value, f"{name}.") if value else {name: "none"}
        elif isinstance(value, Sequence) and value and all(isinstance(each, Mapping) and "class_path" in each for each in value):
            flat |= _classes(value, name)
        else:
            flat[name] = "none" if value is None else str(value)
    return flat


def setting_rows(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested settings as rows of a table: `flat_settings`' names and values."""
    return list(flat_settings(settings).items())


def differing(by_value: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Names of the settings that make arms differ, out of `settings_by_value`."""
    return [name for name, values in by_value.items() if len(values) > 1 and name not in _NOT_THE_ARM]


def arms_of_runs(runs: Sequence[str], runs_of_arm: Mapping[str, Sequence[str]]) -> str:
    """Some runs in words: an arm by its name where all its seeds are among them.

    >>> arms_of_runs(["a, seed 0", "a, seed 1", "b, seed 0"], {"a": ["a, seed 0", "a, seed 1"], "b": ["b, seed 0", "b, seed 1"]})
    'a; b, seed 0'
    """
    if all(run in runs for of_arm in runs_of_arm.values() for run in of_arm):
        return "all"
    words = [[arm] if all(run in runs for run in of_arm) else [run for run in of_arm if run in runs] for arm, of_arm in runs_of_arm.items()]
    return "; ".join(word for of_arm in words for word in of_arm)


def _classes(entries: Sequence[Mapping[str, Any]], name: str) -> dict[str, str]:
    flat: dict[str, str] = {}
    taken: dict[str, int] = {}
    for entry in entries:
        short = str(entry["class_path"]).rpartition(".")[2]
        taken[short] = taken.get(short, 0) + 1
        own = f"{name}.{short}" if taken[short] == 1 else f"{name}.{short} {taken[short]}"
        flat |= flat_settings(entry["init_args"], f"{own}.") if entry.get("init_args") else {own: "there"}
    return flat
