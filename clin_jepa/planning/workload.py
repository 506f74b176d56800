"""What the micro-batches of a run hold: texts, tokens, hours, read from the store without assembling a batch."""

# Shapes: U texts.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clin_jepa.data.datamodule import Split, TrajectoryDataModule
from clin_jepa.data.latent_cache import first_text_of_each_page, page_of_text
from clin_jepa.data.windows import EndlessBatchSampler, WindowDataset

# Micro-batches that stand for all of a run's, spread evenly over it.
_SAMPLED = 64


@dataclass(frozen=True)
class MicroBatch:
    """Texts and windows that go through the model at once.

    Args:
        length_U: Tokens of each unique text, ``[U]`` int64.
        state_length_U: Tokens of each unique state, which the target encodes.
        named_texts: Texts that the windows name, each as often as it occurs.
        windows: How many.
        hours: Of the longest window.
    """

    length_U: Tensor
    state_length_U: Tensor
    named_texts: int
    windows: int
    hours: int

    @property
    def tokens(self) -> int:
        """Of all unique texts."""
        return int(self.length_U.sum())


class Workload:
    """The micro-batches of a store.

    Args:
        data: The store and its windows.
        processes: Over which the windows of a step are spread.
    """

    def __init__(self, data: TrajectoryDataModule, processes: int = 1) -> None:
        self.data, self.processes = data, processes
        self.train = data.windows("train")
        self._length_U: NDArray[np.int64] = np.diff(data.tokens.offset_U)
        self._first_P = first_text_of_each_page(data.tokens)

    def sampled(self, micro_batches: int) -> list[MicroBatch]:
        """Micro-batches of one process, spread over a run of so many."""
        sampler = EndlessBatchSampler(len(self.train), self.data.batch_size, self.data.seed)
        numbers = np.unique(np.linspace(0, max(micro_batches - 1, 0), min(_SAMPLED, max(micro_batches, 1))).astype(int))
        size = self.data.batch_size
        return [
            self._micro_batch(self.train, [sampler.sample(int(number) * self.processes * size + k) for k in range(size)])
            for number in numbers
        ]

    def validation(self, split: Split, batches: int) -> list[MicroBatch]:
        """The first batches of a split, in its order."""
        windows, size = self.data.windows(split), self.data.batch_size
        firsts = range(0, min(len(windows), batches * size), size)
        return [self._micro_batch(windows, range(first, min(first + size, len(windows)))) for first in firsts]

    def lengths_to_encode(self, windows_drawn: int, validation: Sequence[tuple[Split, int]]) -> Tensor:
        """Tokens of each text that a frozen encoder meets: whole pages of the cache, of the windows drawn and of those validated."""
        drawn = min(windows_drawn, len(self.train))
        sampler = EndlessBatchSampler(len(self.train), self.data.batch_size, self.data.seed)
        texts = [self._texts(self.train, [sampler.sample(k) for k in range(drawn)])[0]]
        for split, count in validation:
            if count:
                texts.append(self._texts(self.data.windows(split), range(count))[0])
        pages = np.unique(page_of_text(np.unique(np.concatenate(texts)), self._first_P))
        page_U = page_of_text(np.arange(len(self._length_U)), self._first_P)
        return torch.from_numpy(self._length_U[np.isin(page_U, pages)])

    def _micro_batch(self, windows: WindowDataset, numbers: Sequence[int]) -> MicroBatch:
        texts, states, hours = self._texts(windows, numbers)
        named = int(2 * windows.windows[list(numbers), 3].sum()) + len(numbers)
        length_U, state_length_U = torch.from_numpy(self._length_U[texts]), torch.from_numpy(self._length_U[states])
        return MicroBatch(length_U, state_length_U, named_texts=named, windows=len(numbers), hours=hours)

    def _texts(self, windows: WindowDataset, numbers: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Unique texts and unique states of some windows, and the hours of the longest."""
        chosen = [windows[number] for number in numbers]
        states = [window["state"] for window in chosen]
        texts = [*states, *(window["action"] for window in chosen), np.array([window["static"] for window in chosen], dtype=np.int64)]
        return np.unique(np.concatenate(texts)), np.unique(np.concatenate(states)), max(map(len, states))
