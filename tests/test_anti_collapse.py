"""The anti-collapse terms: hand-worked values, safe gradients, and the same gradient on one process as on two."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from clin_jepa.anti_collapse import AntiCollapseConfig, anti_collapse_loss
from clin_jepa.errors import InputError

VICREG = AntiCollapseConfig(kind="vicreg")
SIGREG = AntiCollapseConfig(kind="sigreg", weight=1.0)
BOTH = pytest.mark.parametrize("config", [VICREG, SIGREG], ids=lambda config: config.kind)


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def gradient(latent_ND: Tensor, config: AntiCollapseConfig) -> Tensor:
    leaf = latent_ND.clone().requires_grad_()
    (result,) = torch.autograd.grad(anti_collapse_loss(leaf, config, seed=0), leaf)
    return result


def test_vicreg_of_two_features_by_hand() -> None:
    # Means (1, 2), variances (1, 4), covariance 2, all over n - 1 = 2. The hinges of gamma 3 are 2 and 1, their mean 1.5; the two
    # off-diagonal entries give (4 + 4) / 2 features = 4.
    latent_ND = torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    config = AntiCollapseConfig(kind="vicreg", weight=2.0, variance_weight=1.0, covariance_weight=0.5, target_std=3.0)

    assert anti_collapse_loss(latent_ND, config, seed=0).item() == pytest.approx(2 * (1.5 + 0.5 * 4), abs=1e-3)


def test_vicreg_asks_nothing_of_spread_and_uncorrelated_features() -> None:
    latent_ND = 2 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])

    assert anti_collapse_loss(latent_ND, VICREG, seed=0).item() == 0.0


def test_vicreg_is_exact_where_the_mean_is_far_larger_than_the_spread() -> None:
    latent_ND = normal(64, 4)

    moved = anti_collapse_loss(latent_ND + 1000, VICREG, seed=0).item()

    assert moved == pytest.approx(anti_collapse_loss(latent_ND, VICREG, seed=0).item(), abs=1e-3)


def test_sigreg_of_gaussian_latents_is_near_its_expectation() -> None:
    # N times the variance of an empirical characteristic function is 1 - exp(-t^2); its integral against exp(-t^2 / 2) over all t.
    expected = math.sqrt(2 * math.pi) - math.sqrt(2 * math.pi / 3)
    found = [anti_collapse_loss(normal(4000, 16), SIGREG, seed).item() for seed in range(4)]

    assert sum(found) / 4 == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("name", ["one point", "one direction", "wide"])
def test_sigreg_is_large_for_collapsed_and_for_spread_out_latents(name: str) -> None:
    latent_ND = {"one point": torch.zeros(500, 16), "one direction": normal(500, 1).expand(500, 16), "wide": 10 * normal(500, 16)}[name]

    assert anti_collapse_loss(latent_ND, SIGREG, seed=0).item() > 20


def test_sigreg_of_one_point_by_the_trapezoid_rule() -> None:
    # Every projection of zero is zero: phi_N is 1 at each knot, so that N (1 - phi)^2 phi is summed over three knots, -5, 0 and 5.
    phi = math.exp(-12.5)
    config = AntiCollapseConfig(kind="sigreg", weight=1.0, knots=3)

    found = anti_collapse_loss(torch.zeros(7, 2, dtype=torch.float64), config, seed=0).item()

    assert found == pytest.approx(7 * 2 * 2.5 * (1 - phi) ** 2 * phi)


def test_sigreg_draws_other_directions_for_another_seed() -> None:
    one, same, other = (anti_collapse_loss(normal(50, 8), SIGREG, seed).item() for seed in (0, 0, 1))

    assert one == same != other


@BOTH
def test_gradients_are_finite_where_nothing_varies(config: AntiCollapseConfig) -> None:
    assert bool(gradient(torch.full((5, 3), 2.0), config).isfinite().all())


@BOTH
def test_a_single_row_has_a_finite_term(config: AntiCollapseConfig) -> None:
    assert bool(gradient(torch.ones(1, 3), config).isfinite().all())


@BOTH
def test_the_order_of_the_rows_does_not_matter(config: AntiCollapseConfig) -> None:
    latent_ND = normal(40, 6)

    found = anti_collapse_loss(latent_ND.flip(0), config, seed=0)

    torch.testing.assert_close(found, anti_collapse_loss(latent_ND, config, seed=0), atol=1e-5, rtol=1e-5)


@BOTH
def test_gradients_are_those_of_finite_differences(config: AntiCollapseConfig) -> None:
    latent_ND = 0.3 * normal(6, 3, dtype=torch.float64).requires_grad_()

    assert torch.autograd.gradcheck(lambda rows: anti_collapse_loss(rows, config, seed=0), latent_ND)


@BOTH
def test_half_precision_latents_are_computed_in_float32(config: AntiCollapseConfig) -> None:
    latent_ND = normal(40, 6).bfloat16()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = anti_collapse_loss(latent_ND, config, seed=0)

    assert torch.equal(found, anti_collapse_loss(latent_ND.float(), config, seed=0))


def test_none_is_no_term() -> None:
    assert anti_collapse_loss(normal(4, 2), AntiCollapseConfig(), seed=0).item() == 0.0


def test_a_term_weighs_as_published_unless_told_otherwise() -> None:
    latent_ND = 0.1 * normal(20, 4)
    by_default, at_one = (anti_collapse_loss(latent_ND, AntiCollapseConfig("sigreg", weight), seed=0).item() for weight in (None, 1.0))

    assert by_default == pytest.approx(at_one * 0.05 / 0.95)
    assert anti_collapse_loss(latent_ND, VICREG, 0) == anti_collapse_loss(latent_ND, AntiCollapseConfig("vicreg", 1.0), 0)


IMPOSSIBLE = [
    AntiCollapseConfig(weight=-1.0),
    AntiCollapseConfig(covariance_weight=-1.0),
    AntiCollapseConfig(target_std=-1.0),
    AntiCollapseConfig(slices=0),
    AntiCollapseConfig(knots=2),
]


@pytest.mark.parametrize("config", IMPOSSIBLE, ids=str)
def test_impossible_settings_are_refused(config: AntiCollapseConfig) -> None:
    with pytest.raises(InputError, match=r"--model\.anti_collapse"):
        config.validate()


# ---------------------------------------------------------------------- two processes

ROWS = {"uneven": (5, 12), "one of them empty": (0, 17)}


@BOTH
@pytest.mark.parametrize("split", ROWS.values(), ids=ROWS)
def test_the_mean_gradient_of_two_processes_is_that_of_one(config: AntiCollapseConfig, split: tuple[int, int], tmp_path: Path) -> None:
    multiprocessing.spawn(_half, (split, config, tmp_path), nprocs=2)

    loss = anti_collapse_loss(_latents(_weight()), config, seed=0)
    halves = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for half in halves:
        torch.testing.assert_close(half["loss"], loss, atol=1e-6, rtol=1e-6)
    mean = (halves[0]["gradient"] + halves[1]["gradient"]) / 2
    weight = _weight()
    anti_collapse_loss(_latents(weight), config, seed=0).backward()
    torch.testing.assert_close(mean, weight.grad, atol=1e-6, rtol=1e-6)


def _weight() -> Tensor:
    return (0.2 * normal(4, 4, dtype=torch.float64)).requires_grad_()


def _latents(weight: Tensor) -> Tensor:
    """17 latents of a linear encoder."""
    return normal(17, 4, dtype=torch.float64) @ weight


def _half(rank: int, split: tuple[int, int], config: AntiCollapseConfig, folder: Path) -> None:
    """What one of two data-parallel processes computes on its own rows."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    weight = _weight()
    loss = anti_collapse_loss(_latents(weight).split(split)[rank], config, seed=0)
    loss.backward()
    torch.save({"loss": loss.detach(), "gradient": weight.grad}, folder / f"{rank}.pt")
    distributed.destroy_process_group()
