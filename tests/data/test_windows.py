"""Windows of stays, against cuts worked by hand and as a property."""

import pytest

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.windows import Windowing
from clin_jepa.errors import InputError


@pytest.mark.parametrize(
    ("n_hours", "expected"),
    [
        (5, []),
        (6, [(0, 6)]),
        (72, [(0, 72)]),
        (73, [(0, 72), (12, 61)]),
        (84, [(0, 72), (12, 72)]),
        (85, [(0, 72), (12, 72), (24, 61)]),
        (100, [(0, 72), (12, 72), (24, 72), (36, 64)]),
    ],
)
def test_published_windowing_by_hand(n_hours: int, expected: list[tuple[int, int]]) -> None:
    assert Windowing().cut(n_hours) == expected


@pytest.mark.parametrize(
    "windowing", [Windowing(), Windowing(24, 24, 6), Windowing(10, 3, 2), Windowing(6, 6, 6), Windowing(24, 5, 2)], ids=str
)
def test_every_hour_of_a_long_enough_stay_lies_in_a_window(windowing: Windowing) -> None:
    for n_hours in range(windowing.min_hours, 337):
        covered = {start + k for start, length in windowing.cut(n_hours) for k in range(length)}
        # Where the stride is as long as the window, a tail below the minimum has no window of its own.
        tail = (n_hours - windowing.hours) % windowing.stride if windowing.stride > windowing.hours - windowing.min_hours else 0
        assert set(range(n_hours - tail)) <= covered <= set(range(n_hours)), n_hours


@pytest.mark.parametrize("windowing", [Windowing(), Windowing(24, 5, 3)], ids=str)
def test_windows_lie_inside_the_stay_and_within_their_limits(windowing: Windowing) -> None:
    for n_hours in range(1, 337):
        for start, length in windowing.cut(n_hours):
            assert start % windowing.stride == 0
            assert start + length <= n_hours
            assert windowing.min_hours <= length <= windowing.hours


def test_no_window_lies_inside_another_one() -> None:
    for n_hours in range(6, 337):
        ends = [start + length for start, length in Windowing().cut(n_hours)]
        assert len(set(ends[:-1])) == len(ends[:-1]) and ends.count(n_hours) == 1


@pytest.mark.parametrize("numbers", [(5, 12, 6), (72, 0, 6), (72, 12, 0), (72, 12, 1)])
def test_impossible_windowing_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="windowing"):
        Windowing(*numbers)


def test_splits_share_no_stay(datamodule: TrajectoryDataModule) -> None:
    stays = [set(datamodule.windows(split).windows[:, 1].tolist()) for split in ("train", "tuning", "held_out")]

    assert sum(len(split) for split in stays) == len(set.union(*stays)) == len(datamodule.store.stays)
