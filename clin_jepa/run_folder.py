"""The run folder: where a run keeps its config, checkpoints, TensorBoard events, latents and evaluation."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from clin_jepa.errors import InputError
from clin_jepa.writable_folder import writable_folder

DEFAULT_RUN = "runs/default"

# What a run writes; nothing else in a folder is ever deleted.
_OWN_FILES = ("config.yaml", "phases.yaml", "hparams.yaml")
_OWN_FOLDERS = ("checkpoints", "evaluation", "latents", "predictions")


def run_of_checkpoint(checkpoint: Path) -> Path:
    """The run folder that a checkpoint lies in; its own folder where that is no run's ``checkpoints``.

    >>> run_of_checkpoint(Path("runs/demo/checkpoints/phase5.ckpt")).as_posix()
    'runs/demo'
    >>> run_of_checkpoint(Path("downloads/phase5.ckpt")).as_posix()
    'downloads'
    """
    folder = checkpoint.parent
    return folder.parent if folder.name == "checkpoints" else folder


def run_config(run: Path) -> dict[str, Any]:
    """The settings that a run was trained with.

    Args:
        run: The run folder.

    Raises:
        InputError: If the folder is none of a run, or its config cannot be read.
    """
    file = run / "config.yaml"
    if not file.is_file():
        raise InputError(f"{run} is not a run folder (no config.yaml in it): give the folder that 'clinjepa fit --run' named")
    try:
        config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not the config of a run ({error}): give the folder that 'clinjepa fit --run' named") from error
    return config


def prepare_run_folder(run: Path, continues: Path | None, overwrite: bool) -> None:
    """Make sure that a new run starts in an empty folder, a continued one in its own, and that either can be written.

    Args:
        run: The run folder.
        continues: The checkpoint that the run continues, if any.
        overwrite: Whether what an earlier run wrote there is deleted.

    Raises:
        InputError: If the folder holds another run, is no folder, or cannot be written.
    """
    if run.exists() and not run.is_dir():
        raise InputError(f"the run folder {run} is a file: give another folder with --run")
    writable_folder(run, "give another run folder with --run")
    if not any(run.iterdir()):
        return
    if continues is not None and run.resolve() in continues.resolve().parents:
        return
    if not overwrite:
        raise InputError(
            f"the run folder {run} is not empty: give another one with --run, continue that run with --ckpt_path "
            f"{run}/checkpoints/last.ckpt, or replace it with --overwrite true"
        )
    if not any((run / name).is_file() for name in _OWN_FILES):
        raise InputError(f"{run} is not empty and holds no run, so it is not overwritten: give another folder with --run")
    for name in _OWN_FILES:
        (run / name).unlink(missing_ok=True)
    for name in _OWN_FOLDERS:
        shutil.rmtree(run / name, ignore_errors=True)
    for events in run.glob("events.out.tfevents.*"):
        events.unlink()
