"""Run the study, or go on with it: ``python -m study``.

Whatever is finished is kept, unless its design has changed since; a run that was interrupted begins again.
"""

import argparse
import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.code_commit import code_commit
from clin_jepa.atomic_file import write_atomically
from clin_jepa.cli import main as clinjepa
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.evaluation.arms import draw_subjects, figures_of_run
from clin_jepa.evaluation.compare import measured_run
from clin_jepa.evaluation.predictions_file import read_predictions
from data_pipelines.extract import extract
from study.design import (
    CANDIDATES,
    DATA,
    DRAWS,
    MAIN_ARMS,
    NEXT_TOKEN_RATE,
    OTHER_ARMS,
    REFERENCE,
    SEEDS,
    TRAINING,
    VALIDATION,
    Arm,
    StudyData,
)
from study.design_digest import ENCODER, design_of_result, design_of_run, design_of_tuning
from study.folds import pooled
from study.results import (
    RESULTS,
    baseline_figures,
    counts_by_task,
    mean_aurocs_of_reported_probe,
    read_about,
    save_failure,
    save_figures,
)
from study.store_view import fold_of_stays, sampled_stays, with_validation_stays, write_view
from study.write_up import write_up

_ORIGINAL = Path(os.environ.get("CLINJEPA_DATA", "../shared/data"))
_RUNS = Path("runs/study")
# What the study itself writes makes no other code of it.
_OWN_PAGES = ("study/results", "docs")


def main() -> None:
    """Train and measure what is missing, then write the tables of ``docs``."""
    parser = argparse.ArgumentParser(prog="python -m study", description=__doc__)
    names = [data.name for data in (*DATA, *VALIDATION)]
    arms = list(dict.fromkeys(arm.name for arm in (*MAIN_ARMS, *OTHER_ARMS, *CANDIDATES)))
    parser.add_argument("--validation", action="store_true", help="compare candidates for the default recipe, on validation stays")
    parser.add_argument("--data", nargs="*", default=names, choices=names, help="data sets")
    parser.add_argument("--arms", nargs="*", default=arms, choices=arms, help="arms")
    parser.add_argument(
        "--seeds",
        nargs="*",
        type=int,
        help="seeds; by default all, with --validation the first, which is the only one of arms that are not main",
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further arm after so many minutes")
    parser.add_argument("--without_baselines", action="store_true", help="leave the baselines to a later call")
    parser.add_argument("--write_up_only", action="store_true", help="train nothing")
    given = parser.parse_args()
    end, failed = time.monotonic() + 60 * given.minutes, 0
    for arm, seed in planned_runs(given.validation, given.arms, given.seeds or (SEEDS[:1] if given.validation else SEEDS)):
        for data in VALIDATION if given.validation else DATA:
            if data.name in given.data and time.monotonic() < end and not given.write_up_only:
                failed += not _measure(data, arm, seed, arm == REFERENCE and seed == SEEDS[0] and not given.without_baselines)
    write_up()
    raise SystemExit(1 if failed else 0)


def planned_runs(validation: bool, named: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[Arm, int]]:
    """The main arms with the first seed, the other arms, then the main arms with the other seeds; or the candidates, seed by seed."""
    for seed in seeds:
        held_out = (*MAIN_ARMS, *OTHER_ARMS) if seed == SEEDS[0] else MAIN_ARMS
        for arm in CANDIDATES if validation else held_out:
            if arm.name in named:
                yield arm, seed


def _measure(data: StudyData, arm: Arm, seed: int, with_baselines: bool) -> bool:
    """Train and evaluate an arm where that was not done yet; whether there are figures of it then. Others go on where one fails."""
    figures, baselines = RESULTS / data.name / f"{arm.name}_seed{seed}.npz", RESULTS / data.name / "baselines.npz"
    names = [f"{data.name}_fold{fold}" for fold in range(data.folds)] if data.folds > 1 else [data.name]
    design = design_of_result(data, names, arm, seed)
    if all(read_about(path).get("design") == design for path in ([figures, baselines] if with_baselines else [figures])):
        return True
    began, about = time.monotonic(), {"design": design, "commit": code_commit(_OWN_PAGES)}
    try:
        stores = [_store(data, fold, name) for fold, name in enumerate(names)]
        runs = [_evaluated(data, name, store, arm, seed, with_baselines) for name, store in zip(names, stores, strict=True)]
    except _CommandError as error:
        save_failure(figures, str(error), about)
        print(f"{data.name}: {arm.name}, seed {seed} failed: {error}", flush=True)
        return False
    measured, draws = pooled([measured_run(arm.name, run) for run in runs]), draw_subjects(stores[0].stays, DRAWS, seed=0)
    predictions = pl.concat([read_predictions(run / "evaluation" / "predictions.parquet") for run in runs])
    of_arm = figures_of_run(measured, draws) | mean_aurocs_of_reported_probe(predictions, draws)
    save_figures(figures, of_arm, {**about, "counts": counts_by_task(predictions)})
    if with_baselines:
        save_figures(baselines, baseline_figures(predictions, measured.displacements, draws), about)
    print(f"{data.name}: {arm.name}, seed {seed}: {(time.monotonic() - began) / 60:.1f} min", flush=True)
    return True


def _evaluated(data: StudyData, name: str, store: TrajectoryStore, arm: Arm, seed: int, with_baselines: bool) -> Path:
    """The folder of a run that is trained and evaluated."""
    run, design = _RUNS / name / f"{arm.name}_seed{seed}", design_of_run(data, name, arm, seed)
    log = run.parent / "log.txt"
    if not _is_of(run, design):
        _train(data, name, store, arm, seed, run, log)
        _sign(run, design)
    measured = ("--context_hours", data.context_hours, "--horizon_hours", data.horizon_hours, "--other_contexts", "[]", "--draws", DRAWS)
    # The windows of all folds are measured together, however few one has.
    fewest = ("--minimum_windows", 1) if data.folds > 1 else ()
    # What no table of the study shows is not measured again for each arm.
    left_out = () if with_baselines else ("--baselines", "none", "--decoders", "false", "--tuned_encoder", "false")
    _run(log, "evaluate", "--run", run, "--store", store.path, *measured, *fewest, *left_out)
    shutil.rmtree(run / "latents", ignore_errors=True)
    drop_checkpoints(run, arm)
    return run


def _train(data: StudyData, name: str, store: TrajectoryStore, arm: Arm, seed: int, run: Path, log: Path) -> None:
    unlike = (f"_present_{arm.tuned_present:g}" if arm.tuned_present else "") + (f"_steps_{arm.tuned_steps}" if arm.tuned_steps else "")
    tuned = run.parent / f"{Path(arm.tuning_config).stem}{unlike}_seed{seed}"
    common = ("--config", ENCODER, "--data.store", store.path, "--seed_everything", seed, "--overwrite", "true", *TRAINING)
    design = design_of_tuning(data, name, arm, seed)
    if not _is_of(tuned, design):
        phase = json.dumps(
            [{"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": arm.tuned_steps or data.next_token_steps}}]
        )
        over = ("--model.optimization.encoder_lr", NEXT_TOKEN_RATE, "--model.grounding.present", arm.tuned_present)
        _run(log, "fit", "--config", arm.tuning_config, *common, "--run", tuned, "--trainer.callbacks", phase, *over)
        _sign(tuned, design)
    weights = ("--model.encoder.weights", tuned / "checkpoints" / "phase0.ckpt", "--model.optimization.total_steps", data.steps)
    reference = run.parent / f"{REFERENCE.name}_seed{seed}"
    shares = arm.shares is not None and _is_of(reference, design_of_run(data, name, REFERENCE, seed))
    start = ("--ckpt_path", reference / "checkpoints" / f"phase{arm.shares}.ckpt") if shares else ()
    shutil.rmtree(run, ignore_errors=True)
    _run(log, "fit", "--config", arm.base, "--config", f"ablations/{arm.config}.yaml", *common, *weights, "--run", run, *start)


def drop_checkpoints(run: Path, arm: Arm) -> None:
    """Keep of a run the checkpoint of its last phase, and of the reference those that other arms begin from; a run's others are 0.4 GB."""
    folder = run / "checkpoints"
    shared = [folder / f"phase{other.shares}.ckpt" for other in (*MAIN_ARMS, *OTHER_ARMS) if other.shares] if arm == REFERENCE else []
    kept = {max(folder.glob("phase[0-5].ckpt")), *shared}
    for file in set(folder.glob("*.ckpt")) - kept:
        file.unlink()


def _sign(run: Path, design: str) -> None:
    """Say that a run is finished, and of which design it is."""
    write_atomically(run / "trained", design)


def _is_of(run: Path, design: str) -> bool:
    return (run / "trained").is_file() and (run / "trained").read_text(encoding="utf-8") == design


def _store(data: StudyData, fold: int, name: str) -> TrajectoryStore:
    whole = Path("stores/study") / data.source
    if not (whole / "dataset.json").is_file():
        extract(data.source, _ORIGINAL / data.folder, whole)
    store = TrajectoryStore(whole)
    view = Path("stores/study") / f"view_{name}"
    if data.stays is None:
        return write_view(store, view, fold_of_stays(store, data.folds, fold, seed=0))
    chosen = sampled_stays(store, data.stays, seed=0)
    return write_view(store, view, with_validation_stays(store, chosen, data.stays["held_out"], seed=1) if data.validation else chosen)


class _CommandError(Exception):
    """A clinjepa command did not end well; the message says why."""


def _run(log: Path, *words: object) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        code = clinjepa([str(word) for word in words])
    if code:
        said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if ": error: " in line]
        reason = said[-1].partition(": error: ")[2] if said else f"exit code {code}"
        raise _CommandError(f"clinjepa {words[0]}: {reason} (see {log})")


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
