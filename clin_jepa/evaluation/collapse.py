"""Collapse measures of a cloud of latents, and the verdict on them: has the encoder stopped telling hours apart?"""

# Shapes: N valid hours, D latent features, B windows, T hours, S stays.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from clin_jepa.errors import InputError

# Rows that are cast to double at a time, so that a large cloud is never held twice.
_ROWS = 8192
# A spread below this share of the mean norm is rounding, not spread.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class CollapseThresholds:
    """When a monitor speaks of collapse, relative to the reference: the end of phase 1.

    Latents contract 4-20x under a JEPA loss and stay informative, so every threshold is on a quantity without a scale.

    Args:
        rankme_fraction: RankMe below this share of the reference's.
        participation_ratio_fraction: Participation ratio below this share of the reference's.
        relative_spread_fraction: Feature std across samples / mean norm below this share of the reference's.
        pairwise_cosine: Mean pairwise cosine above this value ...
        cosine_gap_fraction: ... and its gap to 1 below this share of the reference's gap: language models' latents share a large
            mean direction from the start, so a high cosine alone is no collapse.
        no_spread: Feature std across samples / mean norm below which all latents are one point, whatever the reference.
    """

    rankme_fraction: float = 0.25
    participation_ratio_fraction: float = 0.25
    relative_spread_fraction: float = 0.1
    pairwise_cosine: float = 0.99
    cosine_gap_fraction: float = 0.1
    no_spread: float = 1e-6

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0.0 <= value <= 1.0:
                raise InputError(f"collapse threshold {name}={value} does not lie between 0 and 1; 0 switches it off")


def valid_hours(latents_BTD: Tensor, mask_BT: Tensor, stay_id_B: Tensor) -> tuple[Tensor, Tensor]:
    """Latents of the valid hours only, and the stay of each.

    Args:
        latents_BTD: Latents of windows, ``[B, T, D]``, with padding.
        mask_BT: True where the hour exists, ``[B, T]`` bool.
        stay_id_B: Stay of each window, ``[B]`` int.

    Returns:
        Latents ``[N, D]`` and stays ``[N]``.

    >>> mask_BT = torch.tensor([[True, True], [True, False]])
    >>> latents, stays = valid_hours(torch.tensor([[[1.0], [2.0]], [[3.0], [9.0]]]), mask_BT, torch.tensor([7, 8]))
    >>> latents.flatten().tolist(), stays.tolist()
    ([1.0, 2.0, 3.0], [7, 7, 8])
    """
    return latents_BTD[mask_BT], stay_id_B[:, None].expand_as(mask_BT)[mask_BT]


def collapse_measures(latents_ND: Tensor, stay_N: Tensor) -> dict[str, float]:
    """How far a cloud of latents spreads, in how many directions.

    - ``feature_std_across_samples``: std of a feature over all hours of all stays, mean over features.
    - ``feature_std_within_stay``: std of a feature over the hours of one stay, mean over features, then over the stays with two
      hours or more (0 if there is none).
    - ``rankme``: exponential of the entropy of the normalised singular values of the centred cloud (RankMe, Garrido et al. 2023,
      arXiv 2210.02885; theirs is not centred); between 1 and D, and 0 for a single point.
    - ``participation_ratio``: squared sum over sum of squares of the covariance's eigenvalues; between 1 and D, and 0 for a point.
    - ``mean_pairwise_cosine``: over all pairs of different hours, exact; zero latents are left out, and a cloud of them gives 1.
    - ``mean_norm``: mean Euclidean norm.
    - ``mean_absolute_deviation``: of a feature from its mean, mean over features; the scale for an L1 error.

    Standard deviations are those of the population (divided by the count). Everything is summed in double precision.

    Args:
        latents_ND: Latents of valid hours, ``[N, D]``; no padding.
        stay_N: Stay of each, ``[N]`` int, in any order.

    Returns:
        The measures by name; not finite where a latent is not.

    Raises:
        ValueError: If there are fewer than two hours, or the shapes do not fit.

    >>> square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> for name, value in collapse_measures(square, torch.tensor([0, 0, 1, 1])).items():
    ...     print(f"{name}: {value:.3f}")
    feature_std_across_samples: 1.000
    feature_std_within_stay: 0.500
    rankme: 2.000
    participation_ratio: 2.000
    mean_pairwise_cosine: -0.333
    mean_norm: 1.414
    mean_absolute_deviation: 1.000
    """
    if latents_ND.ndim != 2 or stay_N.shape != latents_ND.shape[:1] or len(latents_ND) < 2:
        raise ValueError(f"needs latents [N, D] and stays [N] with N >= 2, got {tuple(latents_ND.shape)} and {tuple(stay_N.shape)}")
    latents_ND = latents_ND.detach()
    mean_D = _column_mean(latents_ND)
    singular_R = singular_values(latents_ND)
    norm_N = torch.cat([torch.linalg.vector_norm(chunk_ND, dim=1) for chunk_ND in _chunks(latents_ND)])
    deviation_N = torch.cat([(chunk_ND - mean_D).abs().mean(dim=1) for chunk_ND in _chunks(latents_ND)])
    variance_D = torch.stack([(chunk_ND - mean_D).square().sum(dim=0) for chunk_ND in _chunks(latents_ND)]).sum(dim=0) / len(latents_ND)
    return {
        "feature_std_across_samples": float(variance_D.sqrt().mean()),
        "feature_std_within_stay": _std_within_stay(latents_ND, stay_N),
        "rankme": rankme(singular_R),
        "participation_ratio": participation_ratio(singular_R),
        "mean_pairwise_cosine": _mean_pairwise_cosine(latents_ND),
        "mean_norm": float(norm_N.mean()),
        "mean_absolute_deviation": float(deviation_N.mean()),
    }


def singular_values(latents_ND: Tensor) -> Tensor:
    """Singular values of the centred cloud, descending, ``[min(N, D)]`` double, through the smaller of the two Gram matrices.

    All zero where the cloud is one point up to rounding; all NaN where a latent is not finite.

    >>> singular_values(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 2.0], [0.0, -2.0]])).square().round(decimals=6).tolist()
    [18.0, 8.0]
    """
    latents_ND = latents_ND.detach()
    n_hours, n_features = latents_ND.shape
    mean_D = _column_mean(latents_ND)
    scale = float(torch.linalg.vector_norm(mean_D))
    if n_hours <= n_features:
        centred_ND = latents_ND.double() - mean_D
        gram = centred_ND @ centred_ND.T
    else:
        gram = torch.zeros(n_features, n_features, dtype=torch.double, device=latents_ND.device)
        for chunk_ND in _chunks(latents_ND):
            gram += (chunk_ND - mean_D).T @ (chunk_ND - mean_D)
    if not gram.isfinite().all():
        return torch.full((len(gram),), torch.nan, dtype=torch.double)
    if float(gram.trace()) <= n_hours * (_ROUNDING * scale) ** 2:
        return torch.zeros(len(gram), dtype=torch.double)
    eigenvalue_R: Tensor = torch.linalg.eigvalsh(gram)
    return eigenvalue_R.flip(0).clamp(min=0.0).sqrt().cpu()


def rankme(singular_R: Tensor) -> float:
    """Effective rank: exponential of the entropy of the normalised singular values; 0 where all are 0.

    >>> round(rankme(torch.tensor([2.0, 2.0, 2.0, 0.0])), 6)
    3.0
    """
    total = singular_R.double().sum()
    if float(total) == 0.0:
        return 0.0
    share_R = singular_R.double() / total
    return float(torch.special.entr(share_R).sum().exp())


def participation_ratio(singular_R: Tensor) -> float:
    """How many directions share the variance: (sum of eigenvalues)^2 / sum of their squares; 0 where all are 0.

    >>> round(participation_ratio(torch.tensor([3.0, 3.0, 0.0])), 6)
    2.0
    """
    eigenvalue_R = singular_R.double().square()
    if float(eigenvalue_R.sum()) == 0.0:
        return 0.0
    eigenvalue_R = eigenvalue_R / eigenvalue_R.sum()
    return float(1.0 / eigenvalue_R.square().sum())


def collapse_verdict(measures: Mapping[str, float], reference: Mapping[str, float] | None, thresholds: CollapseThresholds) -> list[str]:
    """What speaks for a collapse, one sentence a finding; an empty list is a clean bill.

    Args:
        measures: From `collapse_measures`, now.
        reference: The same at the end of phase 1; None where there is none yet, then only a point or a non-finite cloud is found.
        thresholds: When to speak.

    Returns:
        The findings.

    >>> before = {"rankme": 40.0, "participation_ratio": 8.0, "mean_pairwise_cosine": 0.9, "mean_norm": 10.0}
    >>> before |= {"feature_std_across_samples": 0.5}
    >>> smaller_by_ten = before | {"feature_std_across_samples": 0.05, "mean_norm": 1.0}
    >>> collapse_verdict(smaller_by_ten, before, CollapseThresholds())
    []
    >>> collapse_verdict(before | {"rankme": 8.0}, before, CollapseThresholds())
    ['RankMe 8 is below 0.25 x the reference (40)']
    """
    if not all(isfinite(value) for value in measures.values()):
        broken = ", ".join(name for name, value in measures.items() if not isfinite(value))
        return [f"the latents are not finite ({broken})"]
    if measures["mean_norm"] == 0.0 or _relative_spread(measures) < thresholds.no_spread:
        return ["all latents are one point: their spread is zero"]
    if reference is None:
        return []
    compared = (
        ("RankMe", measures["rankme"], reference["rankme"], thresholds.rankme_fraction),
        ("participation ratio", measures["participation_ratio"], reference["participation_ratio"], thresholds.participation_ratio_fraction),
        ("std / norm", _relative_spread(measures), _relative_spread(reference), thresholds.relative_spread_fraction),
    )
    findings = [
        f"{name} {now:.3g} is below {fraction:g} x the reference ({before:.3g})"
        for name, now, before, fraction in compared
        if now < fraction * before
    ]
    cosine, cosine_before = measures["mean_pairwise_cosine"], reference["mean_pairwise_cosine"]
    if cosine > thresholds.pairwise_cosine and 1.0 - cosine < thresholds.cosine_gap_fraction * (1.0 - cosine_before):
        findings.append(f"mean pairwise cosine {cosine:.4f} is above {thresholds.pairwise_cosine:g} (reference {cosine_before:.4f})")
    return findings


def collapse_report(
    history: Sequence[Mapping[str, Any]], reference_phase: str, thresholds: CollapseThresholds | None = None
) -> dict[str, Any]:
    """The ``collapse`` section of ``metrics.json``: measures at the end of each phase, with the findings of each.

    Args:
        history: One ``{"phase": str, "step": int, "measures": dict}`` for each checkpoint, in the order of training.
        reference_phase: The phase whose end is the reference (phase 1); only the phases after it are held against it.
        thresholds: When to speak.

    Returns:
        ``{"reference_phase", "thresholds", "phases": [{"phase", "step", "measures", "findings"}], "findings"}``; the last are those
        of the last entry, ``reference_phase`` is None where the history lacks it, and so is a measure that is not finite.
    """
    thresholds = thresholds or CollapseThresholds()
    phases: list[dict[str, Any]] = []
    reference: Mapping[str, float] | None = None
    for entry in history:
        findings = collapse_verdict(entry["measures"], reference, thresholds)
        measures = {name: value if isfinite(value) else None for name, value in entry["measures"].items()}
        phases.append({"phase": entry["phase"], "step": entry["step"], "measures": measures, "findings": findings})
        if entry["phase"] == reference_phase:
            reference = entry["measures"]
    return {
        "reference_phase": None if reference is None else reference_phase,
        "thresholds": asdict(thresholds),
        "phases": phases,
        "findings": phases[-1]["findings"] if phases else [],
    }


def _relative_spread(measures: Mapping[str, float]) -> float:
    return measures["feature_std_across_samples"] / max(measures["mean_norm"], torch.finfo(torch.double).tiny)


def _chunks(latents_ND: Tensor) -> Iterator[Tensor]:
    for first in range(0, len(latents_ND), _ROWS):
        yield latents_ND[first : first + _ROWS].double()


def _column_mean(latents_ND: Tensor) -> Tensor:
    return torch.stack([chunk_ND.sum(dim=0) for chunk_ND in _chunks(latents_ND)]).sum(dim=0) / len(latents_ND)


def _std_within_stay(latents_ND: Tensor, stay_N: Tensor) -> float:
    stays, row_N, count_S = torch.unique(stay_N.to(latents_ND.device), return_inverse=True, return_counts=True)
    if not bool((count_S > 1).any()):
        return 0.0
    mean_SD = torch.zeros(len(stays), latents_ND.shape[1], dtype=torch.double, device=latents_ND.device)
    variance_SD = torch.zeros_like(mean_SD)
    for chunk_ND, chunk_row_N in zip(_chunks(latents_ND), torch.split(row_N, _ROWS), strict=True):
        mean_SD.index_add_(0, chunk_row_N, chunk_ND)
    mean_SD /= count_S[:, None]
    for chunk_ND, chunk_row_N in zip(_chunks(latents_ND), torch.split(row_N, _ROWS), strict=True):
        variance_SD.index_add_(0, chunk_row_N, (chunk_ND - mean_SD[chunk_row_N]).square())
    return float((variance_SD / count_S[:, None]).sqrt()[count_S > 1].mean())


def _mean_pairwise_cosine(latents_ND: Tensor) -> float:
    """Mean of u_i . u_j over i != j is (||sum u||^2 - n) / (n (n - 1)) for unit vectors u."""
    total_D = torch.zeros(latents_ND.shape[1], dtype=torch.double, device=latents_ND.device)
    n_vectors = 0
    for chunk_ND in _chunks(latents_ND):
        norm_N1 = torch.linalg.vector_norm(chunk_ND, dim=1, keepdim=True)
        n_vectors += int((norm_N1 != 0).sum())
        total_D += (chunk_ND / norm_N1.where(norm_N1 != 0, 1.0)).sum(dim=0)
    if n_vectors < 2:
        return 1.0
    return float((total_D.square().sum() - n_vectors) / (n_vectors * (n_vectors - 1)))
