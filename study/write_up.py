"""Tables of all arms and baselines, from the results that are there."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clin_jepa.atomic_file import write_atomically
from clin_jepa.evaluation.arms import arms_report, figure_report, mean_over_seeds
from clin_jepa.evaluation.bootstrap import interval
from clin_jepa.evaluation.weighted import number_or_none
from data_pipelines.labels import TASKS
from study.claims import claims_tables, default_table, put_tables, seeds_table
from study.design import DATA, EVERY_ARM, REFERENCE, SEEDS, VALIDATION, StudyData
from study.design_digest import design_of_result
from study.forest_plot import draw_forest
from study.results import CONTROL_NAMES, RAW_NUMBERS, RESULTS, are_current_baselines, failures, is_current, read_about, read_figures
from study.table_cells import (
    FIRST_SEED,
    baseline_rows,
    difference_cell,
    marked_difference,
    minus_reference,
    table_head,
    table_row,
    value_cell,
)

PAGE = Path(__file__).parent.parent / "docs" / "study_tables.md"

Floats = NDArray[np.float64]


def write_up(data: Iterable[StudyData] = DATA, validation: Iterable[StudyData] = VALIDATION) -> None:
    """Write the tables, and all figures as JSON beside them."""
    figures: dict[str, Any] = {}
    about = (
        "Made by `make study`. A figure is the mean over an arm's seeds, with its 95 % interval over subjects; `seeds` is the standard "
        "deviation over seeds. A difference is of the seeds that both arms have: in bold where its interval says better, with a dagger (†) "
        "where it says worse; where there are several seeds, an interval over seeds (Student's t) has to say so too. That of one training "
        "says how it does on other patients: what another seed would change is not in it. Many are shown, and by chance alone one in "
        "twenty excludes 0."
    )
    parts = [f"# The study: tables\n\n{about}\n"]
    parts += _sections(data, figures)
    held_out = dict(figures)
    if found := _sections(validation, figures):
        about = "Stays of the splits that train and tune, none of which is held out above. By these alone the default recipe was chosen."
        parts += [f"# Candidates for the default recipe, on validation stays\n\n{about}\n", *found]
    write_atomically(PAGE, "\n".join(parts).rstrip() + "\n")
    write_atomically(PAGE.with_suffix(".json"), json.dumps(figures, indent=1) + "\n")
    if held_out:
        study, readme = PAGE.with_name("study.md"), PAGE.parent.parent / "README.md"
        places = [(readme, "default", default_table), (study, "default", default_table)]
        places += [(study, "claims", claims_tables), (study, "seeds", seeds_table)]
        for page, name, table_of in places:
            if page.is_file():
                put_tables(page, name, table_of(held_out))
    print(f"written to {PAGE}")


def _sections(data: Iterable[StudyData], figures: dict[str, Any]) -> list[str]:
    """The tables of each data set that has results; adds its figures."""
    parts: list[str] = []
    for each in data:
        folder = RESULTS / each.name
        files, of_today = _files(each)
        if REFERENCE.name not in files:
            continue
        by_arm = {arm: {seed: read_figures(path) for seed, path in of_arm.items()} for arm, of_arm in files.items()}
        report = arms_report(by_arm, REFERENCE.name)
        baselines, of_old = _baselines(folder, each, of_today)
        behind = minus_best_baseline(by_arm, baselines)
        figures[each.name] = {
            "arms": {
                arm: {
                    **content,
                    "commits": _commits(files[arm].values()),
                    "minus_best_baseline": behind[arm],
                    "by_seed": _by_seed(by_arm[arm]),
                }
                for arm, content in report.items()
            },
            "baselines": {key: [number_or_none(value[0]), interval(value[1:])] for key, value in baselines.items()},
            "counts": read_about(min(files[REFERENCE.name].values())).get("counts", {}),
            "first_seed_of_reference": _first_seed(by_arm[REFERENCE.name]),
            "measured_on": read_about(folder / "baselines.npz").get("measured_on", {}),
            "baselines_of_old": of_old,
            "current_design": of_today,
            "failed": failures(folder),
        }
        parts.append(_section(each, figures[each.name]))
    return parts


def minus_best_baseline(
    by_arm: Mapping[str, Mapping[int, Mapping[str, Floats]]], baselines: Mapping[str, Floats]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Each arm's mean AUROCs minus those of the best baseline, paired by draw.

    Args:
        by_arm: Figures, ``[1 + R]`` each, of each seed of each arm.
        baselines: Theirs, ``[1 + R]``, by ``model / figure``, from the same draws.

    Returns:
        By arm and figure: ``baseline``, the one with the highest value, ``value``, ``ci95`` and ``seed_ci95`` of the difference. They are
        of this baseline: that the best of several was taken is not in it. Displacement ratios are held against those of the raw numbers.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {arm: {} for arm in by_arm}
    for arm, of_seeds in by_arm.items():
        for figure in mean_over_seeds(list(of_seeds.values())):
            models = CONTROL_NAMES.values() if figure.startswith("mean auroc") else (RAW_NUMBERS,) if "displacement" in figure else ()
            of_models = {model: baselines[f"{model} / {figure}"] for model in models if f"{model} / {figure}" in baselines}
            if of_models:
                best = max(of_models, key=lambda model: of_models[model][0])
                values = {seed: figures[figure] for seed, figures in of_seeds.items()}
                report = figure_report(values, dict.fromkeys(values, of_models[best]))
                found[arm][figure] = {"baseline": best, **(minus_reference(report) or {"value": None})}
    return found


def _baselines(folder: Path, data: StudyData, of_today: bool) -> tuple[dict[str, Floats], bool]:
    """Figures of the baselines, where they were measured with those of the arms, and whether there are others."""
    path = folder / "baselines.npz"
    if not path.is_file():
        return {}, False
    fit = are_current_baselines(path, design_of_result(data, REFERENCE, SEEDS[0])) == of_today
    return (read_figures(path) if fit else {}), not fit


def _files(data: StudyData) -> tuple[dict[str, dict[int, Path]], bool]:
    """Results by arm and seed, and whether they are of the current design: those that are, once the reference has one, else the others."""
    folder = RESULTS / data.name
    earlier: dict[str, dict[int, Path]] = {}
    current: dict[str, dict[int, Path]] = {}
    for arm in EVERY_ARM:
        for path in sorted(folder.glob(f"{arm.name}_seed*.npz")):
            seed = int(path.stem.rpartition("_seed")[2])
            (current if is_current(path, design_of_result(data, arm, seed)) else earlier).setdefault(arm.name, {})[seed] = path
    return (current, True) if REFERENCE.name in current else (earlier, False)


def _by_seed(of_seeds: Mapping[int, Mapping[str, Floats]]) -> dict[str, dict[str, float | None]]:
    """Each figure of each training, by seed, without intervals."""
    return {str(seed): {name: number_or_none(value[0]) for name, value in figures.items()} for seed, figures in sorted(of_seeds.items())}


def _first_seed(of_seeds: Mapping[int, Mapping[str, Floats]]) -> dict[str, Any]:
    """The reference's figures with the first seed alone, which is the only one of arms that are not main."""
    first = {seed: figures for seed, figures in of_seeds.items() if seed == SEEDS[0]}
    return dict(arms_report({REFERENCE.name: first}, REFERENCE.name)[REFERENCE.name]["figures"]) if first else {}


def _commits(paths: Iterable[Path]) -> list[str]:
    """The commits of the code that figures were made with, and the GPU where it was one."""
    abouts = [read_about(path) for path in paths]
    devices = [about.get("device", "cpu") for about in abouts]
    commits = [about.get("commit", "not named") for about in abouts]
    return sorted({commit if device == "cpu" else f"{commit} on {device}" for commit, device in zip(commits, devices, strict=True)})


def _section(data: StudyData, content: Mapping[str, Any]) -> str:
    """Tables: figures of each arm, their differences to the reference and to the best baseline, and AUROCs of each task."""
    arms, baselines = content["arms"], content["baselines"]
    names = list(dict.fromkeys(name for of_arm in arms.values() for name in of_arm["figures"]))
    by_task = {metric: [name for name in names if name.startswith(f"{metric} ")] for metric in ("auroc", "auprc", "brier")}
    main = [name for name in names if not any(name in of_metric for of_metric in by_task.values())]
    picture = draw_forest(data.name, _with_first_seed(content), baselines, PAGE.parent)
    lines = [f"## {data.name}\n", f"![Figures of each arm with 95 % intervals]({picture.name})\n"]
    if not content["current_design"]:
        lines.append("*Of an earlier design, in settings or in extraction: to be trained anew.*\n")
    if content["baselines_of_old"]:
        lines.append("*Baselines were measured as of old: `make study` measures them again.*\n")
    if content["measured_on"]:
        lines.append(f"Measured on {', '.join(f'{count:,} {what}' for what, count in content['measured_on'].items())}.\n")
    lines += table_head("arm", ["seeds", "commit", *main])
    for arm, of_arm in arms.items():
        cells = [value_cell(of_arm["figures"].get(name), name) for name in main]
        lines.append(table_row(arm, [", ".join(map(str, of_arm["seeds"])), ", ".join(of_arm["commits"]), *cells]))
    lines += baseline_rows([(baselines, name) for name in main], skipped=2)
    if others := [arm for arm in arms if arm != REFERENCE.name]:
        lines += [f"\nMinus {REFERENCE.name}, paired:\n", *table_head("arm", main)]
        lines += [table_row(arm, [difference_cell(arms[arm]["figures"].get(name), name) for name in main]) for arm in others]
    if best := {name: found["baseline"] for of_arm in arms.values() for name, found in of_arm["minus_best_baseline"].items()}:
        lines += ["\nMinus the best baseline, paired:\n", *table_head("arm", [f"{name}: {model}" for name, model in best.items()])]
        for arm, of_arm in arms.items():
            lines.append(table_row(arm, [marked_difference(of_arm["minus_best_baseline"].get(name), name) for name in best]))
    for metric in ("auroc", "auprc"):
        lines += _tasks(metric, by_task[metric], content)
    if missing := [task for task in TASKS if content["counts"] and task not in content["counts"]]:
        lines += [f"\nNot measured, for want of variables or of events: {', '.join(missing)}."]
    if content["failed"]:
        lines += ["\nWithout figures:\n", *(f"- `{name}`: {reason}" for name, reason in content["failed"].items())]
    return "\n".join([*lines, ""])


def _with_first_seed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The arms, after the reference its first seed alone where it has several."""
    reference, *others = content["arms"].items()
    first = {FIRST_SEED: {"figures": content["first_seed_of_reference"]}} if len(reference[1]["seeds"]) > 1 else {}
    return {**dict([reference]), **first, **dict(others)}


def _tasks(metric: str, names: Sequence[str], content: Mapping[str, Any]) -> list[str]:
    """A metric of each task, of arms and baselines; nothing where no arm has it."""
    if not names:
        return []
    tasks = [name.removeprefix(f"{metric} ") for name in names]
    known = [content["counts"].get(task) for task in tasks]
    lines = [f"\n{metric.upper()} of each task:\n", *table_head("model", tasks)]
    lines += (
        [table_row("*events of rows*", ["" if count is None else f"{count[1]} of {count[0]}" for count in known])] if any(known) else []
    )
    lines += [table_row(arm, [value_cell(of_arm["figures"].get(name), name) for name in names]) for arm, of_arm in content["arms"].items()]
    return lines + baseline_rows([(content["baselines"], name) for name in names])
