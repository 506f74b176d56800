"""Tables of all arms and baselines, from the results that are there."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clin_jepa.atomic_file import write_atomically
from clin_jepa.evaluation.arms import arms_report
from clin_jepa.evaluation.classification import interval
from study.design import CANDIDATES, DATA, MAIN_ARMS, OTHER_ARMS, REFERENCE, VALIDATION, StudyData
from study.results import RESULTS, read_figures

PAGE = Path(__file__).parent.parent / "docs" / "study_tables.md"

Floats = NDArray[np.float64]
_FORMS = {"drift_percent": "+.0f", "mase": ".3f", "skill": "+.3f", "displacement": ".2f", "matched": ".2f"}


def write_up(data: Iterable[StudyData] = DATA, validation: Iterable[StudyData] = VALIDATION) -> None:
    """Write the tables, and all figures as JSON beside them."""
    figures: dict[str, Any] = {}
    parts = ["# The study: tables\n\nMade by `make study`; figures are means over seeds, with 95 % intervals over subjects.\n"]
    parts += _sections(data, figures)
    if found := _sections(validation, figures):
        about = "Stays of the splits that train and tune, none of which is held out above. By these alone the default recipe was chosen."
        parts += [f"# Candidates for the default recipe, on validation stays\n\n{about}\n", *found]
    write_atomically(PAGE, "\n".join(parts).rstrip() + "\n")
    write_atomically(PAGE.with_suffix(".json"), json.dumps(figures, indent=1) + "\n")
    print(f"written to {PAGE}")


def _sections(data: Iterable[StudyData], figures: dict[str, Any]) -> list[str]:
    """The tables of each data set that has results; adds its figures."""
    parts: list[str] = []
    for each in data:
        names = [f"{each.name}_fold{fold}" for fold in range(each.folds)] if each.folds > 1 else [each.name]
        found = [_of_data_set(name) for name in names]
        if not any(found):
            continue
        report = arms_report(_over_folds(found), REFERENCE.name)
        baselines = _mean_of(
            [read_figures(RESULTS / name / "baselines.npz") for name in names if (RESULTS / name / "baselines.npz").is_file()]
        )
        figures[each.name] = {
            "arms": report,
            "baselines": {key: [float(value[0]), interval(value[1:])] for key, value in baselines.items()},
        }
        parts.append(_section(each, report, baselines))
    return parts


def _of_data_set(name: str) -> dict[str, dict[int, dict[str, Floats]]]:
    """Figures by arm and seed."""
    found: dict[str, dict[int, dict[str, Floats]]] = {}
    for arm in dict.fromkeys(arm.name for arm in (*MAIN_ARMS, *OTHER_ARMS, *CANDIDATES)):
        for path in sorted((RESULTS / name).glob(f"{arm}_seed*.npz")):
            found.setdefault(arm, {})[int(path.stem.rpartition("_seed")[2])] = read_figures(path)
    return found


def _over_folds(found: list[dict[str, dict[int, dict[str, Floats]]]]) -> dict[str, dict[int, dict[str, Floats]]]:
    """Means over the folds that hold an arm and a seed; folds are drawn from apart, so a mean of draws is a draw of the mean."""
    arms = dict.fromkeys(arm for each in found for arm in each)
    return {
        arm: {seed: _mean_of([each[arm][seed] for each in found if seed in each.get(arm, {})]) for seed in _seeds(found, arm)}
        for arm in arms
    }


def _seeds(found: list[dict[str, dict[int, dict[str, Floats]]]], arm: str) -> list[int]:
    return sorted({seed for each in found for seed in each.get(arm, {})})


def _mean_of(figures: list[dict[str, Floats]]) -> dict[str, Floats]:
    names = dict.fromkeys(name for each in figures for name in each)
    return {name: np.nanmean([each[name] for each in figures if name in each], axis=0) for name in names}


def _section(data: StudyData, report: Mapping[str, Any], baselines: Mapping[str, Floats]) -> str:
    names = list(dict.fromkeys(name for content in report.values() for name in content["figures"]))
    lines = [f"## {data.name}\n"]
    for name in names:
        form = next((form for start, form in _FORMS.items() if name.startswith(start)), ".3f")
        lines += [
            f"### {name.replace('_', ' ')}\n",
            f"| arm | seeds | value | std over seeds | minus {REFERENCE.name} |",
            "|---|---|---|---|---|",
        ]
        for arm, content in report.items():
            if name in content["figures"]:
                figure = content["figures"][name]
                value = f"{_shown(figure['value'], form)} {_between(figure['ci95'], form)}"
                signed = form if form.startswith("+") else f"+{form}"
                difference = f"{_shown(figure['minus_reference'], signed)} {_between(figure['minus_reference_ci95'], signed)}"
                lines.append(f"| {arm} | {len(content['seeds'])} | {value} | {_shown(figure['seed_std'], form)} | {difference} |")
        for key, value_R in baselines.items():
            model, _, of = key.partition(" / ")
            if of == name:
                lines.append(f"| *{model}* | | {_shown(float(value_R[0]), form)} {_between(interval(value_R[1:]), form)} | | |")
        lines.append("")
    return "\n".join(lines)


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:{form}}"


def _between(pair: tuple[float, float] | list[float] | None, form: str) -> str:
    return "" if pair is None else f"({pair[0]:{form}} to {pair[1]:{form}})"
