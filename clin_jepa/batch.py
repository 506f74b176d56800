"""TrajectoryBatch: windows of stays as the unique texts in them, and index maps back to hours."""

# Shapes: B windows, T hours, U unique texts, N tokens of all unique texts together.

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


@dataclass
class TrajectoryBatch:
    """A batch of trajectory windows; a text that occurs twice is here once.

    Args:
        text_id_U: Number of each unique text in the token store, ``[U]`` int64, ascending.
        token_N: Token ids of all unique texts, one after the other, ``[N]`` int64.
        length_U: Tokens of each unique text, ``[U]`` int64, at least 1; on the CPU.
        state_BT: Position in ``U`` of each hour's state text, ``[B, T]`` int64; 0 where padded.
        action_BT: Position in ``U`` of each hour's action text, ``[B, T]`` int64; 0 where padded.
        static_B: Position in ``U`` of each window's static text, ``[B]`` int64.
        mask_BT: True at real hours, ``[B, T]`` bool; the padding is on the right.
        hour_BT: Hours since ICU admission, ``[B, T]`` int64; 0 where padded.
        stay_id_B: The stay of each window, ``[B]`` int64.

    Raises:
        ValueError: If shapes disagree or an index points outside the unique texts.
    """

    text_id_U: Tensor
    token_N: Tensor
    length_U: Tensor
    state_BT: Tensor
    action_BT: Tensor
    static_B: Tensor
    mask_BT: Tensor
    hour_BT: Tensor
    stay_id_B: Tensor

    def validate(self) -> Self:
        """Check shapes and ranges; the collate function calls it once for each batch, on the worker.

        Returns:
            The batch itself.
        """
        shape_BT = self.mask_BT.shape
        for name in ("state_BT", "action_BT", "hour_BT"):
            if getattr(self, name).shape != shape_BT:
                raise ValueError(f"{name} has shape {tuple(getattr(self, name).shape)}, mask_BT has {tuple(shape_BT)}")
        n_windows, n_texts = shape_BT[0], len(self.text_id_U)
        if len(self.static_B) != n_windows or len(self.stay_id_B) != n_windows:
            raise ValueError(f"static_B and stay_id_B must have {n_windows} entries, one a window")
        if len(self.length_U) != n_texts or int(self.length_U.sum()) != len(self.token_N) or int(self.length_U.min()) < 1:
            raise ValueError("length_U must give at least one token for each unique text and add up to token_N")
        for name in ("state_BT", "action_BT", "static_B"):
            index = getattr(self, name)
            if int(index.min()) < 0 or int(index.max()) >= n_texts:
                raise ValueError(f"{name} points outside the {n_texts} unique texts")
        return self

    @property
    def n_windows(self) -> int:
        """Number of windows, B."""
        return int(self.mask_BT.shape[0])

    @property
    def n_hours(self) -> Tensor:
        """Real hours of each window, ``[B]`` int64."""
        return self.mask_BT.sum(dim=1)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same batch on a device; ``length_U``, by which texts are packed, stays on the CPU, so that nobody waits for the device."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self) if f.name != "length_U"}
        return type(self)(**moved, length_U=self.length_U)

    def pin_memory(self) -> Self:
        """The same batch in page-locked memory, for asynchronous copies to a GPU."""
        return type(self)(**{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})


def assemble(windows: Sequence[dict[str, Any]], texts: "TextSource") -> TrajectoryBatch:
    """Build a batch from windows that name their texts by number.

    Args:
        windows: For each window ``stay_id`` (int), ``static`` (int), ``state`` and ``action`` (int64 arrays of text numbers, one
            an hour) and ``first_hour`` (int).
        texts: Gives the tokens of texts by number.

    Returns:
        The batch, padded on the right to its longest window.
    """
    longest = max(len(window["state"]) for window in windows)
    state_BT = np.zeros((len(windows), longest), dtype=np.int64)
    action_BT, hour_BT, mask_BT = state_BT.copy(), state_BT.copy(), np.zeros(state_BT.shape, dtype=bool)
    static_B = np.array([window["static"] for window in windows], dtype=np.int64)
    for row, window in enumerate(windows):
        n = len(window["state"])
        mask_BT[row, :n] = True
        state_BT[row, :n], action_BT[row, :n] = window["state"], window["action"]
        hour_BT[row, :n] = window["first_hour"] + np.arange(n)
    text_id_U, inverse = np.unique(np.concatenate([static_B, state_BT[mask_BT], action_BT[mask_BT]]), return_inverse=True)
    n_hours = int(mask_BT.sum())
    static_B, state_BT[mask_BT], action_BT[mask_BT] = np.split(inverse, [len(windows), len(windows) + n_hours])
    token_N, length_U = texts.gather(text_id_U)
    return TrajectoryBatch(
        text_id_U=torch.from_numpy(text_id_U),
        token_N=torch.from_numpy(token_N),
        length_U=torch.from_numpy(length_U),
        state_BT=torch.from_numpy(state_BT),
        action_BT=torch.from_numpy(action_BT),
        static_B=torch.from_numpy(static_B),
        mask_BT=torch.from_numpy(mask_BT),
        hour_BT=torch.from_numpy(hour_BT),
        stay_id_B=torch.tensor([window["stay_id"] for window in windows], dtype=torch.int64),
    ).validate()


class TextSource:
    """What `assemble` needs of a token store."""

    def gather(self, text_ids: "np.ndarray[Any, np.dtype[np.int64]]") -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
        """Tokens (int64, concatenated) and lengths (int64) of the named texts."""
        raise NotImplementedError
