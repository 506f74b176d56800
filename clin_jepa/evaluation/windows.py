"""The fixed set of windows that a run is evaluated on: the same windows at every horizon, for every model."""

# Shapes: S stays, N windows.

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clin_jepa.errors import InputError

SHORTEST_CONTEXT = 6
SHORTEST_HORIZON = 6


@dataclass(frozen=True)
class EvaluationWindows:
    """Windows of ``context_hours`` true hours, followed by ``horizon_hours`` hours to forecast.

    Args:
        context_hours: True hours a forecast starts from, C.
        horizon_hours: Hours forecast, H.
        stay_index_N: Row of each window's stay among the stays chosen from, ``[N]`` int64, ascending.
        start_N: Hour of stay at which each window starts, ``[N]`` int64.
        shortened: Whether context and horizon are shorter than wanted, or the windows fewer.
        reason: Why, in a sentence; empty where they are as wanted.
    """

    context_hours: int
    horizon_hours: int
    stay_index_N: NDArray[np.int64]
    start_N: NDArray[np.int64]
    shortened: bool
    reason: str

    def __len__(self) -> int:
        return len(self.stay_index_N)

    @property
    def n_stays(self) -> int:
        """How many stays the windows come from."""
        return len(np.unique(self.stay_index_N))


def choose_windows(
    n_hours_S: NDArray[np.int64], *, context_hours: int = 24, horizon_hours: int = 48, stride: int = 12, minimum: int = 10
) -> EvaluationWindows:
    """Choose every window that starts at hour 0, ``stride``, 2 ``stride`` ... of a stay and has all its hours.

    Where fewer than ``minimum`` windows are that long, the total C + H becomes the largest that leaves ``minimum``, split between
    context and horizon as nearly as whole hours allow in the proportion wanted, neither below 6 h (or below what was wanted, if that
    is less). Where even the shortest leaves fewer, those few are used.

    Args:
        n_hours_S: Hours of each stay, ``[S]``.
        context_hours: Context wanted, C.
        horizon_hours: Horizon wanted, H.
        stride: Hours between the starts of two windows of a stay.
        minimum: Windows below which context and horizon are shortened.

    Returns:
        The windows, ordered by stay and start.

    Raises:
        InputError: If a setting is below 1, or no stay is long enough for a single window of the shortest kind.

    >>> chosen = choose_windows(np.array([30, 20]), context_hours=6, horizon_hours=12, stride=6, minimum=3)
    >>> chosen.stay_index_N.tolist(), chosen.start_N.tolist(), chosen.shortened
    ([0, 0, 0, 1], [0, 6, 12, 0], False)
    >>> chosen = choose_windows(np.array([30, 20]), context_hours=24, horizon_hours=48, stride=6, minimum=3)
    >>> chosen.context_hours, chosen.horizon_hours, len(chosen)
    (7, 13, 3)
    >>> chosen.reason
    'only 0 windows have the 24 h of context and 48 h of horizon asked for; 7 h and 13 h are the longest that leave at least 3'
    """
    if min(context_hours, horizon_hours, stride, minimum) < 1:
        raise InputError(
            f"context_hours={context_hours}, horizon_hours={horizon_hours}, stride={stride} and minimum={minimum} must all be at least 1"
        )
    n_hours_S = np.asarray(n_hours_S, dtype=np.int64)
    wanted = context_hours + horizon_hours
    shortest_context, shortest_horizon = min(SHORTEST_CONTEXT, context_hours), min(SHORTEST_HORIZON, horizon_hours)
    shortest = shortest_context + shortest_horizon
    total = next((total for total in range(wanted, shortest, -1) if _count(n_hours_S, total, stride) >= minimum), shortest)
    stay_index_N, start_N = _cut(n_hours_S, total, stride)
    if not len(start_N):
        longest = int(n_hours_S.max()) if len(n_hours_S) else 0
        raise InputError(
            f"no stay is long enough to evaluate: the longest of {len(n_hours_S)} has {longest} h, a window needs at least "
            f"{shortest_context} h of context and {shortest_horizon} h of horizon; evaluate a split or a store with longer stays"
        )
    nearest = (2 * total * context_hours + wanted) // (2 * wanted)
    context = min(max(nearest, shortest_context), total - shortest_horizon)
    reason = ""
    if total < wanted or len(start_N) < minimum:
        available = _count(n_hours_S, wanted, stride)
        reason = f"only {available} windows have the {context_hours} h of context and {horizon_hours} h of horizon asked for; "
        if len(start_N) >= minimum:
            reason += f"{context} h and {total - context} h are the longest that leave at least {minimum}"
        else:
            reason += f"even at {context} h and {total - context} h there are {len(start_N)}, fewer than the {minimum} asked for"
    return EvaluationWindows(context, total - context, stay_index_N, start_N, bool(reason), reason)


def _count(n_hours_S: NDArray[np.int64], total: int, stride: int) -> int:
    return int(_windows_of_each(n_hours_S, total, stride).sum())


def _windows_of_each(n_hours_S: NDArray[np.int64], total: int, stride: int) -> NDArray[np.int64]:
    windows_S: NDArray[np.int64] = np.where(n_hours_S >= total, (n_hours_S - total) // stride + 1, 0)
    return windows_S


def _cut(n_hours_S: NDArray[np.int64], total: int, stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    windows_S = _windows_of_each(n_hours_S, total, stride)
    stay_index_N = np.repeat(np.arange(len(n_hours_S), dtype=np.int64), windows_S)
    first_S = np.cumsum(windows_S) - windows_S
    start_N = (np.arange(len(stay_index_N), dtype=np.int64) - np.repeat(first_S, windows_S)) * stride
    return stay_index_N, start_N
