"""The sections of a comparison's ``metrics.json``, made of the figures of its runs."""

# Shapes: R draws, H horizon hours. Row 0 of every [1 + R] is the figure itself, without a draw.

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clin_jepa.evaluation.arms import MEAN_AUROCS, Floats, arms_report, auroc_figures, figure_reports, mean_over_seeds
from clin_jepa.evaluation.bootstrap import interval
from clin_jepa.evaluation.run_figures import HOURLY, RiskFigures, RunFigures
from clin_jepa.evaluation.weighted import number_or_none

ByArm = Mapping[str, Mapping[int, RunFigures]]


def arms_section(by_arm: ByArm, reference: str) -> dict[str, Any]:
    """What is told of each arm.

    Args:
        by_arm: Figures of each seed of each arm.
        reference: The arm that the others are held against.

    Returns:
        By arm: what `arms_report` gives; ``by_hour``, each of `HOURLY` as ``value`` and ``ci95`` over the hours; ``other_forecasts``, the
        same of every other forecast in the arm's latents. All are means over seeds.
    """
    report = arms_report({arm: {seed: run.figures for seed, run in seeds.items()} for arm, seeds in by_arm.items()}, reference)
    for arm, seeds in by_arm.items():
        runs = list(seeds.values())
        report[arm]["by_hour"] = _hourly([run.by_hour for run in runs])
        report[arm]["other_forecasts"] = {
            forecast: _hourly([run.other_forecasts[forecast] for run in runs]) for forecast in runs[0].other_forecasts
        }
    return report


def baselines_section(
    baselines: Mapping[str, RiskFigures], of_untrained: Mapping[str, Mapping[str, Floats]], by_arm: ByArm, reference: str
) -> dict[str, Any]:
    """AUROC figures and displacement ratios of each baseline, as of an arm with one seed.

    Args:
        baselines: Risk models by name.
        of_untrained: Displacement ratios by name.
        by_arm: Figures of each seed of each arm.
        reference: The arm that baselines are held against.
    """
    of_reference = {0: mean_over_seeds([run.figures for run in by_arm[reference].values()])}
    figures = {model: auroc_figures(risk.metrics) for model, risk in baselines.items()}
    for name, of_name in of_untrained.items():
        figures[name] = {**figures.get(name, {}), **of_name}
    return {name: {"figures": figure_reports({0: of_name}, of_reference)} for name, of_name in figures.items()}


def tasks_section(tasks: Mapping[str, Any], by_arm: ByArm, baselines: Mapping[str, RiskFigures], reference: str) -> dict[str, Any]:
    """By task: its counts, and by arm and by baseline what `figure_report` gives for each metric; ``unavailable`` where it was not asked.

    Args:
        tasks: The section of a run's ``metrics.json``, for counts and reasons.
        by_arm: Figures of each seed of each arm.
        baselines: By name.
        reference: The arm that all are held against.
    """
    counts = ("n", "n_positive", "n_subjects", "prevalence")
    report: dict[str, Any] = {}
    for task, figures in tasks.items():
        if "unavailable" in figures:
            report[task] = {"unavailable": figures["unavailable"]}
            continue
        seeds = {arm: {seed: run.risk.metrics[task] for seed, run in of_arm.items()} for arm, of_arm in by_arm.items()}
        of_reference = seeds[reference]
        mean_of_reference = {0: mean_over_seeds(list(of_reference.values()))}
        report[task] = {
            **{name: figures[name] for name in counts},
            "prevalence_ci95": figures["ci95"].get("prevalence"),
            "arms": {arm: figure_reports(of_seeds, None if arm == reference else of_reference) for arm, of_seeds in seeds.items()},
            "baselines": {
                model: figure_reports({0: risk.metrics[task]}, mean_of_reference)
                for model, risk in baselines.items()
                if task in risk.metrics
            },
        }
    return report


def with_counts(report: dict[str, Any]) -> dict[str, Any]:
    """The report, each figure of an arm or a baseline with ``n``: windows, days, rows of its task, or tasks that a mean is of."""
    for content in (*report["arms"].values(), *report["baselines"].values()):
        for name, figure in content["figures"].items():
            figure["n"] = _count(name, report)
    return report


def _count(name: str, report: Mapping[str, Any]) -> int:
    if name.startswith("mean auroc"):
        asked = {task for task, figures in report["tasks"].items() if "unavailable" not in figures}
        return len(asked.intersection(MEAN_AUROCS[name.removeprefix("mean auroc, ")]))
    if name.startswith("auroc"):
        return int(report["tasks"][name.removeprefix("auroc ")]["n"])
    if "displacement" in name:
        return int(report["geometry"]["n_deteriorating"] + report["geometry"]["n_stable"])
    return int(report["n_windows"])


def _hourly(of_seeds: Sequence[Mapping[str, Floats]]) -> dict[str, Any]:
    """Each of `HOURLY` of one forecast, over its seeds."""
    return {name: _by_hour([of_seed[name] for of_seed in of_seeds]) for name in HOURLY}


def _by_hour(of_seeds: Sequence[Floats]) -> dict[str, Any]:
    value_RH = np.mean(of_seeds, axis=0)
    return {"value": _numbers(value_RH[0]), "ci95": [interval(drawn_R) for drawn_R in value_RH[1:].T]}


def _numbers(value_H: Floats) -> list[float | None]:
    return [number_or_none(value) for value in value_H]
