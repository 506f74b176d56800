"""The data sets side by side: the default against the published recipe, and the three claims with every arm and baseline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clin_jepa.atomic_file import write_atomically
from study.design import EVERY_ARM, RECOMMENDED, REFERENCE
from study.table_cells import (
    FIRST_SEED,
    baseline_rows,
    between,
    figure_named,
    form_of,
    marked,
    marked_difference,
    minus_reference,
    shown,
    table_head,
    table_row,
)

_TITLES = {"cinc_2012": "Challenge 2012", "cinc_2019": "Challenge 2019", "mimic_iv_demo": "MIMIC-IV demo"}
_ALL_TASKS = "mean auroc, all tasks"
# By claim: beginnings of the figures' names, the first of several horizons being the longest, and what they are called.
_CLAIMS = {
    "Rollouts converge": {"drift_percent": "drift, %", "mase": "MASE", "skill": "skill"},
    "Latents of deteriorating patients travel farther": {"displacement_ratio": "ratio", "matched_displacement_ratio": "matched"},
    "One backbone serves many risk tasks: mean AUROC": {
        "mean auroc, early events": "early events",
        "mean auroc, binary": "once a stay",
        _ALL_TASKS: "all tasks",
    },
}
_SUMMARY = {
    "drift_percent": "drift at the horizon, points",
    "mase": "MASE against copy-forward",
    "skill": "skill against the training mean",
    "displacement_ratio": "displacement of deteriorating patients",
    "matched_displacement_ratio": "the same, matched",
    _ALL_TASKS: "mean AUROC, all tasks",
}
_TRIVIAL = ("prevalence",)


def put_tables(page: Path, name: str, tables: str) -> None:
    """Put tables in place of those that a page has, between two comments.

    Args:
        page: Markdown with the two comments.
        name: Which tables they are, as the comments say.
        tables: What goes there.

    Raises:
        ValueError: If the comments are not there.
    """
    text = page.read_text(encoding="utf-8")
    first, last = (f"<!-- made by make study, {name}: {edge} -->" for edge in ("begin", "end"))
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not end:
        raise ValueError(f"{page} lacks the lines {first} and {last}, between which the tables belong: put them back")
    write_atomically(page, f"{before}{begin}\n\n{tables.strip()}\n\n{end}{after}")


def default_table(by_data: Mapping[str, Mapping[str, Any]]) -> str:
    """The recommended recipe minus the reference, by figure and data set, in Markdown.

    Args:
        by_data: By data set what `write_up` writes as JSON.
    """
    has_both = {data: content for data, content in by_data.items() if RECOMMENDED.name in content["arms"]}
    lines = table_head(f"{RECOMMENDED.name} minus {REFERENCE.name}", [_title(data, content) for data, content in has_both.items()])
    for start, called in _SUMMARY.items():
        lines.append(table_row(called, [_summary_cell(content, start) for content in has_both.values()]))
    best = [_minus_best_cell(content, _full_name(content, _ALL_TASKS)) for content in has_both.values()]
    lines.append(table_row(f"mean AUROC, all tasks: {RECOMMENDED.name} minus the best baseline", best))
    seeds = [str(len(content["arms"][RECOMMENDED.name]["seeds"])) for content in has_both.values()]
    return "\n".join([*lines, table_row("number of seeds", seeds)])


def seeds_table(by_data: Mapping[str, Mapping[str, Any]]) -> str:
    """The summary's figures of each training of arms that have several, in Markdown: a row an arm and data set.

    Args:
        by_data: By data set what `write_up` writes as JSON.
    """
    lines = table_head("arm", ["data", "seeds", *_SUMMARY.values()])
    for arm in [each.name for each in EVERY_ARM]:
        for data, content in by_data.items():
            of_seeds = content["arms"].get(arm, {}).get("by_seed", {})
            if len(of_seeds) > 1:
                names = [(_full_name(content, start) or start) for start in _SUMMARY]
                cells = [" / ".join(shown(figures.get(name), form_of(name)) for figures in of_seeds.values()) for name in names]
                lines.append(table_row(arm, [_title(data, content), " / ".join(of_seeds), *cells]))
    return "\n".join(lines)


def claims_tables(by_data: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables in Markdown: a claim each, a row for each arm and baseline; what is clearly better or worse than the reference is marked.

    Below them how many differences were looked at, and how many are marked.

    Args:
        by_data: By data set what `write_up` writes as JSON.
    """
    lines: list[str] = []
    looked_at: list[bool] = []
    for claim, figures in _CLAIMS.items():
        columns = [(data, content, *found) for data, content in by_data.items() for found in _columns(content, figures)]
        lines += [
            f"### {claim}\n",
            *table_head("arm", ["number of seeds", *(f"{_title(data, content)}: {name}" for data, content, _, name in columns)]),
        ]
        for arm in [each.name for each in EVERY_ARM if any(each.name in content["arms"] for content in by_data.values())]:
            seeds = ["-" if arm not in each["arms"] else str(len(each["arms"][arm]["seeds"])) for each in by_data.values()]
            lines.append(table_row(arm, [" / ".join(seeds), *(_arm_cell(content, arm, figure) for _, content, figure, _ in columns)]))
            if arm == REFERENCE.name and any(len(each["arms"][arm]["seeds"]) > 1 for each in by_data.values()):
                first = [_value_cell(content["first_seed_of_reference"].get(figure), figure) for _, content, figure, _ in columns]
                lines.append(table_row(FIRST_SEED, ["", *first]))
        lines += baseline_rows([(content["baselines"], figure) for _, content, figure, _ in columns], skipped=1, left_out=_TRIVIAL)
        minus_best = [_minus_best_cell(content, figure) for _, content, figure, _ in columns]
        if any(minus_best):
            lines.append(table_row(f"{RECOMMENDED.name} minus the best baseline", ["", *minus_best]))
        lines.append("")
        looked_at += [marked("", each, figure) != "" for _, content, figure, _ in columns for each in _differences(content, figure)]
    told = f"{len(looked_at)} differences stand in these tables, {sum(looked_at)} of them marked"
    return "\n".join([*lines, f"{told}; were all arms alike, some {len(looked_at) / 20:.0f} would be by chance."])


def _differences(content: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Those of a figure that the tables hold: of each arm to the reference, and of the recommended one to the best baseline."""
    found = [*(_minus_reference(content, arm, name) for arm in content["arms"]), _minus_best(content, name)]
    return [each for each in found if each is not None and each["value"] is not None]


def _minus_reference(content: Mapping[str, Any], arm: str, name: str) -> dict[str, Any] | None:
    """An arm's difference to the reference, which has none to itself."""
    return None if arm == REFERENCE.name else minus_reference(_figure(content, arm, name))


def _minus_best(content: Mapping[str, Any], name: str | None) -> dict[str, Any] | None:
    """The recommended arm's difference to the best baseline; None where no baseline has the figure."""
    found: dict[str, Any] | None = content["arms"].get(RECOMMENDED.name, {}).get("minus_best_baseline", {}).get(name)
    return found


def _figure(content: Mapping[str, Any], arm: str, name: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = content["arms"].get(arm, {}).get("figures", {}).get(name)
    return found


def _title(data: str, content: Mapping[str, Any]) -> str:
    return _TITLES.get(data, data) + ("" if content["current_design"] else " (earlier design)")


def _columns(content: Mapping[str, Any], figures: Mapping[str, str]) -> list[tuple[str, str]]:
    """Full name of each figure that the reference has, and what it is called."""
    found = [(_full_name(content, start), called) for start, called in figures.items()]
    return [(name, called) for name, called in found if name]


def _full_name(content: Mapping[str, Any], start: str) -> str | None:
    return figure_named(content["arms"][REFERENCE.name]["figures"], start)


def _summary_cell(content: Mapping[str, Any], start: str) -> str:
    name = _full_name(content, start) or start
    figure, difference = _figure(content, RECOMMENDED.name, name), _minus_reference(content, RECOMMENDED.name, name)
    if figure is None or difference is None:
        return "-"
    return f"{marked_difference(difference, name)}, {shown(figure['value'], form_of(name))}"


def _arm_cell(content: Mapping[str, Any], arm: str, name: str) -> str:
    return _value_cell(_figure(content, arm, name), name, _minus_reference(content, arm, name))


def _value_cell(figure: Mapping[str, Any] | None, name: str, difference: Mapping[str, Any] | None = None) -> str:
    if figure is None:
        return "-"
    form = form_of(name)
    return f"{marked(shown(figure['value'], form), difference, name)} {between(figure['ci95'], form)}"


def _minus_best_cell(content: Mapping[str, Any], name: str | None) -> str:
    """Empty where no baseline has the figure."""
    if name is not None and content["baselines_of_old"]:
        return "baselines to be measured again"
    found = _minus_best(content, name)
    return "" if found is None or name is None else f"{marked_difference(found, name)}, {found['baseline'].replace('_', ' ')}"
