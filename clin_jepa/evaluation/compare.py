"""Hold several evaluated runs side by side: ``clinjepa compare``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from clin_jepa.atomic_file import replacing, write_atomically
from clin_jepa.errors import InputError
from clin_jepa.evaluation.arms import Draws, Floats, MeasuredRun, displacement_figures, draw_subjects
from clin_jepa.evaluation.comparison import ByArm, arms_section, baselines_section, tasks_section, with_counts
from clin_jepa.evaluation.displacement import RAW_NUMBERS
from clin_jepa.evaluation.evaluated_runs import EvaluatedRun, evaluated_runs, run_seed, store_of
from clin_jepa.evaluation.geometry import SCHEMA
from clin_jepa.evaluation.metrics_file import check_values, withdraw_results
from clin_jepa.evaluation.predictions_file import read_predictions
from clin_jepa.evaluation.risk_models import BACKBONE, CONTROLS, TUNED
from clin_jepa.evaluation.run_figures import RiskFigures, RunFigures, risk_figures, run_figures
from clin_jepa.evaluation.run_settings import settings_by_value

SCHEMA_VERSION = 2

# Of what an evaluation leaves beside its figures.
_COLUMNS = {"rollout_errors": ("forecast", "stay_id", "start", "hour", "l1"), "displacements": tuple(SCHEMA)}

# What the curriculum did not train, by the column of its distances: an encoder before it, and the raw numbers, the same for every run.
_UNTRAINED = {TUNED: "distance_tuned", RAW_NUMBERS: "distance_raw"}

# What runs must share: the rows that each table is of.
_ROWS = {
    "errors": ["stay_id", "start"],
    "displacements": ["stay_id", "start", "is_worse"],
    "predictions": ["task", "stay_id", "hour"],
}


def compare(
    runs: Sequence[str],
    output: str | Path,
    reference: str | None = None,
    highlight: Sequence[str] = (),
    draws: int = 500,
    seed: int = 0,
    store: str | Path | None = None,
) -> Path:
    """Write ``metrics.json``, ``predictions.parquet`` and ``report.html`` of several arms, with intervals of paired differences.

    Args:
        runs: Folders of runs that ``clinjepa evaluate`` has measured on the same store; ``ARM=FOLDER`` names the arm that a run is a seed
            of, by default the folder's name without a trailing ``_seed0``.
        output: Folder for the results.
        reference: Arm that the others are held against; by default that of the first run.
        highlight: Arms that plots show in colour, six at most; by default the first ones. Tables hold all.
        draws: Bootstrap draws, by subject.
        seed: Of the draws.
        store: Trajectory store that the runs were evaluated on, where it is not one that they were trained on.

    Returns:
        The report.

    Raises:
        InputError: If a run was not evaluated, or runs were measured on other stays, windows or rows.
    """
    # Plots and templates come with the evaluation extra.
    from clin_jepa.evaluation.arm_lines import MOST_COLOURED
    from clin_jepa.evaluation.comparison_report import write_comparison

    if not runs:
        raise InputError("nothing to compare: give folders of evaluated runs")
    if draws < 1:
        raise InputError(f"--draws {draws}: intervals need at least 1")
    if len(highlight) > MOST_COLOURED:
        raise InputError(f"--highlight names {len(highlight)} arms: more than {MOST_COLOURED} colours are not told apart")
    evaluated, folder = evaluated_runs(runs), Path(output)
    if own := [run.folder for run in evaluated if folder.resolve() == (run.folder / "evaluation").resolve()]:
        raise InputError(f"--output {output} is where the evaluation of {own[0]} lies: give another folder, so that it stays")
    arms = list(dict.fromkeys(run.arm for run in evaluated))
    reference = reference or arms[0]
    for option, given in (("reference", [reference]), ("highlight", highlight)):
        if unknown := [arm for arm in given if arm not in arms]:
            raise InputError(f"--{option} {', '.join(unknown)}: no run is of that arm; there are {', '.join(arms)}")
    evaluated.sort(key=lambda run: run.arm != reference)
    drawn = draw_subjects(store_of(evaluated, store).stays, draws, seed)
    (by_arm, of_untrained), sources = _figures(evaluated, drawn), _baseline_sources(evaluated)
    baselines = {model: risk_figures(run.predictions().filter(pl.col("model") == model).collect(), drawn) for model, run in sources.items()}
    report = _report(evaluated, by_arm, baselines, of_untrained, reference, draws)
    check_values(report)
    withdraw_results(folder)
    _write_predictions(evaluated, sources, folder / "predictions.parquet")
    write_atomically(folder / "metrics.json", json.dumps(report, indent=2, allow_nan=False) + "\n")
    page = write_comparison(report, by_arm, baselines, folder / "report.html", highlight)
    print(f"metrics: {folder / 'metrics.json'}\nreport:  {page}")
    return page


def measured_run(arm: str, folder: Path) -> MeasuredRun:
    """What ``clinjepa evaluate`` left in a run folder.

    Args:
        arm: The arm that the run is a seed of.
        folder: The run folder.

    Raises:
        InputError: If a file is missing, or is not what was written.
    """
    output = folder / "evaluation"
    tables = {}
    for name, columns in _COLUMNS.items():
        path = output / f"{name}.parquet"
        if not path.is_file():
            raise InputError(f"{path} is missing: run 'clinjepa evaluate --run {folder}' with this version")
        try:
            tables[name] = pl.read_parquet(path).select(columns)
        except pl.exceptions.ColumnNotFoundError as error:
            raise InputError(f"{path} lacks the column {error}: run 'clinjepa evaluate --run {folder}' again") from error
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{path} cannot be read: run 'clinjepa evaluate --run {folder}' again") from error
    predictions = read_predictions(output / "predictions.parquet").filter(pl.col("model") == BACKBONE)
    return MeasuredRun(arm, run_seed(folder), tables["rollout_errors"], tables["displacements"], predictions)


def _figures(evaluated: Sequence[EvaluatedRun], draws: Draws) -> tuple[dict[str, dict[int, RunFigures]], dict[str, Mapping[str, Floats]]]:
    """The figures of each seed of each arm, and displacement ratios of `_UNTRAINED`; the rows of one run are held at a time."""
    by_arm: dict[str, dict[int, RunFigures]] = {}
    of_untrained: dict[str, Mapping[str, Floats]] = {}
    expected: dict[str, pl.DataFrame] = {}
    for run in tqdm(evaluated, desc="figures", unit="run"):
        measured = measured_run(run.arm, run.folder)
        for name, columns in _ROWS.items():
            rows = getattr(measured, name).select(columns).unique().sort(columns)
            if not expected.setdefault(name, rows).equals(rows):
                first = evaluated[0].folder
                raise InputError(f"{run.folder} and {first} were measured on other windows or rows: evaluate both with the same options")
        spread = run.metrics["collapse"]["phases"][-1]["measures"]["mean_absolute_deviation"]
        by_arm.setdefault(run.arm, {})[run.seed] = run_figures(measured, draws, spread)
        for name, column in _UNTRAINED.items():
            if name not in of_untrained and (figures := displacement_figures(measured.displacements, draws, column)):
                of_untrained[name] = figures
    return by_arm, of_untrained


def _baseline_sources(evaluated: Sequence[EvaluatedRun]) -> dict[str, EvaluatedRun]:
    """For each baseline the first run that was evaluated with it; all but the tuned encoder are the same for every run on a store."""
    found = {model: [run for run in evaluated if model in run.metrics.get("baselines", {})] for model in CONTROLS}
    return {model: runs[0] for model, runs in found.items() if runs}


def _write_predictions(evaluated: Sequence[EvaluatedRun], sources: Mapping[str, EvaluatedRun], path: Path) -> None:
    """The scores of all backbones and baselines; written as they are read, so that they need not fit into memory."""
    backbones = [run.predictions().filter(pl.col("model") == BACKBONE).with_columns(model=pl.lit(run.name)) for run in evaluated]
    baselines = [run.predictions().filter(pl.col("model") == model) for model, run in sources.items()]
    with replacing(path) as partial:
        pl.concat([*backbones, *baselines]).sink_parquet(partial)


def _report(
    evaluated: Sequence[EvaluatedRun],
    by_arm: ByArm,
    baselines: Mapping[str, RiskFigures],
    of_untrained: Mapping[str, Mapping[str, Floats]],
    reference: str,
    draws: int,
) -> dict[str, Any]:
    # Templates come with the evaluation extra.
    from clin_jepa.evaluation.cohort_flow import cohort_flow

    first, runs = evaluated[0].metrics, {run.name: run.metrics["run"] for run in evaluated}
    return with_counts(
        {
            "schema_version": SCHEMA_VERSION,
            "reference": reference,
            "draws": draws,
            "notes": list(dict.fromkeys(note for run in evaluated for note in run.metrics["run"].get("notes", []))),
            "dataset": first["dataset"],
            "split": first["run"]["split"],
            **{name: first["drift"][name] for name in ("context_hours", "horizon_hours", "n_windows", "n_stays")},
            "geometry": {
                name: value for name, value in first.get("geometry", {}).items() if name.startswith("n_") or name == "unavailable"
            },
            "arms": arms_section(by_arm, reference),
            "baselines": baselines_section(baselines, of_untrained, by_arm, reference),
            "tasks": tasks_section(first.get("tasks", {}), by_arm, baselines, reference),
            "cohort": cohort_flow(first),
            "runs": {run.name: _about(run) for run in evaluated},
            "settings": settings_by_value({name: of_run.get("settings", {}) for name, of_run in runs.items()}),
            "versions": settings_by_value({name: of_run.get("versions", {}) for name, of_run in runs.items()}),
        }
    )


def _about(run: EvaluatedRun) -> dict[str, Any]:
    of_run, encoder = run.metrics["run"], run.metrics["encoder"]
    return {
        "arm": run.arm,
        "seed": run.seed,
        **{name: of_run.get(name) for name in ("name", "checkpoint", "phase", "step", "predictor_parameters")},
        "encoder_parameters": encoder.get("trained_parameters"),
        "encoder_fingerprint": encoder.get("fingerprint"),
    }
