"""Runs that are compared: their folders, their ``metrics.json``, and the store that they were evaluated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError
from clin_jepa.evaluation.metrics_file import read_metrics
from clin_jepa.run_folder import run_config


@dataclass(frozen=True)
class EvaluatedRun:
    """A run that ``clinjepa evaluate`` has measured.

    Args:
        arm: The arm that it is a seed of.
        seed: Its seed.
        folder: The run folder.
        metrics: The content of its ``metrics.json``.
    """

    arm: str
    seed: int
    folder: Path
    metrics: dict[str, Any]

    @property
    def name(self) -> str:
        """As tables of predictions and of settings call it."""
        return f"{self.arm}, seed {self.seed}"

    def predictions(self) -> pl.LazyFrame:
        """Its ``predictions.parquet``, not yet read."""
        return pl.scan_parquet(self.folder / "evaluation" / "predictions.parquet")


def evaluated_runs(given: Sequence[str]) -> list[EvaluatedRun]:
    """The runs, all measured on one store.

    Args:
        given: ``ARM=FOLDER`` each, or a folder, whose arm is its name without a trailing ``_seed0``.

    Raises:
        InputError: If a run was not evaluated, was measured on another store, split, context, horizon or with another seed of evaluation
            than the first, or has arm and seed of another.
    """
    runs = [_evaluated(each) for each in given]
    first = runs[0]
    taken: dict[str, Path] = {}
    for run in runs:
        if run.metrics["dataset"].get("content_hash") != first.metrics["dataset"].get("content_hash"):
            raise InputError(f"{run.folder} was measured on another store than {first.folder}: evaluate both with the same --store")
        of_run = _options(run)
        for name, value in _options(first).items():
            if of_run[name] != value:
                raise InputError(
                    f"{run.folder} was evaluated with --{name} {of_run[name]}, {first.folder} with {value}: give both the same"
                )
        if run.name in taken:
            raise InputError(f"{taken[run.name]} and {run.folder} are both {run.name}: name their arms apart, ARM={run.folder}")
        taken[run.name] = run.folder
    return runs


def store_of(runs: Sequence[EvaluatedRun], given: str | Path | None) -> TrajectoryStore:
    """The store that the runs were evaluated on.

    Args:
        runs: The runs.
        given: Its folder; None looks where the runs were trained.

    Raises:
        InputError: If none of these is the store.
    """
    expected, first = runs[0].metrics["dataset"].get("content_hash"), runs[0].folder
    if given is not None:
        store = TrajectoryStore(given)
        if store.dataset.get("content_hash") != expected:
            raise InputError(f"--store {given}: {first} was evaluated on another store")
        return store
    for path in dict.fromkeys(Path(run_config(run.folder)["data"]["store"]) for run in runs):
        if (path / "dataset.json").is_file() and (store := TrajectoryStore(path)).dataset.get("content_hash") == expected:
            return store
    raise InputError(f"the store that {first} was evaluated on is not where a run was trained: name it with --store")


def run_seed(folder: Path) -> int:
    """The seed that a run was trained with; errors as of `run_config`."""
    return int(run_config(folder).get("seed_everything") or 0)


def _options(run: EvaluatedRun) -> dict[str, Any]:
    """What runs must share, by option; hours as they were after windows had to be shortened, which rests on the store alone."""
    drift = run.metrics["drift"]
    seed = run.metrics["run"].get("evaluation", {}).get("seed", 0)
    hours = {name: drift[name] for name in ("context_hours", "horizon_hours")}
    return {"split": run.metrics["run"]["split"], **hours, "seed": seed}


def _evaluated(given: str) -> EvaluatedRun:
    arm, folder = _arm_and_folder(given)
    metrics = read_metrics(folder / "evaluation" / "metrics.json")
    return EvaluatedRun(arm, run_seed(folder), folder, metrics)


def _arm_and_folder(given: str) -> tuple[str, Path]:
    arm, sign, folder = given.partition("=")
    if sign and not Path(given).is_dir():  # a folder may have the sign in its name
        return arm, Path(folder)
    name = Path(given).resolve().name
    base, _, number = name.rpartition("_seed")
    return (base if base and number.isdigit() else name), Path(given)
