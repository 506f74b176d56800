"""Anti-collapse terms on the encoder's latents: VICReg's variance and covariance, or SIGReg. An ablation; off by default."""

# Shapes: N texts, D latent features, S slices, K knots.

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_reduce
from torch.nn.functional import normalize, relu
from torch.utils.checkpoint import checkpoint

from clin_jepa.errors import InputError

# Weight of the whole term beside the prediction loss, whose weight is 1.
# VICReg publishes 25 : 25 : 1 for invariance, variance and covariance, LeJEPA 0.95 : 0.05 for prediction and SIGReg.
_PUBLISHED_WEIGHT = {"none": 0.0, "vicreg": 1.0, "sigreg": 0.05 / 0.95}

# Inside the square root, as in VICReg, so that the gradient stays finite where a feature is constant.
_VARIANCE_EPSILON = 1e-4

# The Epps-Pulley integral runs over [-5, 5], as in LeJEPA.
_KNOT_RANGE = 5.0


@dataclass(frozen=True)
class AntiCollapseConfig:
    """A term that keeps the latents from collapsing, added to the loss while the encoder trains.

    Args:
        kind: ``none``; ``vicreg``, variance and covariance of Bardes et al. 2022 (arXiv 2105.04906); or ``sigreg``, the distance of the
            latents from an isotropic Gaussian, of Balestriero & LeCun 2025 (arXiv 2511.08544).
        weight: Of the term beside the prediction loss; by default as published: 1 for VICReg, 0.05 / 0.95 for SIGReg.
        variance_weight: Of VICReg's hinge on the standard deviation of each feature.
        covariance_weight: Of VICReg's squared covariances; published is a 25th of the variance's.
        target_std: Standard deviation below which VICReg's hinge acts.
        slices: Random directions that SIGReg tests.
        knots: Points of SIGReg's integral.
    """

    kind: Literal["none", "vicreg", "sigreg"] = "none"
    weight: float | None = None
    variance_weight: float = 1.0
    covariance_weight: float = 0.04
    target_std: float = 1.0
    slices: int = 256
    knots: int = 17

    def validate(self) -> None:
        """Refuse numbers that make no term.

        Raises:
            InputError: If a weight or the standard deviation is negative, or slices or knots are too few.
        """
        if min(self.weight or 0.0, self.variance_weight, self.covariance_weight, self.target_std) < 0:
            raise InputError(f"--model.anti_collapse {self}: weights and target_std must not be negative")
        if self.slices < 1 or self.knots < 3:
            raise InputError(f"--model.anti_collapse {self}: SIGReg needs at least 1 slice and 3 knots")


def anti_collapse_loss(latent_ND: Tensor, config: AntiCollapseConfig, seed: int) -> Tensor:
    """The configured term, weights included.

    In a process group the term is that of the rows of all processes: each gets the same value, and the *mean* of their gradients, which is
    what data parallelism takes, is the gradient of one process that holds all rows. Every process has to call, if only with no row.

    Args:
        latent_ND: Latents with gradient, ``[N, D]``; computed in float32, or in float64 where they are.
        config: The term.
        seed: Of SIGReg's directions; the same on every process.

    Returns:
        Scalar.
    """
    weight = _PUBLISHED_WEIGHT[config.kind] if config.weight is None else config.weight
    with torch.autocast(latent_ND.device.type, enabled=False):
        latent_ND = latent_ND.to(torch.promote_types(latent_ND.dtype, torch.float32))
        if config.kind == "vicreg":
            return weight * _vicreg(latent_ND, config)
        if config.kind == "sigreg":
            return weight * _sigreg(latent_ND, config, seed)
        return latent_ND.new_zeros(())


def _vicreg(latent_ND: Tensor, config: AntiCollapseConfig) -> Tensor:
    """Mean hinge on each feature's standard deviation, and sum of the squared covariances of different features over D."""
    n = _rows(latent_ND)
    # Centred before squaring: the mean of a language model's latents can be far larger than their spread.
    centred_ND = latent_ND - _sum_over_processes(latent_ND.sum(dim=0)) / n
    covariance_DD = _sum_over_processes(centred_ND.T @ centred_ND) / (n - 1).clamp(min=1)
    variance_D = covariance_DD.diagonal()
    hinge = relu(config.target_std - (variance_D + _VARIANCE_EPSILON).sqrt()).mean()
    off_diagonal = (covariance_DD.square().sum() - variance_D.square().sum()) / len(variance_D)
    return config.variance_weight * hinge + config.covariance_weight * off_diagonal


def _sigreg(latent_ND: Tensor, config: AntiCollapseConfig, seed: int) -> Tensor:
    """Epps-Pulley statistic of the latents along random directions against N(0, 1), mean over directions.

    N times the integral of ``|phi_N(t) - exp(-t^2 / 2)|^2 exp(-t^2 / 2)`` over t, by the trapezoid rule, where phi_N is the empirical
    characteristic function. Both are even in t and equal at 0, so that the knots above 0 suffice.
    """
    n = _rows(latent_ND)
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same directions on every device
    direction_DS = normalize(torch.randn(latent_ND.shape[1], config.slices, generator=generator, dtype=torch.float64), dim=0)
    projected_NS = latent_ND @ direction_DS.to(latent_ND)
    knot_K, width_K = _positive_knots(config.knots)
    # Recomputed in the backward pass, so that cosines and sines of one knot at a time are in memory.
    sums = [checkpoint(_characteristic_sums, projected_NS, t, use_reentrant=False, preserve_rng_state=False) for t in knot_K.tolist()]
    cosine_KS, sine_KS = (_sum_over_processes(torch.stack(sums)) / n).unbind(dim=1)
    gaussian_K = (-knot_K.square() / 2).exp()
    error_KS = (cosine_KS - gaussian_K.to(cosine_KS)[:, None]).square() + sine_KS.square()
    weight_K = (2 * width_K * gaussian_K).to(error_KS)
    return n * (weight_K @ error_KS).mean()


def _positive_knots(knots: int) -> tuple[Tensor, Tensor]:
    """Points of the trapezoid rule above 0, and their widths.

    >>> [points.tolist() for points in _positive_knots(5)]
    [[2.5, 5.0], [2.5, 1.25]]
    """
    knot_K = torch.linspace(-_KNOT_RANGE, _KNOT_RANGE, knots, dtype=torch.float64)
    width_K = torch.full_like(knot_K, 2 * _KNOT_RANGE / (knots - 1))
    width_K[-1] /= 2
    return knot_K[knot_K > 0], width_K[knot_K > 0]


def _characteristic_sums(projected_NS: Tensor, t: float) -> Tensor:
    """Sums over rows of cosine and sine of t times the projections, ``[2, S]``."""
    angle_NS = t * projected_NS
    return torch.stack([angle_NS.cos().sum(dim=0), angle_NS.sin().sum(dim=0)])


def _rows(latent_ND: Tensor) -> Tensor:
    """Rows of all processes, a scalar."""
    return _sum_over_processes(latent_ND.new_tensor(float(len(latent_ND))))


def _sum_over_processes(values: Tensor) -> Tensor:
    """The sum over all processes; in the backward pass their gradients are summed as well."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        summed: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
        return summed
    return values
