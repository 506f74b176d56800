"""Times of ours and of the plain way, taken in turn on the same machine in the same run."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

REPEATS = 5


@dataclass(frozen=True)
class Comparison:
    """Seconds of the same work done in two ways.

    Args:
        name: Of the work.
        ours: Seconds of each repeat.
        plain: Seconds of each repeat of the plain way.
        work: How much one repeat does, by unit: tokens, patient hours, steps.
    """

    name: str
    ours: list[float]
    plain: list[float]
    work: dict[str, float]

    @property
    def ratio(self) -> float:
        """Median over repeats of plain seconds over ours: above 1 ours is faster."""
        return statistics.median(theirs / mine for mine, theirs in zip(self.ours, self.plain, strict=True))

    def row(self) -> dict[str, Any]:
        """For ``results.json``."""
        return {
            "name": self.name,
            "ours_s": spread(self.ours),
            "plain_s": spread(self.plain),
            "ratio": round(self.ratio, 2),
            **{f"{unit}_per_s": round(amount / statistics.median(self.ours), 1) for unit, amount in self.work.items()},
            **{f"plain_{unit}_per_s": round(amount / statistics.median(self.plain), 1) for unit, amount in self.work.items()},
        }


def compare(
    name: str, ours: Callable[[], Any], plain: Callable[[], Any], work: dict[str, float] | None = None, repeats: int = REPEATS
) -> Comparison:
    """Run both once to warm up, then in turn, so that a slow spell of the machine meets both."""
    for run in (ours, plain):
        run()
    mine, theirs = [], []
    for _ in range(repeats):
        mine.append(seconds(ours))
        theirs.append(seconds(plain))
    return Comparison(name, mine, theirs, work or {})


def seconds(run: Callable[..., Any], *arguments: Any) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - began


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest, to four digits."""
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in figures.items()}
