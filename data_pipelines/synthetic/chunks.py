"""The hospital cut into chunks of ICU stays: each is made alone, from the seed and its number, so that any worker may make it."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FULL_SIZE = 94_458
"""ICU stays of MIMIC-IV v3.1: scale 1."""

CHUNK_STAYS = 64

_MULTIPLIER = 7_368_787


@dataclass(frozen=True)
class Chunk:
    """A run of ICU stays of the hospital.

    Attributes:
        seed: Seed of the hospital.
        index: Number of the chunk.
        first: Number of its first stay.
        stays: ICU stays in it.
        total: ICU stays of the hospital.
    """

    seed: int
    index: int
    first: int
    stays: int
    total: int

    def rng(self, purpose: str) -> np.random.Generator:
        """A stream of chance of its own for each purpose, so that one table's rows do not hang on another's."""
        return np.random.default_rng([self.seed, self.index, zlib.crc32(purpose.encode())])

    def share(self, per_stay: float) -> int:
        """How many of something there are in this chunk, if the hospital has ``per_stay`` for each ICU stay.

        >>> [Chunk(0, i, 64 * i, 64, 128).share(3.17) for i in (0, 1)]
        [202, 203]
        """
        return int((self.first + self.stays) * per_stay) - int(self.first * per_stay)

    def subject_ids(self, n: int) -> NDArray[np.int64]:
        """Rising subject ids, above those of every chunk before this one, spread over eight digits as in MIMIC."""
        low, high = _range(self.total * 32)
        start = low + (high - low) * self.first // self.total
        end = low + (high - low) * (self.first + self.stays) // self.total
        picked = self.rng("subject_ids").choice(end - start, size=n, replace=False, shuffle=False)
        return np.sort(picked).astype(np.int64) + start

    def scattered_ids(self, n: int, leading: int = 0, block: int = 1 << 12) -> NDArray[np.int64]:
        """Ids without any order, unique in the hospital, eight digits where they suffice.

        Args:
            n: How many.
            leading: First digit of the ids: 2 for admissions and 3 for ICU stays in MIMIC.
            block: How many ids each chunk has to itself.

        >>> Chunk(0, 0, 0, 64, 128).scattered_ids(2, leading=2)
        array([23490787, 20859574])
        """
        if n > block:
            raise RuntimeError(f"chunk {self.index} needs {n} ids but has {block}")
        modulus = _range(-(-self.total // CHUNK_STAYS) * block)[0]
        place = np.arange(self.index * block, self.index * block + n, dtype=np.int64)
        return leading * modulus + (place * _MULTIPLIER + 3_490_787) % modulus

    def row_ids(self, n: int) -> NDArray[np.int64]:
        """Rising row numbers, above those of every chunk before this one."""
        return np.arange(n, dtype=np.int64) + (self.index << 21) + 1


def _range(needed: int) -> tuple[int, int]:
    low = 10_000_000
    while low < needed:
        low *= 10
    return low, 2 * low - 1


def chunks_of(stays: int, seed: int) -> list[Chunk]:
    """Cut a hospital into chunks.

    >>> [(chunk.first, chunk.stays) for chunk in chunks_of(150, seed=0)]
    [(0, 64), (64, 64), (128, 22)]
    """
    starts = range(0, stays, CHUNK_STAYS)
    return [Chunk(seed, i, first, min(CHUNK_STAYS, stays - first), stays) for i, first in enumerate(starts)]
