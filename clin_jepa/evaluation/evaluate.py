"""Evaluate a run, ``clinjepa evaluate``: rollout drift, collapse, latent geometry, decoded forecasts and risk tasks, beside baselines."""

import importlib.metadata
import importlib.util
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch

from clin_jepa import __version__
from clin_jepa.atomic_file import write_parquet_atomically
from clin_jepa.data.datamodule import Split
from clin_jepa.errors import InputError
from clin_jepa.evaluation.collapse import collapse_measures, collapse_report, singular_values
from clin_jepa.evaluation.decoded_forecasts import decoded_report
from clin_jepa.evaluation.drift import drift_curves, drift_report
from clin_jepa.evaluation.drift_table import drift_table
from clin_jepa.evaluation.finished_run import FinishedRun, open_run
from clin_jepa.evaluation.geometry import measure_geometry
from clin_jepa.evaluation.metrics_file import read_metrics, withdraw_results, write_metrics
from clin_jepa.evaluation.numeric_grid import NumericGrid, read_grid
from clin_jepa.evaluation.predictions_file import write_predictions
from clin_jepa.evaluation.risk_models import BACKBONE, BASELINES, REPORTED_PROBE, TUNED
from clin_jepa.evaluation.risk_tasks import RiskTasks, task_report
from clin_jepa.evaluation.rollout_errors import drawn_hours, errors_table, rollout_errors, split_hours, training_mean_by_hour
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.tuned_encoder import tuned_checkpoint
from clin_jepa.evaluation.windows import choose_windows
from clin_jepa.run_folder import run_config
from data_pipelines.labels import TASKS

_VERSIONS = ("torch", "lightning", "transformers", "peft", "polars", "duckdb", "numpy", "scikit-learn", "lightgbm", "umap-learn")
_SINGULAR_VALUES = 256
# Of which collapse is measured: 4 GB of Qwen3-8B's latents.
_MOST_HOURS_OF_CLOUD = 262_144


def evaluate(
    run: str | Path,
    checkpoint: str | Path | None = None,
    store: str | Path | None = None,
    split: Split = "held_out",
    context_hours: int = 24,
    horizon_hours: int = 48,
    other_contexts: Sequence[int] = (6, 12, 48),
    minimum_windows: int = 10,
    draws: int = 500,
    batch_size: int = 64,
    device: str = "auto",
    seed: int = 0,
    tasks: Sequence[str] | Literal["all", "none"] = "all",
    baselines: Sequence[str] | Literal["all", "none"] = "all",
    decoders: bool = True,
    tuned_encoder: bool = True,
) -> Path:
    """Measure a run: its forecasts, the geometry of its latents, and what risk they hold, beside baselines.

    Writes ``metrics.json`` and ``report.html`` into the run's folder ``evaluation``, and what their figures are made of:
    ``predictions.parquet``, ``rollout_errors.parquet`` and ``displacements.parquet``. Latents and scores that are finished are kept: an
    evaluation that was interrupted goes on where it was.

    Args:
        run: Folder of a finished run.
        checkpoint: Checkpoint to evaluate; by default that of the run's last phase.
        store: Trajectory store to evaluate on; by default the one trained on.
        split: Split to evaluate on.
        context_hours: True hours before each forecast.
        horizon_hours: Hours of each forecast.
        other_contexts: Further contexts, each with windows of its own; where context and horizon do not fit the predictor, the horizon is
            shortened.
        minimum_windows: Where fewer windows are long enough, context and horizon are shortened until this many are.
        draws: Bootstrap draws, by stay or subject, behind each 95 % interval.
        batch_size: Windows rolled out at a time.
        device: Where the model runs, and the baselines that are networks: auto, cpu, cuda or cuda:N.
        seed: Seed of the bootstrap, of probes, networks and trees, and of the training rows where they are drawn.
        tasks: Risk tasks; all that the store can tell, none, or a list of names.
        baselines: Models that score the same rows, trained here without the run's backbone; all, none, or a list of names. They do not
            depend on the run: of several runs on one store, one needs them.
        decoders: Whether to decode forecasts into bedside variables.
        tuned_encoder: Whether to measure geometry and risk tasks with the encoder as it was before the curriculum too, where the run
            began with one that was tuned on its own. It encodes most of the store's texts once more.

    Returns:
        The report.

    Raises:
        InputError: If the run is not finished, a file does not fit, or no stay is long enough.
    """
    for package in ("jinja2", "matplotlib", "sklearn", "lightgbm", "umap"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"the report needs {package}: pip install 'clin-jepa[evaluation]'")
    if min(draws, batch_size, minimum_windows) < 1:
        raise InputError("--draws, --batch_size and --minimum_windows must be at least 1")
    if min(context_hours, horizon_hours, *other_contexts) < 1:
        raise InputError("--context_hours, --horizon_hours and each of --other_contexts must be at least 1")
    wanted = _chosen("tasks", tasks, TASKS)
    held_against = _chosen("baselines", baselines, BASELINES)
    opened = open_run(Path(run), _path(checkpoint), _path(store), device)
    tuned, why_not_tuned = tuned_checkpoint(opened) if tuned_encoder else (None, "not asked for")
    models = (BACKBONE, REPORTED_PROBE, *((TUNED,) if tuned is not None else ()), *held_against)
    notes = _notes(opened, split)
    for note in notes:
        print(note)
    hours = split_hours(opened.data, split)
    if not len(hours.n_hours):
        raise InputError(f"{opened.data.store.path}: no stay is in the split {split}: give another one with --split")
    if "train" not in opened.data.store.stays["split"]:
        raise InputError(
            f"{opened.data.store.path}: no stay is in the split train, on which probes, baselines and the mean forecast are fitted: give a "
            "store that has one with --store"
        )
    windows = choose_windows(
        hours.n_hours,
        context_hours=context_hours,
        horizon_hours=horizon_hours,
        stride=opened.data.windowing.stride,
        minimum=minimum_windows,
    )
    longest = opened.module.predictor_config.max_hours
    if windows.context_hours + windows.horizon_hours - 1 > longest:
        raise InputError(
            f"{context_hours} h of context and {horizon_hours} h of horizon do not fit the predictor's {longest} positions: "
            "lower --context_hours or --horizon_hours"
        )
    latents = StoreLatents(opened.module, opened.data.tokens, opened.data.tokenizer(), opened.folder / "latents")
    drawn_M = drawn_hours(hours, _MOST_HOURS_OF_CLOUD, seed)
    state_MD = latents.of_texts(hours.state_id_M[drawn_M], progress=f"encode {split}")
    measures = collapse_measures(state_MD, torch.from_numpy(hours.stay_M[drawn_M]))
    mean_of_hour = training_mean_by_hour(opened.data, latents)
    setting = _Setting(opened, latents, mean_of_hour, split, minimum_windows, batch_size, draws, seed)
    errors = rollout_errors(opened.module, opened.data, latents, mean_of_hour, split, windows, batch_size)
    spread = measures["mean_absolute_deviation"]
    output = opened.folder / "evaluation"
    grid = read_grid(opened.data.store)
    geometry = measure_geometry(opened, latents, grid, split, draws, seed, tuned, why_not_tuned)
    decoded = decoded_report(opened.module, opened.data, latents, grid, split, windows, batch_size, draws, seed) if decoders else {}
    by_task, risk = _risk_tasks(setting, grid, wanted, models, tuned)
    if wanted and tuned_encoder and tuned is None:
        risk["not_measured"] = {TUNED: why_not_tuned}
    options = {
        "store": str(opened.data.store.path),
        "split": split,
        "context_hours": context_hours,
        "horizon_hours": horizon_hours,
        "other_contexts": list(other_contexts),
        "minimum_windows": minimum_windows,
        "draws": draws,
        "batch_size": batch_size,
        "device": str(opened.module.device),
        "seed": seed,
        "tasks": list(wanted),
        "baselines": list(held_against),
        "decoders": decoders,
        "tuned_encoder": tuned_encoder,
    }
    sections = {
        "dataset": _dataset(opened),
        "encoder": _encoder(opened),
        "run": {**_run(opened, split), "evaluation": options, "notes": notes},
        "drift": {
            **drift_report(errors, windows, spread, draws=draws, seed=seed),
            "other_contexts": {str(context): _drift_from(setting, context, horizon_hours, spread) for context in other_contexts},
        },
        "collapse": _collapse(opened, split, measures),
        "geometry": geometry.report,
        "decoded": decoded,
        **risk,
    }
    withdraw_results(output)  # now that everything is measured
    write_predictions(list(by_task.values()), output / "predictions.parquet")
    write_parquet_atomically(errors_table(errors, windows, opened.data, split), output / "rollout_errors.parquet")
    write_parquet_atomically(geometry.displacements, output / "displacements.parquet")
    metrics = write_metrics(sections, output / "metrics.json")
    spectrum = singular_values(state_MD)[:_SINGULAR_VALUES].tolist()
    curves = {
        "drift": drift_curves(errors, windows, spread, draws=draws, seed=seed),
        "singular_values": {f"{split}, after {opened.module.position.name}": spectrum},
    }
    # Plots and templates come with the evaluation extra.
    from clin_jepa.evaluation.report import write_report

    content = read_metrics(metrics)
    report = write_report(content, curves, output / "report.html", by_task, geometry)
    print(drift_table(content))
    print(f"metrics: {metrics}\nreport:  {report}")
    return report


def _chosen(option: str, given: Sequence[str] | str, known: Sequence[str]) -> Sequence[str]:
    if given in ("all", "none"):
        return known if given == "all" else ()
    if unknown := [name for name in given if name not in known]:
        raise InputError(f"--{option} {', '.join(unknown)}: there is no such thing; there are {', '.join(known)}")
    return given


@dataclass(frozen=True)
class _Setting:
    """What every part of an evaluation is measured with; as in `evaluate`."""

    opened: FinishedRun
    latents: StoreLatents
    mean_of_hour: tuple[torch.Tensor, torch.Tensor]
    split: Split
    minimum_windows: int
    batch_size: int
    draws: int
    seed: int


def _risk_tasks(
    setting: _Setting, grid: NumericGrid, tasks: Sequence[str], models: Sequence[str], tuned: Path | None
) -> tuple[dict[str, pl.DataFrame], dict[str, Any]]:
    """Predictions by task, and the sections of ``metrics.json``."""
    opened, seed = setting.opened, setting.seed
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=opened.folder) as scratch:
        measured = RiskTasks(opened, setting.latents, grid, setting.split, seed, Path(scratch), tuned)
        by_task, unavailable = measured.scores(tasks, models)
    return by_task, task_report(by_task, unavailable, opened, setting.draws, seed) if tasks else {}


def _drift_from(setting: _Setting, context: int, horizon: int, spread: float) -> dict[str, Any]:
    """Drift from another context, or why there is none."""
    data, most = setting.opened.data, setting.opened.module.predictor_config.max_hours
    if context > most:
        return {"unavailable": f"{context} h of context do not fit the predictor's {most} positions"}
    wanted = {"context_hours": context, "horizon_hours": min(horizon, most - context + 1)}
    hours = split_hours(data, setting.split).n_hours
    try:
        windows = choose_windows(hours, **wanted, stride=data.windowing.stride, minimum=setting.minimum_windows)
    except InputError as error:  # no stay is long enough; what is measured from the main context stands
        return {"unavailable": str(error)}
    if windows.shortened:
        return {"unavailable": windows.reason}
    measured = (setting.latents, setting.mean_of_hour, setting.split)
    errors = rollout_errors(setting.opened.module, data, *measured, windows, setting.batch_size)
    return drift_report(errors, windows, spread, draws=setting.draws, seed=setting.seed)


def _notes(opened: FinishedRun, split: Split) -> list[str]:
    """What a reader has to know before any figure."""
    fitted = {
        "train": "on which the run, its probes and the baselines were fitted",
        "tuning": "which stopped and chose probes and baselines",
        "held_out": None,
    }[split]
    flatters = None if fitted is None else f"These are stays of the split {split}, {fitted}: the figures flatter."
    return [note for note in (opened.note, flatters) if note is not None]


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _dataset(opened: FinishedRun) -> dict[str, Any]:
    about, splits = opened.data.store.dataset, {}
    for split in opened.data.store.stays["split"].unique().sort():
        hours = split_hours(opened.data, split)
        windows = opened.data.windows(split)
        splits[split] = {"stays": len(hours.n_hours), "windows": len(windows), "hours": int(hours.n_hours.sum())}
    keys = ("source", "source_version", "time_policy", "schema_version", "content_hash")
    counts = about.get("row_counts", {}).get("stays")
    return {**{key: about.get(key) for key in keys}, "stay_counts": counts, "splits": splits}


def _encoder(opened: FinishedRun) -> dict[str, Any]:
    encoder = opened.module.encoder
    trained = sum(parameter.numel() for parameter in encoder.online_parameters().values())
    shape: Any = encoder.identity["shape"]
    about = {key: value for key, value in encoder.identity.items() if key not in ("shape", "hash")}
    return {**about, **shape, "trained_parameters": trained, "fingerprint": encoder.fingerprint()}


def _run(opened: FinishedRun, split: Split) -> dict[str, Any]:
    module = opened.module
    return {
        "name": opened.folder.resolve().name,
        "checkpoint": opened.checkpoint.name,
        "phase": module.position.number,
        "step": opened.step,
        "split": split,
        "predictor_parameters": sum(parameter.numel() for parameter in module.predictor.parameters()),
        "settings": _plain(run_config(opened.folder)),
        "versions": {
            "clin-jepa": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _VERSIONS},
        },
    }


def _collapse(opened: FinishedRun, split: Split, measures: dict[str, float]) -> dict[str, Any]:
    """Figures at the last validation of each phase, and those of the evaluated split."""
    last_of_phase = {entry["phase"]: entry for entry in opened.history}
    history = list(last_of_phase.values())
    evaluated: dict[str, Any] = {"phase": f"evaluation, {split}", "step": opened.step, "measures": measures}
    if not history:
        return collapse_report([evaluated], evaluated["phase"])
    warmups = [entry["phase"] for entry in history if entry["phase"].startswith("1 ")]
    return collapse_report([*history, evaluated], (warmups or [history[0]["phase"]])[0])


def _plain(value: Any) -> Any:
    """Settings without what JSON cannot hold."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
