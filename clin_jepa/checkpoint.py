"""What a checkpoint holds, reading it safely, and writing it atomically."""

import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from torch import Tensor
from typing_extensions import override

from clin_jepa.encoder import TextEncoder
from clin_jepa.errors import InputError

CHECKPOINT_KEY = "clin_jepa"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name and renames it: a crash never leaves half a file."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        final = Path(path)
        partial = final.with_name(f".{final.name}.partial")
        try:
            super().save_checkpoint(checkpoint, partial, storage_options)
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    Args:
        path: The file.

    Raises:
        InputError: If the file is missing, damaged, would need unpickling of foreign objects, or is not one of Clin-JEPA.
    """
    if not path.is_file():
        raise InputError(f"the checkpoint {path} does not exist: run the phase before it, or pass another one with --ckpt_path")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, BadZipFile, pickle.UnpicklingError, KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged or not a Clin-JEPA checkpoint ({type(error).__name__}): use another checkpoint") from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise InputError(f"{path} is not a Clin-JEPA checkpoint: use one from a run's checkpoints folder")
    return checkpoint


def check_encoder(checkpoint: dict[str, Any], identity: dict[str, Any]) -> dict[str, Any]:
    """Refuse the checkpoint of another encoder.

    What counts is what the encoder is, not what it is called: the same model under another name or path is the same encoder.

    Args:
        checkpoint: A read checkpoint.
        identity: The identity of this run's encoder.

    Returns:
        Clin-JEPA's own part of the checkpoint.

    Raises:
        InputError: If the checkpoint is foreign, or its encoder has another adaptation, shape or frozen base.
    """
    about: dict[str, Any] | None = checkpoint.get(CHECKPOINT_KEY)
    if about is None:
        raise InputError("the checkpoint is not one of Clin-JEPA: use one from a run's checkpoints folder")
    found = about["encoder"]
    differing = [key for key in ("adaptation", "shape", "hash") if found[key] != identity[key]]
    if differing:
        key = differing[0]
        raise InputError(
            f"the checkpoint is of another encoder: its {key} is {found[key]!r}, this run has {identity[key]!r}: "
            "set --model.encoder as in the checkpoint's run, or pass another checkpoint"
        )
    return about


def read_encoder_weights(path: Path, identity: dict[str, Any]) -> dict[str, Tensor]:
    """The online encoder's weights in a checkpoint, by their names in the encoder.

    Raises:
        InputError: If the checkpoint cannot be read or is of another encoder.
    """
    checkpoint = read_checkpoint(path)
    check_encoder(checkpoint, identity)
    return {name.removeprefix("encoder."): v for name, v in checkpoint["state_dict"].items() if name.startswith("encoder.")}


def without_frozen_base(state: dict[str, Tensor], encoder: TextEncoder) -> dict[str, Tensor]:
    """A module's state without the frozen base weights of its ``encoder``: what trains, and the target adapter, stay."""
    kept = {id(p) for p in (*encoder.online_parameters().values(), *encoder.adapter_target_parameters().values())}
    names = {f"encoder.lm.{name}" for name, p in encoder.lm.named_parameters() if id(p) in kept}
    return {name: value for name, value in state.items() if not name.startswith("encoder.") or name in names}
