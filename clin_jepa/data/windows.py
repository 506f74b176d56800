"""Windows of stays, and the deterministic order in which training draws them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from clin_jepa.data.token_store import TokenStore
from clin_jepa.errors import InputError


@dataclass(frozen=True)
class Windowing:
    """How a stay is cut into windows.

    Args:
        hours: Longest window, in hours.
        stride: Hours between the starts of two windows of one stay.
        min_hours: Shortest window, in hours.
    """

    hours: int = 72
    stride: int = 12
    min_hours: int = 6

    def __post_init__(self) -> None:
        if not 2 <= self.min_hours <= self.hours or self.stride < 1:
            raise InputError(f"--data.windowing {self} does not fit: it needs 2 <= min_hours <= hours and stride >= 1")

    def cut(self, n_hours: int) -> list[tuple[int, int]]:
        """Start and length of each window of a stay.

        A stay no longer than a window gives one; a longer one gives one at each stride until its end is covered.

        >>> Windowing(hours=72, stride=12, min_hours=6).cut(80)
        [(0, 72), (12, 68)]
        >>> Windowing(hours=72, stride=12, min_hours=6).cut(5)
        []
        """
        starts = range(0, max(n_hours - self.hours + self.stride, 1), self.stride)
        cuts = [(start, min(self.hours, n_hours - start)) for start in starts]
        return [(start, length) for start, length in cuts if length >= self.min_hours]


class WindowDataset(Dataset[dict[str, Any]]):
    """Windows as numbers of texts; map-style, read from memory-mapped files.

    Args:
        tokens: The token store.
        stay_rows: Row of each stay in the token store.
        stay_ids: Identifier of each stay.
        windowing: How stays are cut.
    """

    def __init__(self, tokens: TokenStore, stay_rows: NDArray[np.int64], stay_ids: NDArray[np.int64], windowing: Windowing) -> None:
        self.tokens = tokens
        rows = [
            (stay, stay_id, start, length)
            for stay, stay_id in zip(stay_rows.tolist(), stay_ids.tolist(), strict=True)
            for start, length in windowing.cut(int(tokens.first_row_S[stay + 1] - tokens.first_row_S[stay]))
        ]
        self.windows: NDArray[np.int64] = np.array(rows, dtype=np.int64).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        stay, stay_id, start, length = self.windows[index].tolist()
        first = int(self.tokens.first_row_S[stay]) + start
        return {
            "stay_id": stay_id,
            "stay": stay,
            "first_row": first,
            "first_hour": start,
            "static": int(self.tokens.static_S[stay]),
            "state": self.tokens.state_H[first : first + length],
            "action": self.tokens.action_H[first : first + length],
        }


class EndlessBatchSampler:
    """The order of training: one endless stream of samples, a new permutation of all windows each epoch.

    Sample ``k`` of the stream is a pure function of the seed, so any rank of any number of ranks finds its batches from the number
    of samples already trained on, and a resumed run goes on with the very next one.

    Args:
        n_samples: Number of windows.
        batch_size: Windows in a batch of one rank.
        seed: Seed of the permutations.
        rank: This process.
        world_size: Number of processes.
        first_sample: Samples of the stream that were already trained on, over all ranks.

    Raises:
        InputError: If there is no window.

    >>> batches = EndlessBatchSampler(n_samples=3, batch_size=2, seed=0)
    >>> later = EndlessBatchSampler(n_samples=3, batch_size=2, seed=0, first_sample=2)
    >>> from itertools import islice
    >>> list(islice(batches, 4))[1:] == list(islice(later, 3))
    True
    """

    def __init__(self, n_samples: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1, first_sample: int = 0) -> None:
        if n_samples < 1:
            raise InputError("the training split has no window: give a store with longer stays, or lower --data.windowing.min_hours")
        self.n_samples, self.batch_size, self.seed = n_samples, batch_size, seed
        self.rank, self.world_size, self.first_sample = rank, world_size, first_sample

    def __iter__(self) -> Iterator[list[int]]:
        first = self.first_sample + self.rank * self.batch_size
        while True:
            yield [self.sample(first + k) for k in range(self.batch_size)]
            first += self.batch_size * self.world_size

    def sample(self, position: int) -> int:
        """Window at a position of the stream."""
        epoch, within = divmod(position, self.n_samples)
        return int(self._permutation(epoch)[within])

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order: NDArray[np.int64] = np.random.default_rng([self.seed, epoch]).permutation(self.n_samples)
        return self._order
