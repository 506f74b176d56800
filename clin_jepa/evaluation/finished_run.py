"""FinishedRun: the model, the data and the settings of a trained run, for evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
import yaml

from clin_jepa.checkpoint import CHECKPOINT_KEY, read_checkpoint
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.data.windows import Windowing
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA
from clin_jepa.run_folder import run_config

# Number of the curriculum's last phase.
_LAST_NUMBER = 5


@dataclass(frozen=True)
class FinishedRun:
    """A trained run.

    Args:
        folder: The run folder.
        checkpoint: The checkpoint that is evaluated.
        step: Optimizer steps behind it.
        history: What the collapse monitor saw at each validation.
        module: The model, frozen, on the evaluation device.
        data: The data it was trained on, or another store given instead.
        note: What a reader has to know of another store; None of the one that it was trained on.
    """

    folder: Path
    checkpoint: Path
    step: int
    history: list[dict[str, Any]]
    module: ClinJEPA
    data: TrajectoryDataModule
    note: str | None = None


def open_run(run: Path, checkpoint: Path | None, store: Path | None, device: str) -> FinishedRun:
    """Open a run for evaluation.

    Args:
        run: The run folder.
        checkpoint: A checkpoint of it; by default that of its last phase.
        store: A trajectory store; by default the one trained on.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        InputError: If the folder is no run, its last phase is not finished, a file does not fit, the store is not the one trained on and
            was not asked for, a subject that it holds out was trained on, or a weight is not finite.
    """
    settings = _data_settings(run)
    if checkpoint is not None and not checkpoint.is_file():
        raise InputError(f"--checkpoint {checkpoint} does not exist: there are {_listed(run / 'checkpoints')}")
    path = checkpoint or _last_phase_checkpoint(run)
    content = read_checkpoint(path)
    if checkpoint is None:
        _check_is_the_end(path, content)
    # Links are not written into the saved config; the checkpoint knows what they were.
    encoder = content["hyper_parameters"]["encoder"]
    settings["tokenizer"], settings["tokenizer_revision"] = encoder["base"], encoder["revision"]
    trained_on = Path(settings["store"])
    if store is not None:
        settings.update(store=str(store), token_folder=None)
    elif not (trained_on / "dataset.json").is_file():
        raise InputError(f"{run} was trained on the store {settings['store']}, which is not there: say with --store where it is")
    module = ClinJEPA.from_checkpoint(path).requires_grad_(False).to(_device(device))
    history = _monitor_state(content).get("history", [])
    step = int(content["global_step"])
    if content[CHECKPOINT_KEY]["position"]["number"] < 1:
        raise InputError(f"{path} is from before the predictor was trained: name a later checkpoint with --checkpoint")
    _check_is_finite(path, module)
    data = TrajectoryDataModule(**settings)
    trained = content[TrajectoryDataModule.__qualname__]
    data.check_tokenizer(path, trained)
    if store is None and data.tokens.fingerprint != trained["tokens"]:
        raise InputError(
            f"{data.store.path} no longer holds what {path} was trained on: give the store that it was trained on with --store, or give "
            "this one, if none of the stays that it holds out was trained on"
        )
    is_another = data.tokens.fingerprint != trained["tokens"]
    note = _note_on_another_store(trained_on, data.store) if is_another else None
    return FinishedRun(run, path, step, history, module, data, note)


def _data_settings(run: Path) -> dict[str, Any]:
    """The section ``data`` of a run's config."""
    config = run_config(run)
    try:
        settings = dict(config["data"])
        settings["windowing"] = Windowing(**settings["windowing"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{run / 'config.yaml'} is not the config of a run ({error}): give the folder that 'clinjepa fit --run' named"
        ) from error
    return settings


def _note_on_another_store(trained_on: Path, given: TrajectoryStore) -> str:
    """What is known of a store that the run was not trained on.

    Raises:
        InputError: If it holds out subjects of the training, as one that was split anew does.
    """
    first = TrajectoryStore(trained_on) if (trained_on / "dataset.json").is_file() else None
    if first is None or first.fingerprint == given.fingerprint:
        return "The store that the run was trained on is no longer there: stays of this one may have been trained on."
    if first.dataset.get("source") != given.dataset.get("source"):
        return f"The run was trained on another source, {first.dataset.get('source')}."
    used = first.stays.filter(pl.col("split") != "held_out")["subject_id"]
    held_out = given.stays.filter(pl.col("split") == "held_out")["subject_id"].unique()
    if both := int(held_out.is_in(used.implode()).sum()):
        raise InputError(
            f"{both} of {len(held_out)} subjects that {given.path} holds out trained or tuned the run, on {trained_on}: its figures would "
            "flatter; give a store with the split of that one"
        )
    return "This is not the store that the run was trained on; none of the subjects that it holds out was trained on."


def _listed(folder: Path) -> str:
    """Names of the checkpoints in a folder, in words."""
    return ", ".join(sorted(file.name for file in folder.glob("*.ckpt"))) or f"none in {folder}"


def _check_is_finite(path: Path, module: ClinJEPA) -> None:
    """Refuse weights that training drove beyond all numbers: whatever is computed with them is none."""
    parameters = dict(module.named_parameters())
    broken = [name for name, parameter in parameters.items() if not torch.isfinite(parameter).all()]
    if broken:
        raise InputError(
            f"{len(broken)} of {len(parameters)} parameters in {path} are not finite ({broken[0]} is the first): training diverged; name "
            "an earlier checkpoint with --checkpoint, or train again with a lower rate"
        )


def _last_phase_checkpoint(run: Path) -> Path:
    """The checkpoint of the last phase in the run's own ``phases.yaml``; of phase 5 where there is none."""
    listed = run / "phases.yaml"
    rows = yaml.safe_load(listed.read_text(encoding="utf-8")) if listed.is_file() else []
    phase = str(rows[-1]["phase"]) if rows else f"{_LAST_NUMBER}"
    path = run / "checkpoints" / f"phase{phase.split()[0]}.ckpt"
    if not path.is_file():
        raise InputError(
            f"{run} has no finished phase {phase} ({path} is missing): finish the curriculum, or name a checkpoint with --checkpoint"
        )
    newest = max(path.parent.glob("phase[0-5].ckpt"))
    if newest != path:
        raise InputError(
            f"{run} was last asked for phase {phase} but holds {newest.name} of an earlier training: train the phases that are to follow, "
            "or name a checkpoint with --checkpoint"
        )
    return path


def _check_is_the_end(path: Path, content: dict[str, Any]) -> None:
    """Refuse the end of one of several phases that are trained one at a time; what tells is the schedule, which spans them all."""
    about, position = content[CHECKPOINT_KEY], content[CHECKPOINT_KEY]["position"]
    planned = int(content["global_step"]) + position["skipped"]
    if position["number"] < _LAST_NUMBER and planned < about["schedule_steps"]:
        raise InputError(
            f"{path} ends phase {position['number']} {position['name']} at step {planned} of {about['schedule_steps']}, and no finished "
            "phase follows it: train the phases that are missing, or name this checkpoint with --checkpoint"
        )


def _monitor_state(checkpoint: dict[str, Any]) -> dict[str, Any]:
    states: dict[str, dict[str, Any]] = checkpoint.get("callbacks", {})
    return next((state for key, state in states.items() if "CollapseMonitor" in key), {})


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name!r} is unknown: use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"--device {name!r}: no CUDA device is here; use auto or cpu")
    return device
