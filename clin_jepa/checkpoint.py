"""What a checkpoint holds, reading it safely, and writing it atomically."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from torch import Tensor
from typing_extensions import override

from clin_jepa.encoder import TextEncoder
from clin_jepa.errors import InputError

CHECKPOINT_KEY = "clin_jepa"

# Of what lies under that key; a later version that writes it otherwise counts up.
FORMAT = 1

# Without these a checkpoint can neither be continued nor evaluated.
_PARTS = (
    "state_dict",
    "hyper_parameters",
    "optimizer_states",
    "lr_schedulers",
    "loops",
    "callbacks",
    "global_step",
    "TrajectoryDataModule",
)
_OWN_PARTS = ("position", "regime", "schedule_steps", "encoder")

# A file's attribute in a zip archive: torch gives back memory as it finds it for a tensor that is marked as a folder.
_FOLDER_ATTRIBUTE = 0x10


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name and renames it once it is on disk; reads one as `read_checkpoint` does.

    Whatever ends the process or the power, the file is the old one or the new one. What a killed process leaves under the temporary name
    is never read, and the next write replaces it.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Raises:
            InputError: If it cannot be written, as on a full disk; an earlier file of that name is kept.
        """
        final = Path(path)
        partial = final.with_name(f".{final.name}.partial")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
            _sync_folder(final.parent)
        except (OSError, RuntimeError) as error:
            if (reason := _said_by_disk(error)) is None:
                raise
            kept = "the one before it is kept" if final.is_file() else "nothing of it is left"
            raise InputError(
                f"the checkpoint {final} cannot be written ({reason}), {kept}: make room, then continue the run with --ckpt_path last"
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    @override
    def load_checkpoint(self, path: _PATH, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint to the CPU; whatever the caller asks for, no code from the file runs."""
        return read_checkpoint(Path(path))


def _sync_folder(folder: Path) -> None:
    """Bring a rename to disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _said_by_disk(error: BaseException | None) -> str | None:
    """What went wrong with the disk, which torch wraps into errors of its own; None for an error of another kind."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return None if error is None else error.strerror or str(error)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it, and with the checksum of every part verified.

    Args:
        path: The file.

    Raises:
        InputError: If the file is missing, damaged, holds objects that loading would have to run code for, is not one of Clin-JEPA, lacks a
            part, or was made by another version.
    """
    if path.is_dir():
        raise InputError(f"the checkpoint {path} is a folder: give a file in it, such as checkpoints/last.ckpt of a run folder")
    if not path.is_file():
        raise InputError(f"the checkpoint {path} does not exist: run the phase before it, or pass another one with --ckpt_path")
    try:
        _verify_checksums(path)
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds objects other than tensors and plain values, and loading them could run code: it is refused, and is not a "
            "Clin-JEPA checkpoint; use one from a run's checkpoints folder"
        ) from error
    except (RuntimeError, EOFError, OSError, BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged or not a Clin-JEPA checkpoint ({type(error).__name__}): use another checkpoint") from error
    about = checkpoint.get(CHECKPOINT_KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(about, dict) or "format" not in about:
        raise InputError(f"{path} is not a Clin-JEPA checkpoint: use one from a run's checkpoints folder")
    if about["format"] != FORMAT:
        raise InputError(
            f"{path} was made by another version of Clin-JEPA (format {about['format']}, this one reads {FORMAT}): use that version, or "
            "another checkpoint"
        )
    missing = [name for name in _PARTS if name not in checkpoint] + [name for name in _OWN_PARTS if name not in about]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: it is no whole Clin-JEPA checkpoint, use another one")
    return checkpoint


def _verify_checksums(path: Path) -> None:
    """Find flipped bits: torch writes a CRC-32 for each tensor into the zip file but does not look at it. A gigabyte takes a second."""
    with ZipFile(path) as parts:
        if (damaged := parts.testzip()) is not None:
            raise BadZipFile(damaged)
        for part in parts.infolist():
            if part.external_attr & _FOLDER_ATTRIBUTE:
                raise BadZipFile(part.filename)


def recount_batches(checkpoint: dict[str, Any], accumulate: int) -> None:
    """Count the batches behind a checkpoint as if all its optimizer steps had accumulated so many micro-batches, in place.

    Lightning goes on counting batches, and tells the end of an optimizer step by that number: after a change of
    ``accumulate_grad_batches`` it would end the first step early, and shift all that follow.

    Args:
        checkpoint: A read checkpoint, written at the end of an optimizer step.
        accumulate: Micro-batches of an optimizer step from here on.

    >>> progress = {"ready": 5, "started": 5, "processed": 5, "completed": 4}
    >>> loop = {"epoch_loop.batch_progress": {"total": dict(progress), "current": progress}}
    >>> checkpoint = {"global_step": 5, "loops": {"fit_loop": loop}}
    >>> recount_batches(checkpoint, accumulate=4)
    >>> loop["epoch_loop.batch_progress"]["total"]
    {'ready': 20, 'started': 20, 'processed': 20, 'completed': 19}
    """
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    missing = int(checkpoint["global_step"]) * accumulate - progress["total"]["ready"]
    for counts in (progress["total"], progress["current"]):
        for name in counts:
            counts[name] += missing


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


def encoder_weights(checkpoint: dict[str, Any], path: Path, identity: dict[str, Any], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The online encoder's weights in a checkpoint, by their names in the encoder.

    Args:
        checkpoint: A read checkpoint.
        path: Its file, for the message.
        identity: Of this run's encoder.
        expected: Parameters that have to be there, by their names in the encoder.

    Raises:
        InputError: If the checkpoint is of another encoder, or lacks one of its weights.
    """
    check_encoder(checkpoint, identity)
    state = {name.removeprefix("encoder."): v for name, v in checkpoint["state_dict"].items() if name.startswith("encoder.")}
    wrong = [name for name, own in expected.items() if name not in state or state[name].shape != own.shape]
    if wrong:
        raise InputError(f"{path} lacks weights of the encoder, first {sorted(wrong)[0]}: use a checkpoint from a run's checkpoints folder")
    return state


def without_frozen_base(state: dict[str, Tensor], encoder: TextEncoder) -> dict[str, Tensor]:
    """A module's state without the frozen base weights of its ``encoder``: what trains, and the target adapter, stay."""
    kept = {id(p) for p in (*encoder.online_parameters().values(), *encoder.adapter_target_parameters().values())}
    names = {f"encoder.lm.{name}" for name, p in encoder.lm.named_parameters() if id(p) in kept}
    return {name: value for name, value in state.items() if not name.startswith("encoder.") or name in names}
