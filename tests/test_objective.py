"""The objective, against numbers worked by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from clin_jepa.objective import hours_from, masked_l1, rollout_loss, rollout_starts, rollout_steps, teacher_forced_loss

# One window, one feature: the states are 1, 2, 4, 7, 11 and the stand-in predictor says "twice the state".
STATE = torch.tensor([1.0, 2.0, 4.0, 7.0, 11.0]).reshape(1, 5, 1)
EVERY_HOUR = torch.ones(1, 5, dtype=torch.bool)


def twice(state_BTD: Tensor) -> Tensor:
    return 2.0 * state_BTD


def rolled(state_BTD: Tensor, start_B: Tensor, horizon: int, chained: bool, factor: Tensor | float = 2.0) -> Tensor:
    """What the stand-in predicts for the hours after each start: from its own predictions, or from the true states."""
    true_BRD = hours_from(state_BTD, start_B, horizon)
    if not chained:
        return factor * true_BRD
    return torch.stack([true_BRD[:, 0] * factor**step for step in range(1, horizon + 1)], dim=1)


def rollout_of(
    state_BTD: Tensor,
    start_B: Tensor,
    horizon: int,
    chained: bool,
    *options: Any,
    factor: Tensor | float = 2.0,
    steps: list[int] | None = None,
) -> Tensor:
    wanted_BRD = hours_from(state_BTD, start_B + 1, horizon)
    steps_B = torch.tensor(steps or [horizon] * len(start_B))
    return rollout_loss(rolled(state_BTD, start_B, horizon, chained, factor), wanted_BRD, steps_B, *options)


def rollout(start: int, horizon: int, chained: bool) -> float:
    return rollout_of(STATE, torch.tensor([start]), horizon, chained).item()


def test_teacher_forcing_by_hand() -> None:
    # Predictions 2, 4, 8, 14 against 2, 4, 7, 11: errors 0, 0, 1, 3.
    assert teacher_forced_loss(twice(STATE), STATE, EVERY_HOUR).item() == pytest.approx(1.0)


def test_padded_hours_do_not_count() -> None:
    mask_BT = torch.tensor([[True, True, True, True, False]])
    assert teacher_forced_loss(twice(STATE), STATE, mask_BT).item() == pytest.approx(1 / 3)


def test_the_mean_is_over_hours_not_over_windows() -> None:
    pred, target = torch.zeros(2, 3, 1), torch.tensor([[0.0, 1.0, 1.0], [0.0, 7.0, 9.0]]).unsqueeze(-1)
    mask_BT = torch.tensor([[True, True, True], [True, True, False]])
    assert teacher_forced_loss(pred, target, mask_BT).item() == pytest.approx((1 + 1 + 7) / 3)


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 2.0), ("sum", 6.0)])
def test_reduction_is_over_features(reduction: str, expected: float) -> None:
    pred, target = torch.zeros(1, 1, 3), torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 3)
    assert masked_l1(pred, target, torch.ones(1, 1, dtype=torch.bool), reduction).item() == expected  # type: ignore[arg-type]


def test_a_batch_without_a_next_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="no hour of the batch has a next hour"):
        teacher_forced_loss(torch.zeros(2, 1, 3), torch.zeros(2, 1, 3), torch.ones(2, 1, dtype=torch.bool))


def test_chained_rollout_by_hand() -> None:
    # From 2: 4, 8, 16 against 4, 7, 11: errors 0, 1, 5.
    assert rollout(start=1, horizon=3, chained=True) == pytest.approx(2.0)


def test_teacher_forced_rollout_by_hand() -> None:
    # From 2, 4, 7: 4, 8, 14 against 4, 7, 11: errors 0, 1, 3.
    assert rollout(start=1, horizon=3, chained=False) == pytest.approx(4 / 3)


def test_horizon_one_is_the_same_chained_or_not() -> None:
    assert rollout(start=2, horizon=1, chained=True) == rollout(start=2, horizon=1, chained=False) == 1.0


def test_rollout_with_sum_over_features() -> None:
    state = STATE.expand(1, 5, 4)
    loss = rollout_of(state, torch.tensor([1]), 3, True, "sum")
    assert loss.item() == pytest.approx(4 * 2.0)


def test_a_window_of_one_hour_takes_no_part() -> None:
    state = torch.cat([STATE, 1000.0 + STATE])
    assert rollout_of(state, torch.tensor([1, 0]), 3, True, steps=[3, 0]).item() == pytest.approx(2.0)


def test_a_short_window_counts_by_the_steps_that_it_has() -> None:
    # The second window ends an hour after its start: 2 against 2.
    state = torch.cat([STATE, STATE])
    assert rollout_of(state, torch.tensor([1, 0]), 3, True, steps=[3, 1]).item() == pytest.approx((0 + 1 + 5 + 0) / 4)


def test_where_no_window_has_two_hours_the_rollout_is_zero_and_has_a_graph() -> None:
    state = STATE.clone().requires_grad_()
    loss = rollout_of(state, torch.tensor([0]), 3, True, steps=[0])
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(state.grad, torch.zeros_like(state))


@pytest.mark.parametrize("chained", [True, False])
def test_gradient_of_the_rollout_by_finite_differences(chained: bool) -> None:
    def loss_at(factor: Tensor) -> Tensor:
        return rollout_of(STATE.double(), torch.tensor([1]), 3, chained, factor=factor)

    factor = torch.tensor(2.1, dtype=torch.double, requires_grad=True)
    loss_at(factor).backward()
    beside = [loss_at(torch.tensor(2.1 + step, dtype=torch.double)) for step in (1e-6, -1e-6)]
    numeric = (beside[0] - beside[1]) / 2e-6
    # From 2, chained: 2 f, 2 f^2, 2 f^3, each above its target; teacher forced: 2 f, 4 f, 7 f. Mean of three steps.
    by_hand = (2 + 2 * 2 * 2.1 + 3 * 2 * 2.1**2) / 3 if chained else 13 / 3
    assert factor.grad.item() == pytest.approx(by_hand, rel=1e-6)
    assert numeric.item() == pytest.approx(by_hand, rel=1e-6)


def test_starts_leave_room_for_the_horizon_and_reach_every_hour() -> None:
    n_hours = torch.tensor([5]).expand(2000)
    starts = rollout_starts(n_hours, 2, torch.rand(2000, generator=torch.Generator().manual_seed(0)))
    assert starts.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize(("n_hours", "horizon", "steps"), [(3, 2, 2), (2, 2, 1), (1, 1, 0), (2, 1, 1)])
def test_a_window_that_just_fits_or_does_not_is_rolled_out_from_its_first_hour(n_hours: int, horizon: int, steps: int) -> None:
    assert rollout_starts(torch.tensor([n_hours]), horizon, torch.tensor([0.999])).tolist() == [0]
    assert rollout_steps(torch.tensor([n_hours]), horizon).tolist() == [steps]


@pytest.mark.parametrize("chained", [True, False])
def test_the_losses_of_parts_add_up_to_that_of_the_whole(chained: bool) -> None:
    random = torch.Generator().manual_seed(3)
    state = torch.rand(5, 6, 2, generator=random)
    hours = torch.tensor([6, 2, 3, 5, 2])
    mask = torch.arange(6) < hours[:, None]
    start, steps = rollout_starts(hours, 2, torch.rand(5, generator=random)), rollout_steps(hours, 2)
    totals = int((hours - 1).sum()), int(steps.sum())

    def losses(part: slice, forced_total: int | None, rollout_total: int | None) -> torch.Tensor:
        inputs, real = state[part], mask[part]
        forced = teacher_forced_loss(twice(inputs), inputs, real, "mean", forced_total)
        rollout = rollout_of(inputs, start[part], 2, chained, "mean", rollout_total, steps=steps[part].tolist())
        return torch.stack([forced, rollout])

    # The second part holds a window that is shorter than the horizon.
    parts = [losses(part, *totals) for part in (slice(0, 1), slice(1, 2), slice(2, 5))]
    torch.testing.assert_close(torch.stack(parts).sum(dim=0), losses(slice(0, 5), None, None))
