"""TrajectoryBatch: windows of stays as the unique texts in them, and index maps back to hours."""

# Shapes: B windows, T hours, U unique texts, N tokens of all unique texts together.

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor


@dataclass
class HourlyValues:
    """Measured numbers of a batch's hours, standardised.

    Args:
        value_BTV: The last value of each variable in each hour, ``[B, T, V]`` float32; NaN where nothing was measured, and where padded.
        static_BC: Age and sex, ``[B, 2]`` float32; NaN where unknown.
        per_hour: Measurements in an hour of the training stays, on average.
    """

    value_BTV: Tensor
    static_BC: Tensor
    per_hour: float

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same on a device."""
        value_BTV, static_BC = (part.to(device, non_blocking=non_blocking) for part in (self.value_BTV, self.static_BC))
        return type(self)(value_BTV, static_BC, self.per_hour)

    def pin_memory(self) -> Self:
        """The same in page-locked memory."""
        return type(self)(self.value_BTV.pin_memory(), self.static_BC.pin_memory(), self.per_hour)


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
        values: Numbers measured in these hours, where the model asks for them.

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
    values: HourlyValues | None = None

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
        there = {name: part for name, part in self._parts() if name != "length_U"}
        moved = {name: part.to(device, non_blocking=non_blocking) for name, part in there.items()}
        return type(self)(**moved, length_U=self.length_U)

    def pin_memory(self) -> Self:
        """The same batch in page-locked memory, for asynchronous copies to a GPU."""
        return type(self)(**{name: part.pin_memory() for name, part in self._parts()})

    def _parts(self) -> list[tuple[str, Any]]:
        """What is there, by name."""
        return [(f.name, part) for f in fields(self) if (part := getattr(self, f.name)) is not None]


def assemble(windows: Sequence[dict[str, Any]], texts: "TextSource", numbers: "NumberSource | None" = None) -> TrajectoryBatch:
    """Build a batch from windows that name their texts by number.

    Args:
        windows: For each window ``stay_id`` (int), ``static`` (int), ``state`` and ``action`` (int64 arrays of text numbers, one
            an hour) and ``first_hour`` (int); with numbers ``stay`` and ``first_row``, rows of the stay and of its first hour.
        texts: Gives the tokens of texts by number.
        numbers: Gives what was measured.

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
        values=None if numbers is None else _hourly_values(windows, longest, numbers),
    ).validate()


def _hourly_values(windows: Sequence[dict[str, Any]], longest: int, numbers: "NumberSource") -> HourlyValues:
    value_BTV = np.full((len(windows), longest, len(numbers.variables)), np.nan, dtype=np.float32)
    for row, window in enumerate(windows):
        value_BTV[row, : len(window["state"])] = numbers.hours(window["first_row"], len(window["state"]))
    static_BC = np.asarray(numbers.static_SC[[window["stay"] for window in windows]])
    return HourlyValues(torch.from_numpy(value_BTV), torch.from_numpy(static_BC), numbers.per_hour)


class TextSource:
    """What `assemble` needs of a token store."""

    def gather(self, text_ids: "np.ndarray[Any, np.dtype[np.int64]]") -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
        """Tokens (int64, concatenated) and lengths (int64) of the named texts."""
        raise NotImplementedError


class NumberSource(Protocol):
    """What `assemble` needs of a value store."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the columns of `hours`."""
        ...

    @property
    def per_hour(self) -> float:
        """Measurements in an hour of the training stays, on average."""
        ...

    @property
    def static_SC(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Age and sex of each stay, ``[S, 2]``."""
        ...

    def hours(self, first: int, count: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Values of a run of hours, ``[count, V]``; NaN where nothing was measured."""
        ...
