import numpy as np
import pytest

from clin_jepa.errors import InputError
from clin_jepa.evaluation.windows import choose_windows


def test_windows_start_at_each_stride_and_lie_within_their_stay() -> None:
    chosen = choose_windows(np.array([72, 71, 96, 336]), minimum=1)
    assert chosen.stay_index_N.tolist() == [0, 2, 2, 2] + [3] * 23
    assert chosen.start_N.tolist() == [0, 0, 12, 24, *range(0, 265, 12)]
    assert (chosen.shortened, chosen.reason, len(chosen), chosen.n_stays) == (False, "", 27, 3)


def test_exactly_the_minimum_is_not_shortened() -> None:
    assert not choose_windows(np.full(10, 72)).shortened
    assert choose_windows(np.full(9, 72)).shortened


def test_shortening_takes_the_longest_total_that_leaves_the_minimum() -> None:
    n_hours = np.random.default_rng(0).integers(6, 80, size=19)
    chosen = choose_windows(n_hours)
    total = chosen.context_hours + chosen.horizon_hours

    def count(length: int) -> int:
        return sum(len(range(0, hours - length + 1, 12)) for hours in n_hours)

    assert chosen.shortened
    assert count(total) == len(chosen) >= 10
    assert all(count(longer) < 10 for longer in range(total + 1, 73))


@pytest.mark.parametrize(
    ("hours", "context", "horizon"),
    [(71, 24, 47), (60, 20, 40), (36, 12, 24), (18, 6, 12), (15, 6, 9), (12, 6, 6)],
)
def test_a_shorter_total_keeps_the_proportion_down_to_six_hours(hours: int, context: int, horizon: int) -> None:
    chosen = choose_windows(np.full(10, hours))
    assert (chosen.context_hours, chosen.horizon_hours) == (context, horizon)
    assert f"{context} h and {horizon} h are the longest that leave at least 10" in chosen.reason


def test_neither_part_grows_beyond_what_was_wanted() -> None:
    for hours in range(12, 78):
        chosen = choose_windows(np.full(10, hours), context_hours=48, horizon_hours=30)
        assert 6 <= chosen.context_hours <= 48
        assert 6 <= chosen.horizon_hours <= 30


def test_fewer_than_the_minimum_at_the_shortest_are_used_and_said() -> None:
    chosen = choose_windows(np.array([12, 20, 5]))
    assert (chosen.context_hours, chosen.horizon_hours, len(chosen)) == (6, 6, 2)
    assert "there are 2, fewer than the 10 asked for" in chosen.reason


def test_a_context_wanted_below_six_hours_is_kept() -> None:
    chosen = choose_windows(np.full(10, 8), context_hours=2, horizon_hours=6)
    assert (chosen.context_hours, chosen.horizon_hours, chosen.shortened) == (2, 6, False)


@pytest.mark.parametrize("n_hours", [np.array([11, 6]), np.array([], dtype=np.int64)])
def test_no_window_at_all_is_refused(n_hours: np.ndarray) -> None:
    with pytest.raises(InputError, match="no stay is long enough"):
        choose_windows(n_hours)


def test_settings_below_one_are_refused() -> None:
    with pytest.raises(InputError, match="stride=0"):
        choose_windows(np.array([100]), stride=0)
