"""A picture of the latents: UMAP of the beginning and the end of deteriorating and of stable days. It proves nothing; figures do."""

# Shapes: N windows, D features.

import warnings

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clin_jepa.evaluation.displacement import Floats
from clin_jepa.evaluation.displacement_plots import COLOURS
from clin_jepa.evaluation.inline_svg import INK, STYLE, inline_svg

# Fewer windows make no map; more make a slow page.
FEWEST, _MOST = 30, 1500
_PATHS = 60


def plot_latent_map(first_ND: Floats, last_ND: Floats, is_worse_N: NDArray[np.bool_], seed: int = 0) -> str | None:
    """Two panels of one map: where days begin and end, and the ways of a few.

    Args:
        first_ND: Mean latent of the first hours of each window, ``[N, D]``.
        last_ND: Of its last hours, ``[N, D]``.
        is_worse_N: Whether the patient deteriorates; else stays stable, ``[N]`` bool.
        seed: Of the windows that are drawn where there are many, and of the map.

    Returns:
        An ``<svg>`` element; None where there are too few windows.
    """
    if len(first_ND) < FEWEST:
        return None
    chosen = np.sort(np.random.default_rng(seed).permutation(len(first_ND))[:_MOST])
    first_ND, last_ND, is_worse_N = first_ND[chosen], last_ND[chosen], is_worse_N[chosen]
    begin_N2, end_N2 = np.split(_map(np.concatenate([first_ND, last_ND]), seed), 2)
    with mpl.rc_context({**STYLE, "svg.hashsalt": "map"}):
        plot = Figure(figsize=(8.6, 4.0), dpi=160, layout="constrained")
        points, ways = plot.subplots(1, 2, sharex=True, sharey=True)
        # Deteriorating days lie on top: they are fewer.
        for worse in (False, True):
            colour, mine = COLOURS[worse], is_worse_N == worse
            both_N2 = np.concatenate([begin_N2[mine], end_N2[mine]])
            points.scatter(*both_N2.T, s=5, color=colour, alpha=0.55, linewidths=0, rasterized=True)
            few = np.flatnonzero(mine)[:_PATHS]
            ways.add_collection(LineCollection(list(np.stack([begin_N2, end_N2], axis=1)[few]), colors=colour, linewidths=1.0, alpha=0.7))
            ways.scatter(*end_N2[few].T, s=10, color=colour, linewidths=0)
        for axes, title in (
            (points, "begin and end of each day"),
            (ways, f"the way of up to {_PATHS} days of each kind, a dot at the end"),
        ):
            axes.set_title(title, fontsize=10)
            axes.set_xticks([])
            axes.set_yticks([])
            for side in axes.spines.values():
                side.set_visible(True)
                side.set_edgecolor(INK)
                side.set_alpha(0.2)
        return inline_svg(plot, "map", "UMAP of the latents of deteriorating and of stable days")


def _map(latent_ND: Floats, seed: int) -> Floats:
    # Numba, below UMAP, sets the number of threads of the whole process.
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Slow to import, and needed here only.
            from umap import UMAP

            umap = UMAP(n_neighbors=min(30, len(latent_ND) - 1), min_dist=0.3, random_state=seed, n_jobs=1)
            placed: Floats = umap.fit_transform(latent_ND)
    finally:
        torch.set_num_threads(threads)
    return placed
