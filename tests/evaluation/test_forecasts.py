import numpy as np
import pytest
import torch

from clin_jepa.evaluation.forecasts import copy_forward, linear_extrapolation, mean_by_hour, training_mean


def test_copy_forward_repeats_the_last_hour_of_each_window() -> None:
    context = torch.arange(12.0).reshape(2, 3, 2)
    assert copy_forward(context, 2).tolist() == [[[4.0, 5.0]] * 2, [[10.0, 11.0]] * 2]


def test_linear_extrapolation_equals_a_polynomial_fit() -> None:
    torch.manual_seed(0)
    context = torch.randn(3, 7, 4, dtype=torch.double)
    forecast = linear_extrapolation(context, 5)
    for window in range(3):
        slope, start = np.polyfit(np.arange(7), context[window].numpy(), deg=1)
        np.testing.assert_allclose(forecast[window].numpy(), start + np.arange(7, 12)[:, None] * slope)


def test_linear_extrapolation_of_one_hour_copies_it_forward() -> None:
    context = torch.randn(2, 1, 3)
    assert torch.equal(linear_extrapolation(context, 4), copy_forward(context, 4))


def test_training_mean_looks_up_the_hour_of_stay() -> None:
    mean_KD, count_K = mean_by_hour([(torch.tensor([[0.0], [2.0], [10.0], [20.0]]), torch.tensor([0, 0, 1, 2]))], 4)
    forecast = training_mean(mean_KD, count_K, torch.tensor([0, 1]), horizon=2, least_stays=1)
    assert forecast[..., 0].tolist() == [[1.0, 10.0], [10.0, 20.0]]


def test_training_mean_of_hours_that_too_few_stays_reach_is_the_mean_over_all_hours() -> None:
    mean_KD, count_K = torch.tensor([[1.0], [10.0], [0.0]]), torch.tensor([6, 3, 0])
    forecast = training_mean(mean_KD, count_K, torch.tensor([0, 99]), horizon=3, least_stays=4)
    assert forecast[..., 0].tolist() == [[1.0, 4.0, 4.0], [4.0, 4.0, 4.0]]


def test_a_mean_over_parts_is_that_over_all() -> None:
    torch.manual_seed(0)
    latents, hours = torch.randn(50, 3), torch.arange(50) % 6
    whole, count = mean_by_hour([(latents, hours)], 8)
    of_parts, count_of_parts = mean_by_hour(((latents[part], hours[part]) for part in (slice(0, 20), slice(20, 21), slice(21, 50))), 8)
    torch.testing.assert_close(of_parts, whole, rtol=0, atol=1e-7)
    torch.testing.assert_close(whole[:6], torch.stack([latents[hours == hour].mean(0) for hour in range(6)]))
    assert torch.equal(count_of_parts, count) and count.tolist() == [9, 9, 8, 8, 8, 8, 0, 0]


def test_a_mean_of_no_part_is_refused() -> None:
    with pytest.raises(ValueError, match="needs latents of some"):
        mean_by_hour([], 8)


def test_a_training_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one training stay"):
        training_mean(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), torch.tensor([0]), horizon=1)
