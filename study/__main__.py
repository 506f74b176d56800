"""Run the study, or go on with it: ``python -m study``. Whatever is finished is kept; a run that was interrupted begins again."""

import argparse
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clin_jepa.cli import main as clinjepa
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.evaluation.arms import draw_subjects, figures_of_run
from clin_jepa.evaluation.compare import measured_run
from data_pipelines.extract import extract
from study.design import DATA, DRAWS, MAIN_ARMS, NEXT_TOKEN_RATE, NEXT_TOKEN_STEPS, OTHER_ARMS, REFERENCE, SEEDS, STEPS, TRAINING, StudyData
from study.results import RESULTS, save_baselines, save_figures
from study.store_view import fold_of_stays, sampled_stays, write_view
from study.write_up import write_up

_ORIGINAL = Path(os.environ.get("CLINJEPA_DATA", "../shared/data"))


def main() -> None:
    """Train and measure what is missing, then write ``docs/study.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [data.name for data in DATA]
    parser.add_argument("--data", nargs="*", default=names, choices=names, help="data sets")
    parser.add_argument("--arms", nargs="*", default=[*MAIN_ARMS, *OTHER_ARMS], help="arms")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS), help="seeds of the main arms")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further arm after so many minutes")
    parser.add_argument("--write_up_only", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    if not arguments.write_up_only:
        for data in DATA:
            if data.name in arguments.data:
                for arm, seed in _runs(arguments.arms, arguments.seeds):
                    for fold in range(data.folds):
                        if time.monotonic() < end:
                            _measure(data, fold, arm, seed)
    write_up(DATA)


def _runs(arms: list[str], seeds: list[int]) -> Iterator[tuple[str, int]]:
    """All arms with the first seed, then the main arms with the others."""
    for seed in seeds:
        for arm in arms:
            if seed == seeds[0] or arm in MAIN_ARMS:
                yield arm, seed


def _measure(data: StudyData, fold: int, arm: str, seed: int) -> None:
    name = f"{data.name}_fold{fold}" if data.folds > 1 else data.name
    if (RESULTS / name / f"{arm}_seed{seed}.npz").is_file():
        return
    store, began = _store(data, fold, name), time.monotonic()
    folder = Path("runs/study") / name
    tuned, run = folder / f"next_token_seed{seed}", folder / f"{arm}_seed{seed}"
    common = ("--config", "encoder/tiny.yaml", "--data.store", store.path, "--seed_everything", seed, "--overwrite", "true", *TRAINING)
    if not (tuned / "checkpoints" / "phase0.ckpt").is_file():
        phase = json.dumps([{"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": NEXT_TOKEN_STEPS}}])
        rate = ("--model.optimization.encoder_lr", NEXT_TOKEN_RATE)
        _run("fit", "--config", "sft.yaml", *common, "--run", tuned, "--trainer.callbacks", phase, *rate)
    weights = ("--model.encoder.weights", tuned / "checkpoints" / "phase0.ckpt", "--model.optimization.total_steps", STEPS)
    _run("fit", "--config", "curriculum.yaml", "--config", f"ablations/{arm}.yaml", *common, *weights, "--run", run)
    with_baselines = arm == REFERENCE and seed == SEEDS[0]
    measured = ("--context_hours", data.context_hours, "--horizon_hours", data.horizon_hours, "--other_contexts", "[]", "--draws", DRAWS)
    _run("evaluate", "--run", run, *measured, "--baselines", "all" if with_baselines else "none")
    draws = draw_subjects(store.stays, DRAWS, seed=0)
    save_figures(RESULTS / name / f"{arm}_seed{seed}.npz", figures_of_run(measured_run(arm, run), draws))
    if with_baselines:
        save_baselines(RESULTS / name / "baselines.npz", run, draws)
    print(f"{name}: {arm}, seed {seed}: {(time.monotonic() - began) / 60:.1f} min", flush=True)


def _store(data: StudyData, fold: int, name: str) -> TrajectoryStore:
    whole = Path("stores/study") / data.source
    if not (whole / "dataset.json").is_file():
        extract(data.source, _ORIGINAL / data.folder, whole)
    store = TrajectoryStore(whole)
    view = Path("stores/study") / f"view_{name}"
    if data.stays is not None:
        return write_view(store, view, sampled_stays(store, data.stays, seed=0))
    return write_view(store, view, fold_of_stays(store, data.folds, fold, seed=0))


def _run(*words: object) -> None:
    log = Path("runs/study/log.txt")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        code = clinjepa([str(word) for word in words])
    if code:
        raise SystemExit(f"clinjepa {' '.join(map(str, words))} ended with {code}: see {log}")


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
