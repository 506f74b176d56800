"""The encoder as it was before the curriculum: tuned to predict tokens, and nothing else."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from clin_jepa.checkpoint import encoder_weights, read_checkpoint
from clin_jepa.evaluation.finished_run import FinishedRun
from clin_jepa.run_folder import run_config


def tuned_checkpoint(opened: FinishedRun) -> tuple[Path | None, str]:
    """The checkpoint of next-token tuning that a run began with: its own, or the one named by ``--model.encoder.weights``.

    A path that was given from another folder is looked for from the run's folder upwards.

    Returns:
        The file, or None and why there is none.
    """
    own = opened.folder / "checkpoints" / "phase0.ckpt"
    if own.is_file():
        return own, ""
    named = run_config(opened.folder)["model"]["encoder"].get("weights")
    if not named:
        return None, "the run began with an encoder that was not tuned on its own: there is no phase 0 and no --model.encoder.weights"
    places = (Path(), *opened.folder.resolve().parents)
    found = next((place / named for place in places if (place / named).is_file()), None)
    return found, "" if found else f"{named}, which the run began with, is no longer where --model.encoder.weights says"


@contextmanager
def encoder_as_tuned(opened: FinishedRun, checkpoint: Path) -> Iterator[None]:
    """Within it the run's encoder has the weights of a checkpoint; afterwards its own again.

    Only weights that were trained are exchanged, so that a large frozen base is in memory once.

    Args:
        opened: The run.
        checkpoint: Of the same encoder.

    Raises:
        InputError: If the checkpoint is of another encoder.
    """
    encoder = opened.module.encoder
    trained = {f"lm.{name}": parameter for name, parameter in encoder.online_parameters().items()}
    given = encoder_weights(read_checkpoint(checkpoint), checkpoint, encoder.identity, trained)
    own = {name: parameter.detach().clone() for name, parameter in trained.items()}
    try:
        _copy(given, trained)
        yield
    finally:
        _copy(own, trained)


@torch.no_grad()
def _copy(weights: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])
