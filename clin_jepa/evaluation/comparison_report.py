"""The page of ``clinjepa compare``: a table of arms by figure, with intervals and paired differences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clin_jepa.atomic_file import write_atomically
from clin_jepa.evaluation.page import between, render_page, shown
from clin_jepa.evaluation.report import flatten
from clin_jepa.evaluation.task_section import LABELS

# Whether more is better, how a figure reads, and a sentence on it; by how the figure's name begins.
_FIGURES: tuple[tuple[str, bool, str, str], ...] = (
    ("drift_percent", False, "+.1f", "Growth of the rollout's error since its first hour, %. Read it with MASE and skill."),
    ("mase", False, ".3f", "Rollout error relative to copying the last true state forward. Below 1 is better than copying."),
    ("skill_vs_mean", True, "+.3f", "Share of the training mean's error that is gained."),
    ("displacement_ratio", True, ".2f", "Latent displacement within a day, deteriorating over stable patients."),
    ("matched_displacement_ratio", True, ".2f", "The same at equal counts of measurements."),
    ("mean auroc", True, ".3f", "Mean AUROC of the tasks that the store can tell."),
    ("auroc", True, ".3f", "AUROC of a probe on the frozen backbone."),
)


def write_comparison(report: Mapping[str, Any], output: Path) -> Path:
    """Write the page in one step.

    Args:
        report: The content of the comparison's ``metrics.json``.
        output: The file.
    """
    content = {
        "report": report,
        "tables": [_table(report, name) for name in _names(report)],
        "arms": [(arm, len(of_arm["seeds"])) for arm, of_arm in report["arms"].items()],
        "dataset": flatten({key: value for key, value in report["dataset"].items() if key != "splits"}),
    }
    return write_atomically(output, render_page("comparison.html.j2", content))


def _names(report: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for content in report["arms"].values() for name in content["figures"]))


def _table(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    _, more_is_better, form, meaning = next(entry for entry in _FIGURES if name.startswith(entry[0]))
    values = [content["figures"][name]["value"] for content in report["arms"].values() if name in content["figures"]]
    known = [value for value in values if value is not None]
    best = (max if more_is_better else min)(known, default=None)
    rows = [_row(arm, content["figures"][name], best, form) for arm, content in report["arms"].items() if name in content["figures"]]
    task = name.removeprefix("auroc ")
    baselines = [
        {"arm": LABELS.get(model, model), "value": shown(of_task[task]["value"], form), "interval": _between(of_task[task]["ci95"], form)}
        for model, of_task in report["baselines"].items()
        if name.startswith("auroc ") and task in of_task
    ]
    return {"title": name.replace("_", " "), "meaning": meaning, "rows": rows, "baselines": baselines}


def _row(arm: str, figure: Mapping[str, Any], best: float | None, form: str) -> dict[str, Any]:
    signed = form if form.startswith("+") else f"+{form}"
    return {
        "arm": arm,
        "value": shown(figure["value"], form),
        "best": figure["value"] is not None and figure["value"] == best,
        "interval": _between(figure["ci95"], form),
        "seeds": shown(figure["seed_std"], form.lstrip("+")),
        "difference": shown(figure["minus_reference"], signed),
        "difference_interval": _between(figure["minus_reference_ci95"], signed),
    }


def _between(pair: list[float] | None, form: str) -> str:
    return "" if pair is None else between(pair, form)
