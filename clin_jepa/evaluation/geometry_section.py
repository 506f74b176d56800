"""The report's section on latent geometry, as the template needs it."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from markupsafe import Markup

from clin_jepa.evaluation.displacement_plots import plot_displacements
from clin_jepa.evaluation.geometry import Geometry
from clin_jepa.evaluation.latent_map import FEWEST, plot_latent_map
from clin_jepa.evaluation.task_section import cell

_ENCODERS = (
    ("Clin-JEPA latents", "distance", None),
    ("Latents of the encoder as tuned, before the curriculum", "distance_tuned", "tuned_encoder"),
    ("Raw numbers, standardised", "distance_raw", "raw_features"),
)


def geometry_section(metrics: Mapping[str, Any], measured: Geometry | None) -> dict[str, Any] | None:
    """Rows of the displacement table, with pictures; None where geometry was not measured.

    Args:
        metrics: The content of ``metrics.json``.
        measured: What its figures are made of; without it there is no picture.
    """
    geometry = metrics.get("geometry")
    if not geometry:
        return None
    if "unavailable" in geometry:
        return {"unavailable": geometry["unavailable"]}
    sections = [(name, geometry if key is None else geometry[key]) for name, _, key in _ENCODERS]
    content = {
        "unavailable": None,
        "rows": [
            {
                "name": name,
                "cells": [cell(figures, figure, ".2f") for figure in ("ratio", "matched_ratio", "null_ratio", "matched_null_ratio")],
            }
            for name, figures in sections
            if "unavailable" not in figures
        ],
        "missing": [(name, figures["unavailable"]) for name, figures in sections if "unavailable" in figures],
        "n_deteriorating": geometry["n_deteriorating"],
        "n_stable": geometry["n_stable"],
        "n_stays": geometry["n_stays"],
        "criteria": ", ".join(f"{name} {count}" for name, count in geometry.get("n_by_criterion", {}).items()),
        "fewest": FEWEST,
    }
    if measured is not None:
        table = measured.displacements
        tables = {
            name: table.select("is_worse", distance=pl.col(column))
            for name, column, _ in _ENCODERS
            if table[column].null_count() < len(table)
        }
        content["histograms"] = Markup(plot_displacements(tables))
        drawn = plot_latent_map(measured.first_ND, measured.last_ND, table["is_worse"].to_numpy().astype(bool))
        content["map"] = None if drawn is None else Markup(drawn)
    return content
