"""Histograms of displacements: one panel each, shared axes where units are shared, nothing where nothing was measured."""

import re

import numpy as np
import polars as pl

from clin_jepa.evaluation.displacement_plots import plot_displacements


def windows(ratio: float, scale: float = 1.0, count: int = 300) -> pl.DataFrame:
    random = np.random.default_rng(0)
    is_worse_N = np.arange(count) % 3 == 0
    distance_N = scale * random.gamma(4.0, 0.25, count) * np.where(is_worse_N, ratio, 1.0)
    return pl.DataFrame({"is_worse": is_worse_N, "distance": distance_N})


def panels(html: str) -> list[str]:
    return re.findall(r"<figure>.*?</figure>", html, re.DOTALL)


def ticks(panel: str) -> list[str]:
    return re.findall(r">([\d.]+)</text>", panel)


def test_each_panel_has_its_name_and_its_medians() -> None:
    table = windows(2.0)
    html = plot_displacements({"latents": table, "raw <numbers>": windows(1.0)})
    worse, stable = (table.filter(pl.col("is_worse") == worse)["distance"].median() for worse in (True, False))
    assert f"latents<small>median: stable {stable:.3g}, deteriorating {worse:.3g}</small>" in html
    assert "raw &lt;numbers&gt;" in html
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(panels(html)) == 2 and len(ids) == len(set(ids)) and "http" not in html
    assert plot_displacements({"latents": table, "raw <numbers>": windows(1.0)}) == html


def test_panels_share_axes_only_where_they_share_units() -> None:
    tables = {"small": windows(1.5), "large": windows(3.0, scale=40.0)}
    own = panels(plot_displacements(tables))
    assert ticks(own[0]) != ticks(own[1])
    shared = panels(plot_displacements(tables, relative=True))
    assert ticks(shared[0]) == ticks(shared[1]) and all("median: stable 1," in panel for panel in shared)


def test_one_cohort_alone_is_drawn_and_no_window_is_not() -> None:
    stable = windows(1.0).filter(~pl.col("is_worse"))
    assert "deteriorating" not in panels(plot_displacements({"latents": stable}))[0]
    nothing = windows(1.0).with_columns(distance=pl.lit(None, dtype=pl.Float64))
    assert plot_displacements({"latents": nothing}) == ""
    assert len(panels(plot_displacements({"latents": stable, "tuned": nothing}))) == 1
    only_worse = windows(1.0).filter(pl.col("is_worse"))
    assert plot_displacements({"latents": only_worse}, relative=True) == ""
