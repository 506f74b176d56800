"""The page of ``clinjepa compare``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from clin_jepa.atomic_file import write_atomically
from clin_jepa.evaluation.arm_lines import Line, arm_lines, legend
from clin_jepa.evaluation.cohort_flow import cohort_flow_html
from clin_jepa.evaluation.comparison import ByArm
from clin_jepa.evaluation.comparison_plots import PANELS, SIMPLE_LINES, plot_by_hour, plot_risk
from clin_jepa.evaluation.comparison_tables import figure_names, figure_table, overview, task_overview, task_table
from clin_jepa.evaluation.displacement_plots import plot_displacements
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN
from clin_jepa.evaluation.page import render_page
from clin_jepa.evaluation.risk_curves import RiskCurves, mean_curves
from clin_jepa.evaluation.run_figures import RiskFigures
from clin_jepa.evaluation.run_settings import arms_of_runs, differing, setting_rows
from clin_jepa.evaluation.task_plots import COLOURS
from clin_jepa.evaluation.task_section import LABELS, task_title

# Figure, title, what it means, and the value that is neither better nor worse.
_PLOTS = (
    ("drift_percent", "Drift, %", "Growth of the error since the first forecast hour. 0 is none.", 0.0),
    ("mase", "MASE", "Error relative to copy-forward, which is 1. Below is better.", 1.0),
    ("skill_vs_mean", "Skill", "Share of the training mean's error that is gained. Above 0 is better.", 0.0),
    ("l1_over_mad", "L1 / mean absolute deviation", "Error in units of the latents' own spread.", None),
)
# Of more arms, tables of single figures are folded.
_FEW_ARMS = 6


def write_comparison(
    report: Mapping[str, Any], by_arm: ByArm, baselines: Mapping[str, RiskFigures], output: Path, highlight: Sequence[str] = ()
) -> Path:
    """Write the page in one step.

    Args:
        report: The content of the comparison's ``metrics.json``.
        by_arm: What it was made of, for curves and histograms.
        baselines: The same of the baselines.
        output: The file.
        highlight: Arms in colour; by default the first ones.
    """
    lines = arm_lines(list(report["arms"]), report["reference"], highlight)
    tables = {name: figure_table(report, name) for name in figure_names(report)}
    content = {
        "report": report,
        "seeds": _seeds(report),
        "overview": overview(report),
        "unfolded": len(report["arms"]) <= _FEW_ARMS,
        "legend": legend([*_reference_first(lines), *SIMPLE_LINES.values()]),
        "plots": [_plot(report, lines, *plot) for plot in _PLOTS],
        "hourly_tables": [table for name, table in tables.items() if not ("displacement" in name or name.startswith("mean auroc"))],
        "geometry_tables": [table for name, table in tables.items() if "displacement" in name],
        "histograms": Markup(plot_displacements(_displacements(by_arm), relative=True)),
        "auroc_tables": [table for name, table in tables.items() if name.startswith("mean auroc")],
        "tasks": task_overview(report),
        "cards": [_task_card(report, task, by_arm, baselines, lines) for task in report["tasks"] if _is_asked(report, task)],
        "not_asked": [(task_title(task), figures["unavailable"]) for task, figures in report["tasks"].items() if "unavailable" in figures],
        "flow": cohort_flow_html(report["cohort"]),
        "differing": _by_value(report, "settings", differing(report["settings"])),
        "settings": _by_value(report, "settings", list(report["settings"])),
        "versions": _by_value(report, "versions", list(report["versions"])),
        "dataset": setting_rows({key: value for key, value in report["dataset"].items() if key not in ("splits", "stay_counts")}),
    }
    return write_atomically(output, render_page("comparison.html.j2", content))


def _seeds(report: Mapping[str, Any]) -> str:
    counts = {arm: len(of_arm["seeds"]) for arm, of_arm in report["arms"].items()}
    words = {arm: f"{count} seed{'s' if count > 1 else ''}" for arm, count in counts.items()}
    if len(counts) > 1 and len(set(counts.values())) == 1:
        return f"{', '.join(counts)}: {next(iter(words.values()))} each"
    return "; ".join(f"{arm}: {seeds}" for arm, seeds in words.items())


def _reference_first(lines: Mapping[str, Line]) -> list[Line]:
    *others, reference = lines.values()
    return [reference, *others]


def _is_asked(report: Mapping[str, Any], task: str) -> bool:
    return "unavailable" not in report["tasks"][task]


def _plot(
    report: Mapping[str, Any], lines: Mapping[str, Line], figure: str, title: str, meaning: str, even: float | None
) -> dict[str, Any]:
    forecasts = report["arms"][report["reference"]]["other_forecasts"]
    simple = {name: forecasts[name][figure]["value"] for name in (COPY_FORWARD, TRAINING_MEAN)}
    return {"title": title, "meaning": meaning, "svg": Markup(plot_by_hour(report["arms"], lines, simple, figure, title, even))}


def _displacements(by_arm: ByArm) -> dict[str, pl.DataFrame]:
    """The windows of all seeds of each arm, each seed in units of its own median stable window."""
    return {arm: pl.concat([run.displacements for run in seeds.values()]) for arm, seeds in by_arm.items()}


def _task_card(
    report: Mapping[str, Any], task: str, by_arm: ByArm, baselines: Mapping[str, RiskFigures], lines: Mapping[str, Line]
) -> dict[str, Any]:
    figures, reference = report["tasks"][task], report["reference"]
    of_arms = {arm: mean_curves([run.risk.curves[task] for run in seeds.values()]) for arm, seeds in by_arm.items()}
    of_baselines = {model: risk.curves[task] for model, risk in baselines.items() if model in COLOURS and task in risk.curves}
    rows = [_panels("Arms", f"{task}-arms", of_arms, lines, figures["prevalence"])]
    if of_baselines:
        drawn = {**{model: Line(LABELS[model], COLOURS[model], "--") for model in of_baselines}, "the reference": lines[reference]}
        curves = {**of_baselines, "the reference": of_arms[reference]}
        rows.append(_panels("Baselines, and the reference", f"{task}-baselines", curves, drawn, figures["prevalence"]))
    return {
        "title": task_title(task),
        "about": f"{figures['n']:,} rows of {figures['n_subjects']:,} subjects, {figures['n_positive']:,} of them events "
        f"({100 * figures['prevalence']:.1f} %)",
        "table": task_table(report, task),
        "panel_rows": rows,
    }


def _panels(title: str, name: str, curves: Mapping[str, RiskCurves], lines: Mapping[str, Line], prevalence: float) -> dict[str, Any]:
    svgs = [(caption, Markup(plot_risk(panel, curves, lines, prevalence, name))) for panel, caption in PANELS.items()]
    return {"title": title, "legend": legend(_reference_first(lines)), "panels": svgs}


def _by_value(report: Mapping[str, Any], section: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Settings by name, each value with the arms that have it; of many arms the most are "all others"."""
    runs_of_arm: dict[str, list[str]] = {}
    for run, about in report["runs"].items():
        runs_of_arm.setdefault(about["arm"], []).append(run)
    found = []
    for name in names:
        by_value = report[section][name]
        words = {value: arms_of_runs(runs, runs_of_arm) for value, runs in by_value.items()}
        if len(words) > 1 and len(runs_of_arm) > _FEW_ARMS:
            words[max(by_value, key=lambda value: len(by_value[value]))] = "all others"
        found.append({"name": name, "values": list(words.items())})
    return found
