"""Runs of the study: an arm trained and evaluated on each fold, its figures kept; and the jobs that this is made of.

Whatever is finished is kept, unless its design has changed since; a run that was interrupted begins again.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.code_commit import code_commit
from clin_jepa.atomic_file import write_atomically
from clin_jepa.cli import INTERRUPTED
from clin_jepa.cli import main as clinjepa
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.evaluation.arms import draw_subjects
from clin_jepa.evaluation.compare import measured_run
from clin_jepa.evaluation.metrics_file import read_metrics
from clin_jepa.evaluation.predictions_file import read_predictions
from data_pipelines.extract import extract
from study.design import (
    BASELINE_MEASUREMENT,
    DRAWS,
    ENCODER,
    MAIN_ARMS,
    MEASUREMENT,
    NEXT_TOKEN_RATE,
    OTHER_ARMS,
    REFERENCE,
    TRAINING,
    TUNING,
    TUNING_BATCH,
    Arm,
    StudyData,
)
from study.design_digest import design_of_result, design_of_run, design_of_tuning
from study.folds import pooled
from study.jobs import Job
from study.results import (
    RESULTS,
    are_current_baselines,
    baseline_figures,
    baseline_measurement,
    counts_by_task,
    figures_of_folds,
    is_current,
    measured_on,
    save_failure,
    save_figures,
)
from study.store_view import fold_of_stays, sampled_stays, with_validation_stays, write_view

# For the intervals on a run's own page; the study draws subjects anew, the same for all arms.
_DRAWS_OF_A_RUN = 50
_ORIGINAL = Path(os.environ.get("CLINJEPA_DATA", "../shared/data"))
_RUNS = Path("runs/study")
# Of a run, beside its configuration: the code and the device that trained it.
_ORIGIN = "origin.json"
# What the study itself writes makes no other code of it.
_OWN_PAGES = ("study/results", "docs")


@dataclass(frozen=True)
class Result:
    """Figures of one seed of an arm on a data set.

    Args:
        data: The data set.
        arm: The arm.
        seed: Of its training.
        with_baselines: Whether the baselines are measured along.
        accelerator: ``cpu`` or ``gpu``, where it is trained and measured; the design is the same.
    """

    data: StudyData
    arm: Arm
    seed: int
    with_baselines: bool = False
    accelerator: str = "cpu"

    @property
    def design(self) -> str:
        """Digest of all that it depends on."""
        return design_of_result(self.data, self.arm, self.seed)

    @property
    def file(self) -> Path:
        """Of its figures."""
        return RESULTS / self.data.name / f"{self.arm.name}_seed{self.seed}.npz"

    @property
    def baselines(self) -> Path:
        """File of the baselines' figures."""
        return RESULTS / self.data.name / "baselines.npz"

    def is_there(self) -> bool:
        """Whether there are figures of this design."""
        return is_current(self.file, self.design) and (not self.with_baselines or are_current_baselines(self.baselines, self.design))


def planned_jobs(results: Sequence[Result]) -> list[Job]:
    """The same as calling `measure` for each result, in parts that can run at once: tuning, then runs, then what puts folds together."""
    jobs: dict[str, Job] = {}
    for result in results:
        ran = []
        for fold, (name, trained) in enumerate(zip(result.data.fold_names, result.data.trained.fold_names, strict=True)):
            tuned = str(_tuned(trained, result.arm, result.seed))
            jobs.setdefault(tuned, Job(tuned, _tune, (result, fold)))
            run, reference = _run_folder(name, result.arm, result.seed), _run_folder(name, REFERENCE, result.seed)
            needs = (tuned,) if result.arm.shares is None else (tuned, str(reference))
            jobs[str(run)] = Job(str(run), _train_and_evaluate, (result, fold), needs)
            ran.append(str(run))
        jobs[str(result.file)] = Job(str(result.file), measure, (result,), tuple(ran))
    return list(jobs.values())


def measure(result: Result) -> bool:
    """Train and evaluate an arm where that was not done yet; whether there are figures of it then. Others go on where one fails."""
    if result.is_there():
        return True
    began, design = time.monotonic(), {"design": result.design}
    try:
        runs = [_evaluated(result, fold) for fold in range(result.data.folds)]
    except _CommandError as error:
        save_failure(result.file, str(error), {**design, **_origin(result)})
        print(f"{result.data.name}: {result.arm.name}, seed {result.seed} failed: {error}", flush=True)
        return False
    with np.errstate(all="ignore"):
        _save(result, runs, {**design, **_joined(runs)})
    print(f"{result.data.name}: {result.arm.name}, seed {result.seed}: {(time.monotonic() - began) / 60:.1f} min", flush=True)
    return True


def _save(result: Result, runs: Sequence[Path], about: Mapping[str, Any]) -> None:
    """Measure the folds together and keep the figures; the arm's own as they are, where they are of today and the baselines are not."""
    measured = pooled([measured_run(result.arm.name, run) for run in runs])
    draws = draw_subjects(_store(result.data, 0).stays, DRAWS, seed=0)
    predictions = [read_predictions(run / "evaluation" / "predictions.parquet") for run in runs]
    if not is_current(result.file, result.design):
        figures = figures_of_folds(measured, predictions, draws)
        save_figures(result.file, figures, {**about, "measurement": MEASUREMENT, "counts": counts_by_task(measured.predictions)})
    if result.with_baselines:
        of_baselines = baseline_figures(predictions, measured.displacements, draws)
        kept = {**about, "measurement": baseline_measurement(), "measured_on": measured_on(measured)}
        save_figures(result.baselines, of_baselines, kept)


def _origin(result: Result) -> dict[str, str]:
    """The code and the device that a run is trained with."""
    return {"commit": code_commit(_OWN_PAGES), "device": torch.cuda.get_device_name() if result.accelerator == "gpu" else "cpu"}


def _joined(runs: Sequence[Path]) -> dict[str, str]:
    """The origins of several runs: each commit and each device once."""
    files = [run / _ORIGIN for run in runs]
    origins = [json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {} for file in files]
    return {name: ", ".join(sorted({origin.get(name, "unknown") for origin in origins})) for name in ("commit", "device")}


def _tune(result: Result, fold: int) -> None:
    """Next-token tuning of an arm's encoder, where it is not done; whoever needs it says why it fails."""
    with contextlib.suppress(_CommandError):
        _tuned_encoder(_training(result), fold, _store(result.data.trained, fold))


def _train_and_evaluate(result: Result, fold: int) -> None:
    with contextlib.suppress(_CommandError):
        _evaluated(result, fold)


def _tuned(name: str, arm: Arm, seed: int) -> Path:
    """The folder of the next-token tuning of an arm's encoder."""
    unlike = {"present": arm.tuned_present, "outlook": arm.tuned_outlook, "steps": arm.tuned_steps or 0}
    named = "".join(f"_{name}_{value:g}" for name, value in unlike.items() if value)
    encoder = "" if arm.encoder == ENCODER else f"_{Path(arm.encoder).stem}"
    return _RUNS / name / f"{Path(TUNING).stem}{encoder}{named}_seed{seed}"


def _run_folder(name: str, arm: Arm, seed: int) -> Path:
    return _RUNS / name / f"{arm.name}_seed{seed}"


def _evaluated(result: Result, fold: int) -> Path:
    """The folder of a run that is trained and evaluated."""
    data, arm = result.data, result.arm
    run, training = _run_folder(data.fold_names[fold], arm, result.seed), _training(result)
    trained, measured = _run_folder(training.data.fold_names[fold], arm, result.seed), run / "measured"
    options = ["--context_hours", data.context_hours, "--horizon_hours", data.horizon_hours, "--other_contexts", "[]"]
    options += ["--draws", _DRAWS_OF_A_RUN]
    # The windows of all folds are measured together, however few one has.
    options += ["--minimum_windows", 1] if data.folds > 1 else []
    # What no table of the study shows is not measured again for each arm.
    options += [] if result.with_baselines else ["--baselines", "none", "--decoders", "false", "--tuned_encoder", "false"]
    versions = [MEASUREMENT, BASELINE_MEASUREMENT] if result.with_baselines else [MEASUREMENT]
    design = design_of_run(training.data, training.data.fold_names[fold], arm, result.seed)
    signature = " ".join(map(str, [design, *versions, *options]))
    if not _is_of(measured, signature):
        with _alone_with(trained):
            _train(training, fold, trained, design)
    with _alone_with(run):
        if not _is_of(measured, signature):
            if run != trained:
                _link(trained, run)
            device = "cuda" if result.accelerator == "gpu" else "cpu"
            _run(_log(run), "evaluate", "--run", run, "--store", _store(data, fold).path, "--device", device, *options)
            if result.with_baselines:
                _check_controls(run)
            write_atomically(measured, signature)
        shutil.rmtree(run / "latents", ignore_errors=True)
    drop_checkpoints(trained, arm)
    return run


def _check_controls(run: Path) -> None:
    """Baselines without one of the models would stand in the tables as if there were none.

    Raises:
        _CommandError: If the evaluation could not measure one.
    """
    for model, reason in read_metrics(run / "evaluation" / "metrics.json").get("not_measured", {}).items():
        raise _CommandError(f"clinjepa evaluate did not measure {model}: {reason}")


def _training(result: Result) -> Result:
    """The same of the stays that its runs are trained for."""
    return replace(result, data=result.data.trained)


def _link(trained: Path, run: Path) -> None:
    """Make a folder hold a run that is trained in another one; what was measured there stays while it is the same run."""
    if (run / "checkpoints").resolve() == (trained / "checkpoints").resolve():
        return
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    for name in ("config.yaml", "phases.yaml", "checkpoints", _ORIGIN):
        (run / name).symlink_to((trained / name).resolve())


def _train(result: Result, fold: int, run: Path, design: str) -> None:
    """Train a run where that was not done."""
    if not _is_trained(run, design):
        _fit(result, fold, _store(result.data, fold), run)
        write_atomically(run / _ORIGIN, json.dumps(_origin(result)) + "\n")
        write_atomically(run / "trained", design)


def _fit(result: Result, fold: int, store: TrajectoryStore, run: Path) -> None:
    data, arm, seed, name = result.data, result.arm, result.seed, result.data.fold_names[fold]
    tuned = _tuned_encoder(result, fold, store)
    weights = ("--model.encoder.weights", tuned / "checkpoints" / "phase0.ckpt")
    steps = ("--model.optimization.total_steps", data.steps, "--data.batch_size", data.batch_size)
    reference = _run_folder(name, REFERENCE, seed)
    shared = reference / "checkpoints" / f"phase{arm.shares}.ckpt"
    shares = shared.is_file() and _is_of(reference / "trained", design_of_run(data, name, REFERENCE, seed))
    start = ("--ckpt_path", shared) if shares else ()
    shutil.rmtree(run, ignore_errors=True)
    configs = ("--config", arm.base, "--config", f"ablations/{arm.config}.yaml")
    rate = () if arm.encoder_rate is None else ("--model.optimization.encoder_lr", arm.encoder_rate)
    _run(_log(run), "fit", *configs, *_common(result, store), *weights, *steps, *rate, "--run", run, *start)


def _tuned_encoder(result: Result, fold: int, store: TrajectoryStore) -> Path:
    """The folder of the tuned encoder that a run starts from; it is tuned where that was not done."""
    data, arm, name = result.data, result.arm, result.data.fold_names[fold]
    tuned, design = _tuned(name, arm, result.seed), design_of_tuning(data, name, arm, result.seed)
    with _alone_with(tuned):
        _tune_encoder(result, store, tuned, design)
    return tuned


def _tune_encoder(result: Result, store: TrajectoryStore, tuned: Path, design: str) -> None:
    data, arm = result.data, result.arm
    if not _is_trained(tuned, design):
        steps = arm.tuned_steps or data.next_token_steps
        phase = json.dumps([{"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": steps}}])
        over = (
            "--model.optimization.encoder_lr",
            NEXT_TOKEN_RATE,
            "--model.grounding.present",
            arm.tuned_present,
            "--model.grounding.outlook",
            arm.tuned_outlook,
            "--data.batch_size",
            TUNING_BATCH,
        )
        common = _common(result, store)
        (tuned / "trained").unlink(missing_ok=True)  # it is of the weights that are now replaced
        _run(_log(tuned), "fit", "--config", TUNING, *common, "--run", tuned, "--trainer.callbacks", phase, *over)
        write_atomically(tuned / "trained", design)


def _common(result: Result, store: TrajectoryStore) -> list[object]:
    """Options of every training."""
    over = ["--trainer.accelerator", result.accelerator, "--trainer.devices", 1]
    own = ["--data.store", store.path, "--seed_everything", result.seed, "--overwrite", "true"]
    return ["--config", result.arm.encoder, *own, *TRAINING, *over]


@contextlib.contextmanager
def _alone_with(folder: Path) -> Iterator[None]:
    """Wait until no other process works in a folder, so that two studies at once share what is to be done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
        yield


def _log(run: Path) -> Path:
    """What the commands of a run print; beside the folder, which training replaces."""
    return run.parent / f"{run.name}.log"


def drop_checkpoints(run: Path, arm: Arm) -> None:
    """Keep of a run the checkpoint of its last phase, and of the reference those that other arms begin from; a run's others are 0.4 GB."""
    folder = run / "checkpoints"
    shared = [folder / f"phase{other.shares}.ckpt" for other in (*MAIN_ARMS, *OTHER_ARMS) if other.shares] if arm == REFERENCE else []
    last = sorted(folder.glob("phase[0-5].ckpt"))[-1:]
    for file in set(folder.glob("*.ckpt")) - {*last, *shared}:
        file.unlink()


def _is_of(signed: Path, design: str) -> bool:
    """Whether a file says that what lies beside it is finished, and of that design."""
    return signed.is_file() and signed.read_text(encoding="utf-8") == design


def _is_trained(run: Path, design: str) -> bool:
    """Whether a run of that design is finished and still has a checkpoint, which one from another machine may lack."""
    return _is_of(run / "trained", design) and any((run / "checkpoints").glob("phase[0-5].ckpt"))


def stores_of(data: StudyData) -> list[TrajectoryStore]:
    """The store of each fold."""
    return [_store(data, fold) for fold in range(data.folds)]


def missing_original(data: StudyData) -> Path | None:
    """The folder of the data set, where it is needed and not there."""
    folder = _ORIGINAL / data.folder
    return None if (_whole(data) / "dataset.json").is_file() or folder.is_dir() else folder


def _whole(data: StudyData) -> Path:
    """Where the whole store of a data set is."""
    return Path("stores/study") / (data.source if data.revision == 1 else f"{data.source}_revision_{data.revision}")


def _store(data: StudyData, fold: int) -> TrajectoryStore:
    whole = _whole(data)
    if not (whole / "dataset.json").is_file():
        extract(data.source, _ORIGINAL / data.folder, whole)
    store = TrajectoryStore(whole)
    view = Path("stores/study") / f"view_{data.fold_names[fold]}"
    if data.stays is None:
        return write_view(store, view, fold_of_stays(store, data.folds, fold, seed=0))
    chosen = sampled_stays(store, data.stays, seed=0)
    return write_view(store, view, with_validation_stays(store, chosen, data.stays["held_out"], seed=1) if data.validation else chosen)


class _CommandError(Exception):
    """A clinjepa command did not end well; the message says why."""


def _run(log: Path, *words: object) -> None:
    """Run a clinjepa command; what it prints goes to the end of a file.

    Raises:
        _CommandError: If it does not end well, whatever the reason.
        KeyboardInterrupt: If it was interrupted, which is no failure.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        began = stream.tell()
        try:
            code, reason = clinjepa([str(word) for word in words]), ""
        except Exception as error:  # out of memory on a GPU, say: the other arms go on
            traceback.print_exc()
            code, reason = 1, f"{type(error).__name__}: {error}"
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        lines = log.read_bytes()[began:].decode(errors="replace").splitlines()
        said = [line.partition(": error: ")[2] for line in lines if ": error: " in line]
        raise _CommandError(f"clinjepa {words[0]}: {reason or (said[-1] if said else f'exit code {code}')} (see {log})")
