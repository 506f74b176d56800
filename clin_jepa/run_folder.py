"""The run folder: where a run keeps its config, checkpoints, TensorBoard events, latents and evaluation."""

import shutil
from pathlib import Path

from clin_jepa.errors import InputError

# What a run writes; nothing else in a folder is ever deleted.
_OWN_FILES = ("config.yaml", "phases.yaml", "hparams.yaml")
_OWN_FOLDERS = ("checkpoints", "evaluation", "latents", "predictions")


def prepare_run_folder(run: Path, continues: Path | None, overwrite: bool) -> None:
    """Make sure that a new run starts in an empty folder, and a continued one in its own.

    Args:
        run: The run folder.
        continues: The checkpoint that the run continues, if any.
        overwrite: Whether what an earlier run wrote there is deleted.

    Raises:
        InputError: If the folder holds another run, or is no folder.
    """
    if run.exists() and not run.is_dir():
        raise InputError(f"the run folder {run} is a file: give another folder with --run")
    if not run.is_dir() or not any(run.iterdir()):
        return
    if continues is not None and run.resolve() in continues.resolve().parents:
        return
    if not overwrite:
        raise InputError(
            f"the run folder {run} is not empty: give another one with --run, continue that run with --ckpt_path "
            f"{run}/checkpoints/last.ckpt, or replace it with --overwrite true"
        )
    for name in _OWN_FILES:
        (run / name).unlink(missing_ok=True)
    for name in _OWN_FOLDERS:
        shutil.rmtree(run / name, ignore_errors=True)
    for events in run.glob("events.out.tfevents.*"):
        events.unlink()
