"""From the stays of a source to the rows of every figure: the cohort flow of a clinical paper (STROBE, item 13)."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from clin_jepa.evaluation.page import render_page
from clin_jepa.evaluation.task_section import task_title
from data_pipelines.cohort_rules import RULES

_ORDER = ("train", "tuning", "held_out")


def cohort_flow(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of every step, as plain values; None or an empty list where a store or an evaluation lacks a step.

    Args:
        metrics: The content of ``metrics.json``. ``dataset["stay_counts"]`` may hold the stays that the extraction met, kept and dropped:
            ``{"in": n, "kept": n, "dropped": {rule: n}}``.

    Returns:
        - ``source``: stays that the extraction met; ``excluded``: ``reason`` and ``n`` of each rule that dropped some; ``kept``: the rest.
        - ``elsewhere``: stays that were kept and are in none of the splits.
        - ``splits``: ``split``, ``stays``, ``windows`` and ``hours`` of each.
        - ``evaluated``: the ``split``; its ``forecasts`` (``windows``, ``stays``, ``context_hours``, ``horizon_hours``); ``days`` of its
          geometry (``deteriorating``, ``stable``, ``stays``, or ``unavailable``); ``tasks`` (``task``, ``rows``, ``subjects``,
          ``events``); ``not_asked`` (``task``, ``reason``).
    """
    dataset, counts = metrics["dataset"], metrics["dataset"].get("stay_counts") or {}
    splits = dataset.get("splits") or {}
    in_splits = sum(of_split["stays"] for of_split in splits.values())
    kept = counts.get("kept")
    return {
        "source": counts.get("in"),
        "excluded": [{"reason": reason, "n": n} for reason, n in sorted(counts.get("dropped", {}).items(), key=lambda item: -item[1]) if n],
        "kept": kept if kept is not None else in_splits or None,
        "elsewhere": kept - in_splits if kept is not None and splits else None,
        "splits": [{"split": split, **splits[split]} for split in sorted(splits, key=_place)],
        "evaluated": _evaluated(metrics),
    }


def cohort_flow_html(flow: Mapping[str, Any]) -> Markup:
    """The flow as nested boxes, readable on a narrow page; `page.css` draws their lines.

    Args:
        flow: From `cohort_flow`.
    """
    names = {**{of_task["task"]: task_title(of_task["task"]) for key in ("tasks", "not_asked") for of_task in flow["evaluated"][key]}}
    reasons = {rule["reason"]: RULES.get(rule["reason"], rule["reason"].replace("_", " ")) for rule in flow["excluded"]}
    return Markup(render_page("cohort_flow.html.j2", {"flow": flow, "names": names, "reasons": reasons}))


def _place(split: str) -> tuple[int, str]:
    return (_ORDER.index(split) if split in _ORDER else len(_ORDER), split)


def _evaluated(metrics: Mapping[str, Any]) -> dict[str, Any]:
    drift, tasks = metrics["drift"], metrics.get("tasks", {})
    return {
        "split": metrics["run"]["split"],
        "forecasts": {
            "windows": drift["n_windows"],
            "stays": drift["n_stays"],
            "context_hours": drift["context_hours"],
            "horizon_hours": drift["horizon_hours"],
        },
        "days": _days(metrics.get("geometry")),
        "tasks": [
            {"task": task, "rows": figures["n"], "subjects": figures["n_subjects"], "events": figures["n_positive"]}
            for task, figures in tasks.items()
            if "unavailable" not in figures
        ],
        "not_asked": [{"task": task, "reason": figures["unavailable"]} for task, figures in tasks.items() if "unavailable" in figures],
    }


def _days(geometry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not geometry or "unavailable" in geometry:
        return dict(geometry) if geometry else None
    return {"deteriorating": geometry["n_deteriorating"], "stable": geometry["n_stable"], "stays": geometry["n_stays"]}
