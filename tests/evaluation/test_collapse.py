import pytest
import torch
from torch import Tensor

from clin_jepa.errors import InputError
from clin_jepa.evaluation import collapse
from clin_jepa.evaluation.collapse import (
    CollapseThresholds,
    collapse_measures,
    collapse_report,
    collapse_verdict,
    participation_ratio,
    rankme,
    singular_values,
    valid_hours,
)
from clin_jepa.evaluation.metrics_file import check_values


def cloud(n_hours: int, spectrum: Tensor) -> Tensor:
    """Centred latents with exactly these singular values."""
    torch.manual_seed(0)
    centred = torch.randn(n_hours, len(spectrum), dtype=torch.double)
    u, _, v = torch.linalg.svd(centred - centred.mean(dim=0), full_matrices=False)
    return u @ torch.diag(spectrum.double()) @ v


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_equal_singular_values_of_rank_k_give_rankme_and_participation_ratio_k(rank: int) -> None:
    measures = collapse_measures(cloud(50, torch.cat([torch.ones(rank), torch.zeros(8 - rank)])), torch.zeros(50))
    assert measures["rankme"] == pytest.approx(rank, rel=1e-5)
    assert measures["participation_ratio"] == pytest.approx(rank, rel=1e-9)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (10, 10)])
def test_singular_values_equal_those_of_the_decomposition(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    latents = torch.randn(shape) + 5
    expected = torch.linalg.svdvals((latents - latents.mean(dim=0)).double())
    torch.testing.assert_close(singular_values(latents), expected, rtol=1e-6, atol=1e-5)


def test_rankme_and_participation_ratio_of_a_hand_worked_spectrum() -> None:
    # Shares 3/4 and 1/4: entropy 0.562335, exponential 1.754765; eigenvalues 9 and 1: 10^2 / (81 + 1).
    assert rankme(torch.tensor([3.0, 1.0])) == pytest.approx(1.754765, abs=1e-6)
    assert participation_ratio(torch.tensor([3.0, 1.0])) == pytest.approx(100 / 82)


def test_identical_latents_are_one_point() -> None:
    measures = collapse_measures(torch.tensor([0.1, 0.7, -0.3]).expand(1000, 3), torch.arange(1000) % 7)
    assert measures["mean_pairwise_cosine"] == pytest.approx(1.0)
    assert measures["rankme"] == measures["participation_ratio"] == 0.0
    assert measures["feature_std_across_samples"] == pytest.approx(0.0, abs=1e-12)
    assert collapse_verdict(measures, None, CollapseThresholds()) == ["all latents are one point: their spread is zero"]


def test_std_within_a_stay_ignores_what_differs_between_stays() -> None:
    latents, stays = torch.tensor([[0.0], [2.0], [100.0], [106.0], [7.0]]), torch.tensor([4, 4, 2, 2, 9])
    assert collapse_measures(latents, stays)["feature_std_within_stay"] == pytest.approx((1.0 + 3.0) / 2)
    shuffled = torch.tensor([3, 0, 4, 2, 1])
    assert collapse_measures(latents[shuffled], stays[shuffled]) == pytest.approx(collapse_measures(latents, stays))
    assert collapse_measures(latents[[0, 2]], stays[[0, 2]])["feature_std_within_stay"] == 0.0


def test_pairwise_cosine_equals_the_mean_over_all_pairs() -> None:
    torch.manual_seed(0)
    latents = torch.randn(30, 5, dtype=torch.double) + 1
    unit = latents / latents.norm(dim=1, keepdim=True)
    pairs = (unit @ unit.T)[~torch.eye(30, dtype=torch.bool)]
    assert collapse_measures(latents, torch.zeros(30))["mean_pairwise_cosine"] == pytest.approx(float(pairs.mean()))


def test_measures_do_not_depend_on_how_rows_are_chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    latents, stays = torch.randn(101, 8), torch.arange(101) // 9
    whole = collapse_measures(latents, stays)
    monkeypatch.setattr(collapse, "_ROWS", 10)
    assert collapse_measures(latents, stays) == pytest.approx(whole)


def test_padding_never_counts() -> None:
    torch.manual_seed(0)
    latents_BTD, mask_BT, stay_id_B = torch.randn(3, 5, 4), torch.arange(5) < torch.tensor([5, 2, 3])[:, None], torch.tensor([1, 2, 1])
    padded = latents_BTD.masked_fill(~mask_BT[..., None], 1e6)
    poisoned = latents_BTD.masked_fill(~mask_BT[..., None], torch.nan)
    assert collapse_measures(*valid_hours(padded, mask_BT, stay_id_B)) == collapse_measures(*valid_hours(poisoned, mask_BT, stay_id_B))
    assert valid_hours(padded, mask_BT, stay_id_B)[1].tolist() == [1] * 5 + [2] * 2 + [1] * 3


def test_contraction_alone_is_no_collapse() -> None:
    torch.manual_seed(0)
    latents, stays = torch.randn(200, 16) + 0.5, torch.arange(200) // 10
    before, after = collapse_measures(latents, stays), collapse_measures(latents / 20, stays)
    assert after["feature_std_across_samples"] < 0.1 * before["feature_std_across_samples"]
    assert collapse_verdict(after, before, CollapseThresholds()) == []


def test_loss_of_directions_and_of_spread_are_found() -> None:
    torch.manual_seed(0)
    latents, stays = torch.randn(200, 16), torch.arange(200) // 10
    before = collapse_measures(latents, stays)
    one_direction = collapse_verdict(collapse_measures(latents[:, :1] * torch.ones(16), stays), before, CollapseThresholds())
    assert [finding.split(" is ")[0].rsplit(" ", 1)[0] for finding in one_direction] == ["RankMe", "participation ratio"]
    around_one_point = collapse_verdict(collapse_measures(latents * 0.01 + 5, stays), before, CollapseThresholds())
    assert [finding.split()[0] for finding in around_one_point] == ["std", "mean"]


def test_a_high_cosine_from_the_start_is_no_collapse() -> None:
    measures = {
        "rankme": 9.0,
        "participation_ratio": 4.0,
        "feature_std_across_samples": 1.0,
        "mean_norm": 99.0,
        "mean_pairwise_cosine": 0.995,
    }
    assert collapse_verdict(measures, measures, CollapseThresholds()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_found(value: float) -> None:
    latents = torch.randn(10, 3)
    latents[4, 1] = value
    findings = collapse_verdict(collapse_measures(latents, torch.zeros(10)), None, CollapseThresholds())
    assert len(findings) == 1
    assert findings[0].startswith("the latents are not finite")
    entry = {"phase": "joint", "step": 3, "measures": collapse_measures(latents, torch.zeros(10))}
    check_values(collapse_report([entry], "joint"))


def test_report_holds_only_phases_after_the_reference_against_it() -> None:
    torch.manual_seed(0)
    latents, stays = torch.randn(100, 16), torch.arange(100) // 10
    wide, flat = collapse_measures(latents, stays), collapse_measures(latents[:, :1] * torch.ones(16), stays)
    history = [{"phase": phase, "step": 0, "measures": of} for phase, of in [("sft", flat), ("warmup", wide), ("joint", flat)]]
    report = collapse_report(history, "warmup")
    assert [len(entry["findings"]) for entry in report["phases"]] == [0, 0, 2]
    assert report["findings"] == report["phases"][-1]["findings"]
    assert collapse_report(history, "absent")["reference_phase"] is None


def test_a_threshold_outside_0_to_1_is_refused() -> None:
    with pytest.raises(InputError, match="rankme_fraction=25"):
        CollapseThresholds(rankme_fraction=25)


def test_too_few_hours_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        collapse_measures(torch.zeros(1, 3), torch.zeros(1))
