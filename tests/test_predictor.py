"""The latent trajectory predictor: what it may see, and that its cache changes nothing."""

import pytest
import torch
from torch import Tensor

from clin_jepa.errors import InputError
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig

D, HOURS = 12, 9


def predictor(residual: bool = False) -> LatentTrajectoryPredictor:
    torch.manual_seed(0)
    config = PredictorConfig(layers=2, width=32, heads=4, feed_forward=64, max_hours=16, residual=residual)
    return LatentTrajectoryPredictor(D, config).eval()


def latents(hours: int = HOURS) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(*shape, D, generator=generator) for shape in ((3,), (3, hours), (3, hours)))  # type: ignore[return-value]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("context", [1, 4])
@torch.no_grad()
def test_cached_rollout_equals_the_uncached_one(context: int, residual: bool) -> None:
    model, (static_BD, state_BTD, action_BTD) = predictor(residual), latents()
    grown_BTD = state_BTD[:, :context]
    for hour in range(context, HOURS + 1):
        following = model(static_BD, grown_BTD, action_BTD[:, :hour])[:, -1:]
        grown_BTD = torch.cat([grown_BTD, following], dim=1)

    rolled = model.rollout(static_BD, state_BTD[:, :context], action_BTD)

    torch.testing.assert_close(rolled, grown_BTD[:, context:], atol=1e-5, rtol=0)


def recomputed(
    model: LatentTrajectoryPredictor, static_BD: Tensor, state_BTD: Tensor, action_BTD: Tensor, start_B: Tensor, horizon: int
) -> Tensor:
    """Rollouts the plain way: a pass over the whole sequence for each step, with the predictions in place of the states."""
    row_B, predicted_BTD, steps = torch.arange(len(start_B)), model(static_BD, state_BTD, action_BTD), []
    for step in range(horizon):
        steps.append(predicted_BTD[row_B, start_B + step])
        state_BTD = state_BTD.index_put((row_B, start_B + step + 1), steps[-1])
        predicted_BTD = model(static_BD, state_BTD, action_BTD)
    return torch.stack(steps, dim=1)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_rollouts_from_kept_keys_equal_a_pass_for_each_step_in_value_and_gradient(horizon: int, residual: bool) -> None:
    model, inputs, start_B = predictor(residual).double(), latents(), torch.tensor([0, 2, HOURS - 5])
    weight_BRD = torch.randn(3, horizon, D, dtype=torch.double, generator=torch.Generator().manual_seed(2))

    def outcome(keeps: bool) -> list[Tensor]:
        model.zero_grad()
        leaves = [x.double().requires_grad_() for x in inputs]
        if keeps:
            forced_BTD, rolled_BRD, _ = model.forward_with_rollouts(*leaves, start_B, horizon)
            torch.testing.assert_close(forced_BTD, model(*leaves))
        else:
            rolled_BRD = recomputed(model, *leaves, start_B, horizon)
        (rolled_BRD * weight_BRD).sum().backward()
        # Attention's key biases get no gradient but rounding.
        return [rolled_BRD, *(x.grad for x in leaves), *(p.grad for p in model.parameters() if p.grad is not None)]

    for kept, plain in zip(outcome(keeps=True), outcome(keeps=False), strict=True):
        torch.testing.assert_close(kept, plain, atol=1e-12, rtol=1e-9)


def test_a_rollout_past_the_end_of_a_window_stays_within_its_positions() -> None:
    # Such a window takes no part in the loss; it only has to go along.
    model, inputs = predictor(), latents()
    _, rolled_BRD, _ = model.forward_with_rollouts(*inputs, torch.full((3,), HOURS - 1), 4)
    assert bool(rolled_BRD.isfinite().all())


@pytest.mark.parametrize("changed", ["state", "action"])
@torch.no_grad()
def test_outputs_before_a_changed_hour_stay_the_same(changed: str) -> None:
    model, (static_BD, state_BTD, action_BTD) = predictor(), latents()
    before = model(static_BD, state_BTD, action_BTD)
    (state_BTD if changed == "state" else action_BTD)[:, 5] += 1.0

    after = model(static_BD, state_BTD, action_BTD)

    torch.testing.assert_close(after[:, :5], before[:, :5], atol=0, rtol=0)


@pytest.mark.parametrize("changed", ["state", "action"])
@torch.no_grad()
def test_a_changed_hour_reaches_its_own_output_and_all_later_ones(changed: str) -> None:
    # The output sits at the state's position, so an action that reaches it is seen "both ways" within the hour.
    model, (static_BD, state_BTD, action_BTD) = predictor(), latents()
    before = model(static_BD, state_BTD, action_BTD)
    (state_BTD if changed == "state" else action_BTD)[:, 5] += 1.0

    moved_T = (model(static_BD, state_BTD, action_BTD) - before).abs().amax(dim=(0, 2))

    assert bool((moved_T[5:] > 1e-4).all())


@torch.no_grad()
def test_the_static_text_reaches_every_hour() -> None:
    model, (static_BD, state_BTD, action_BTD) = predictor(), latents()

    moved_T = (model(static_BD + 1.0, state_BTD, action_BTD) - model(static_BD, state_BTD, action_BTD)).abs().amax(dim=(0, 2))

    assert bool((moved_T > 1e-4).all())


@torch.no_grad()
def test_padding_on_the_right_changes_nothing() -> None:
    model, (static_BD, state_BTD, action_BTD) = predictor(), latents()

    padded = model(static_BD, state_BTD, action_BTD)[:, :6]

    torch.testing.assert_close(model(static_BD, state_BTD[:, :6], action_BTD[:, :6]), padded, atol=1e-6, rtol=0)


@torch.no_grad()
def test_windows_of_a_batch_do_not_see_each_other() -> None:
    model, (static_BD, state_BTD, action_BTD) = predictor(), latents()

    alone = model(static_BD[1:2], state_BTD[1:2], action_BTD[1:2])

    torch.testing.assert_close(alone[0], model(static_BD, state_BTD, action_BTD)[1], atol=1e-6, rtol=0)


@torch.no_grad()
def test_the_residual_form_adds_the_prediction_to_the_state_it_starts_from() -> None:
    direct, residual, (static_BD, state_BTD, action_BTD) = predictor(), predictor(residual=True), latents()

    expected = state_BTD + direct(static_BD, state_BTD, action_BTD)

    torch.testing.assert_close(residual(static_BD, state_BTD, action_BTD), expected, atol=0, rtol=0)


def test_a_sequence_beyond_the_learned_positions_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match=r"17 hours is longer than the predictor's 16.*max_hours"):
        predictor()(*latents(17))


def test_a_rollout_beyond_the_learned_positions_is_refused() -> None:
    static_BD, state_BTD, action_BTD = latents(17)
    with pytest.raises(InputError, match="max_hours"):
        predictor().rollout(static_BD, state_BTD[:, :4], action_BTD)


def test_a_rollout_needs_an_action_for_each_context_hour() -> None:
    static_BD, state_BTD, action_BTD = latents()
    with pytest.raises(ValueError, match="4 context hours but actions for 3"):
        predictor().rollout(static_BD, state_BTD[:, :4], action_BTD[:, :3])


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match="width a multiple of heads"):
        LatentTrajectoryPredictor(D, PredictorConfig(width=30, heads=4))
