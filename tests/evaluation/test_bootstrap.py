import pytest
import torch
from torch import Tensor

from clin_jepa.evaluation.bootstrap import bootstrap_by_stay, interval_95, resampled_means


def width(values: Tensor, stays: Tensor) -> float:
    low, high = interval_95(resampled_means({"a": values}, stays)["a"])[0].tolist()
    return high - low


def test_the_same_seed_gives_the_same_draws_and_another_seed_others() -> None:
    values, stays = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)), torch.arange(20) // 2
    first, again, other = (resampled_means({"a": values}, stays, seed=seed)["a"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_sums_by_stay_equal_gathering_the_windows_of_each_draw() -> None:
    torch.manual_seed(0)
    values, stays = torch.randn(12, 3, dtype=torch.double), torch.tensor([7, 7, 3, 9, 9, 9, 3, 1, 1, 1, 1, 7])
    ids = stays.unique()
    drawn = torch.randint(4, (500, 4), generator=torch.Generator().manual_seed(0))
    by_hand = torch.stack([torch.cat([values[stays == ids[stay]] for stay in draw]).mean(dim=0) for draw in drawn])
    torch.testing.assert_close(resampled_means({"a": values}, stays)["a"], by_hand)


def test_duplicated_windows_of_a_stay_do_not_shrink_the_interval() -> None:
    torch.manual_seed(0)
    values, stays = torch.randn(25, 1), torch.arange(25)
    assert width(values.repeat(40, 1), stays.repeat(40)) == pytest.approx(width(values, stays))
    assert width(values.repeat(40, 1), torch.arange(1000)) < 0.3 * width(values, stays)


def test_the_interval_covers_the_true_mean_in_about_19_of_20_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    stays = torch.arange(40).repeat_interleave(3)
    covered = 0
    for _ in range(200):
        values = 1.0 + torch.randn(40, 1, generator=generator).repeat_interleave(3, dim=0) + 0.1 * torch.randn(120, 1, generator=generator)
        low, high = bootstrap_by_stay({"a": values}, stays, lambda mean: mean["a"])[0].tolist()
        covered += low <= 1.0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_ratio_is_computed_anew_in_each_draw() -> None:
    # Stays differ tenfold in scale, but every one doubles its error: the ratio is certain, the errors are not.
    errors = torch.tensor([[1.0, 2.0], [10.0, 20.0], [5.0, 10.0]])
    ratio = bootstrap_by_stay({"a": errors}, torch.arange(3), lambda mean: mean["a"] / mean["a"][:, :1])
    assert ratio.tolist() == [[1.0, 1.0], [2.0, 2.0]]
    assert width(errors, torch.arange(3)) > 1


def test_draws_without_a_value_are_left_out() -> None:
    assert interval_95(torch.tensor([[1.0], [torch.inf], [1.0], [torch.nan]])).tolist() == [[1.0, 1.0]]
    assert interval_95(torch.full((3, 1), torch.nan)).isnan().all()
