"""Hold several evaluated runs side by side: ``clinjepa compare``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from clin_jepa.atomic_file import write_atomically, write_parquet_atomically
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError
from clin_jepa.evaluation.arms import MeasuredRun, compare_arms, draw_subjects
from clin_jepa.evaluation.metrics_file import check_values, read_metrics
from clin_jepa.evaluation.predictions_file import read_predictions
from clin_jepa.evaluation.risk_models import BACKBONE

SCHEMA_VERSION = 1


def compare(runs: Sequence[str], output: str | Path, reference: str | None = None, draws: int = 500, seed: int = 0) -> Path:
    """Write ``metrics.json``, ``predictions.parquet`` and ``report.html`` of several arms, with intervals of paired differences.

    Args:
        runs: Folders of runs that ``clinjepa evaluate`` has measured on the same store; ``ARM=FOLDER`` names the arm that a run is a seed
            of, by default the folder's name without a trailing ``_seed0``.
        output: Folder for the results.
        reference: Arm that the others are held against; by default that of the first run.
        draws: Bootstrap draws, by subject.
        seed: Of the draws.

    Returns:
        The report.

    Raises:
        InputError: If a run was not evaluated, or runs were measured on other stays, windows or rows.
    """
    if not runs:
        raise InputError("nothing to compare: give folders of evaluated runs with --runs")
    named = [_arm_and_folder(given) for given in runs]
    metrics = [read_metrics(folder / "evaluation" / "metrics.json") for _, folder in named]
    measured = [measured_run(arm, folder) for arm, folder in named]
    _check_same_rows(named, metrics, measured)
    reference = reference or named[0][0]
    if reference not in (arms := [arm for arm, _ in named]):
        raise InputError(f"--reference {reference}: no run is of that arm; there are {', '.join(dict.fromkeys(arms))}")
    store = TrajectoryStore(_config(named[0][1])["data"]["store"])
    report = {
        "schema_version": SCHEMA_VERSION,
        "reference": reference,
        "draws": draws,
        "dataset": metrics[0]["dataset"],
        "split": metrics[0]["run"]["split"],
        "context_hours": metrics[0]["drift"]["context_hours"],
        "horizon_hours": metrics[0]["drift"]["horizon_hours"],
        "n_windows": metrics[0]["drift"]["n_windows"],
        "arms": compare_arms(measured, draw_subjects(store.stays, draws, seed), reference),
        "baselines": _baselines(next((content for content in metrics if content.get("baselines")), {})),
    }
    check_values(report)
    folder = Path(output)
    write_atomically(folder / "metrics.json", json.dumps(report, indent=2, allow_nan=False) + "\n")
    table = pl.concat([run.predictions.with_columns(model=pl.lit(f"{run.arm}, seed {run.seed}")) for run in measured])
    write_parquet_atomically(table, folder / "predictions.parquet")
    # Plots and templates come with the evaluation extra.
    from clin_jepa.evaluation.comparison_report import write_comparison

    page = write_comparison(report, folder / "report.html")
    print(f"metrics: {folder / 'metrics.json'}\nreport:  {page}")
    return page


def _arm_and_folder(given: str) -> tuple[str, Path]:
    arm, sign, folder = given.rpartition("=")
    if sign:
        return arm, Path(folder)
    name = Path(given).resolve().name
    base, _, number = name.rpartition("_seed")
    return (base if base and number.isdigit() else name), Path(given)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    if not path.is_file():
        raise InputError(f"{folder} is not a run folder (no config.yaml in it): give folders that 'clinjepa fit --run' named")
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config


def measured_run(arm: str, folder: Path) -> MeasuredRun:
    """What ``clinjepa evaluate`` left in a run folder.

    Args:
        arm: The arm that the run is a seed of.
        folder: The run folder.

    Raises:
        InputError: If a file is missing.
    """
    output = folder / "evaluation"
    tables = {}
    for name in ("rollout_errors", "displacements"):
        path = output / f"{name}.parquet"
        if not path.is_file():
            raise InputError(f"{path} is missing: run 'clinjepa evaluate --run {folder}' with this version")
        tables[name] = pl.read_parquet(path)
    predictions = read_predictions(output / "predictions.parquet").filter(pl.col("model") == BACKBONE)
    return MeasuredRun(
        arm, int(_config(folder).get("seed_everything") or 0), tables["rollout_errors"], tables["displacements"], predictions
    )


def _check_same_rows(named: Sequence[tuple[str, Path]], metrics: Sequence[dict[str, Any]], measured: Sequence[MeasuredRun]) -> None:
    first = named[0][1]
    for (_, folder), content, run in zip(named[1:], metrics[1:], measured[1:], strict=True):
        if content["dataset"].get("content_hash") != metrics[0]["dataset"].get("content_hash"):
            raise InputError(f"{folder} was measured on another store than {first}: evaluate both with the same --store")
        for name, columns in (("errors", ["stay_id", "start"]), ("predictions", ["task", "stay_id", "hour"])):
            mine, theirs = (getattr(each, name).select(columns).unique().sort(columns) for each in (run, measured[0]))
            if not mine.equals(theirs):
                raise InputError(f"{folder} and {first} were measured on other windows or rows: evaluate both with the same options")


def _baselines(metrics: dict[str, Any]) -> dict[str, Any]:
    """AUROC of each baseline on each task, which is the same for every run on a store."""
    return {
        model: {task: {"value": figures["auroc"], "ci95": figures["ci95"]["auroc"]} for task, figures in tasks.items()}
        for model, tasks in metrics.get("baselines", {}).items()
    }
