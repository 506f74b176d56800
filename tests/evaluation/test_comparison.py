"""What ``clinjepa compare`` writes: figures that follow from its predictions, curves that end where the tables say, one complete page."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.evaluation import compare
from clin_jepa.evaluation.arms import draw_subjects
from clin_jepa.evaluation.classification import METRICS, metrics
from clin_jepa.evaluation.model_names import TRUE_ACTIONS
from clin_jepa.evaluation.page import between
from clin_jepa.evaluation.predictions_file import SCHEMA, read_predictions, scored
from clin_jepa.evaluation.task_section import LABELS
from tests.evaluation.evaluated_folders import BASELINES, HORIZON, SPREAD, STAY_COUNTS, TASKS, hospital, write_run
from tests.training_runs import clinjepa

DRAWS = 40


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryStore:
    return hospital(tmp_path_factory.mktemp("hospital") / "store")


@pytest.fixture(scope="module")
def folders(store: TrajectoryStore, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of the arm full, and one each of two more; the baselines came with the last run."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        write_run(folder / "full_seed0", store, seed=0),
        write_run(folder / "full_seed1", store, seed=1),
        write_run(folder / "naive_seed0", store, seed=2, drift=2.0, horizon=4),
        write_run(folder / "lucky_seed0", store, seed=3, skill=2.5, baselines=True),
    ]


@pytest.fixture(scope="module")
def compared(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("compared")
    assert clinjepa("compare", *folders, "--output", output, "--draws", str(DRAWS)) == 0
    return output


@pytest.fixture(scope="module")
def report(compared: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((compared / "metrics.json").read_text())
    return content


@pytest.fixture(scope="module")
def page(compared: Path) -> str:
    return (compared / "report.html").read_text(encoding="utf-8")


def test_curves_begin_and_end_where_the_tables_say(report: dict[str, Any]) -> None:
    for arm in report["arms"].values():
        for name in ("drift_percent", "mase", "skill_vs_mean"):
            curve, figure = arm["by_hour"][name], arm["figures"][f"{name} {HORIZON} h"]
            assert len(curve["value"]) == HORIZON
            assert curve["value"][-1] == pytest.approx(figure["value"])
            assert curve["ci95"][-1] == pytest.approx(figure["ci95"])
        assert arm["by_hour"]["mase"]["value"][0] == pytest.approx(arm["figures"]["mase 1 h"]["value"])
        assert arm["by_hour"]["drift_percent"]["value"][0] == 0.0


def test_curves_are_those_of_the_evaluation(report: dict[str, Any], folders: list[Path]) -> None:
    drift = json.loads((folders[2] / "evaluation" / "metrics.json").read_text())["drift"]
    naive = report["arms"]["naive"]
    others = {"clin_jepa_last_action", "clin_jepa_no_action", "copy_forward", "training_mean", "linear"}
    assert naive["other_forecasts"].keys() == others == drift["models"].keys() - {TRUE_ACTIONS}
    for place, hour in enumerate(drift["horizons"]):
        for name in ("drift_percent", "mase", "skill_vs_mean", "l1_over_mad"):
            assert naive["by_hour"][name]["value"][hour - 1] == pytest.approx(drift[name][place], rel=1e-5)
            for forecast, figures in naive["other_forecasts"].items():
                expected = drift["models"][forecast][name][place]
                assert figures[name]["value"][hour - 1] == pytest.approx(expected, rel=1e-5, abs=1e-9)
                low, high = figures[name]["ci95"][hour - 1]
                assert low - 1e-6 <= expected <= high + 1e-6


def test_an_arm_is_the_mean_of_its_seeds(report: dict[str, Any], folders: list[Path]) -> None:
    seeds = [json.loads((folder / "evaluation" / "metrics.json").read_text()) for folder in folders[:2]]
    full = report["arms"]["full"]
    assert full["seeds"] == [0, 1]
    assert full["by_hour"]["l1_over_mad"]["value"][-1] == pytest.approx(np.mean([each["drift"]["l1"][-1] / SPREAD for each in seeds]))
    aurocs = [each["tasks"]["decompensation"]["auroc"] for each in seeds]
    figure = report["tasks"]["decompensation"]["arms"]["full"]["auroc"]
    assert figure["value"] == pytest.approx(np.mean(aurocs)) and figure["seed_std"] == pytest.approx(np.std(aurocs, ddof=1))


def test_every_figure_of_a_task_follows_from_the_predictions(report: dict[str, Any], compared: Path, store: TrajectoryStore) -> None:
    table = read_predictions(compared / "predictions.parquet")
    runs = {"full": ["full, seed 0", "full, seed 1"], "naive": ["naive, seed 2"], "lucky": ["lucky, seed 3"]}
    assert set(table["model"]) == {*(run for of_arm in runs.values() for run in of_arm), *BASELINES}
    assert dict(table.schema) == SCHEMA

    for task in TASKS:
        of_task = report["tasks"][task]
        assert set(of_task["arms"]) == set(runs) and set(of_task["baselines"]) == set(BASELINES)
        for section, models in (("arms", runs), ("baselines", {model: [model] for model in BASELINES})):
            for model, names in models.items():
                parts = [table.filter((pl.col("model") == name) & (pl.col("task") == task)) for name in names]
                assert {len(part) for part in parts} == {of_task["n"]}
                assert {part["label"].sum() for part in parts} == {of_task["n_positive"]}
                expected = [metrics(scored(part, store)) for part in parts]
                for metric in METRICS:
                    assert of_task[section][model][metric]["value"] == pytest.approx(np.mean([each[metric] for each in expected]))
        assert report["arms"]["naive"]["figures"][f"auroc {task}"]["value"] == of_task["arms"]["naive"]["auroc"]["value"]
        assert report["baselines"]["logistic"]["figures"][f"auroc {task}"]["value"] == of_task["baselines"]["logistic"]["auroc"]["value"]


def test_intervals_are_those_of_shared_draws_of_subjects(report: dict[str, Any], compared: Path, store: TrajectoryStore) -> None:
    table = read_predictions(compared / "predictions.parquet").filter(pl.col("task") == "decompensation")
    draws = draw_subjects(store.stays, DRAWS, seed=0)

    def drawn(model: str) -> np.ndarray:
        part = table.filter(pl.col("model") == model)
        given = part["label"].to_numpy(), part["score"].to_numpy()
        return np.array([average_precision_score(*given, sample_weight=weight_N) for weight_N in draws.weights(part["stay_id"])[1:]])

    full_R = (drawn("full, seed 0") + drawn("full, seed 1")) / 2
    found = report["tasks"]["decompensation"]
    assert found["arms"]["full"]["auprc"]["ci95"] == pytest.approx(np.percentile(full_R, [2.5, 97.5]))
    for section, model, name in (("arms", "naive", "naive, seed 2"), ("baselines", "lightgbm", "lightgbm")):
        expected = np.percentile(drawn(name) - full_R, [2.5, 97.5])
        assert found[section][model]["auprc"]["minus_reference_ci95"] == pytest.approx(expected)


def test_the_raw_numbers_are_held_beside_the_latents(report: dict[str, Any], page: str, folders: list[Path]) -> None:
    table = pl.read_parquet(folders[0] / "evaluation" / "displacements.parquet")
    mean = dict(table.group_by("is_worse").agg(pl.col("distance_raw").mean()).iter_rows())
    raw = report["baselines"]["raw_numbers"]["figures"]["displacement_ratio"]
    full = report["arms"]["full"]["figures"]["displacement_ratio"]["value"]
    assert raw["value"] == pytest.approx(mean[True] / mean[False])
    assert raw["minus_reference"] == pytest.approx(raw["value"] - full)
    assert "tuned_encoder" not in report["baselines"]
    geometry = page[page.index('id="geometry"') : page.index('id="tasks"')]
    assert geometry.count("Raw numbers, standardised") == 2  # plain and matched


def test_a_difference_of_several_seeds_has_an_interval_over_them(folders: list[Path], store: TrajectoryStore, tmp_path: Path) -> None:
    others = [write_run(tmp_path / f"other_seed{seed}", store, seed=seed, skill=2.0) for seed in (0, 1)]
    assert clinjepa("compare", *folders[:2], *others, "--output", tmp_path / "out", "--draws", "5") == 0
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    pair = content["arms"]["other"]["figures"]["mean auroc, all tasks"]["minus_reference_seed_ci95"]
    assert f"; seeds {between(pair, '+.3f')}</small>" in (tmp_path / "out" / "report.html").read_text()


def test_every_figure_has_its_count(report: dict[str, Any]) -> None:
    counts = {name: figure["n"] for name, figure in report["arms"]["full"]["figures"].items()}
    assert counts == {
        f"drift_percent {HORIZON} h": 30, f"mase {HORIZON} h": 30, f"skill_vs_mean {HORIZON} h": 30, "mase 1 h": 30,
        "displacement_ratio": 30, "matched_displacement_ratio": 30, "auroc hospital_mortality": 30, "auroc decompensation": 90,
        "mean auroc, early events": 1, "mean auroc, binary": 1, "mean auroc, all tasks": 2,
    }  # fmt: skip


def test_the_best_of_a_task_is_bold(page: str, report: dict[str, Any]) -> None:
    card = page[page.index("Hospital mortality: 30 rows of 30 subjects") :]
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">([^<]*)</th>(.*?)</tr>", card[: card.index("</table>")])
    assert [name for name, _ in rows[:3]] == ["full", "naive", "lucky"] and len(rows) == 3 + len(BASELINES)
    for place, (metric, sign) in enumerate((("auroc", 1), ("auprc", 1), ("brier", -1), ("ece", -1))):
        cells = {name: re.findall(r"<td>(.*?)</td>", cells)[place] for name, cells in rows}
        bold = [name for name, cell in cells.items() if "<strong>" in cell]
        task = report["tasks"]["hospital_mortality"]
        known = task["arms"] | {LABELS[model]: task["baselines"][model] for model in ("logistic", "lightgbm")}
        assert bold == [max(known, key=lambda name: sign * known[name][metric]["value"])]
    assert "<strong>" not in dict(rows)["Prevalence"]


def test_the_page_is_self_contained_and_tells_of_no_patient(page: str, store: TrajectoryStore) -> None:
    assert "http" not in page
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)", page)
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    references = re.findall(r'(?:href="#|url\(#)([^")]*)', page)
    assert {"forecasts", "tasks", "cohort"} <= set(references) <= set(ids)
    assert "nan" not in page.lower().replace("lightgbm on six summaries", "")
    for text in ("t=3h", "age: 60 years", *map(str, store.stays["stay_id"])):
        assert not re.search(rf"\b{text}\b", page)


def test_the_page_shows_every_arm_every_curve_and_what_differs(page: str) -> None:
    for panel in ("ROC", "Precision and recall", "Reliability"):
        assert page.count(f"<figcaption>{panel}</figcaption>") == 2 * len(TASKS)
    for name in ("drift_percent", "mase", "skill_vs_mean", "l1_over_mad"):
        assert f'id="by-hour-{name}-figure_1"' in page
    for arm in ("full", "naive", "lucky"):
        assert f"<figcaption>{arm}<small>median: stable 1, deteriorating" in page
    differ = page[page.index("Settings that differ") : page.index("<summary>Runs")]
    assert "model.<wbr>horizon" in differ and "<td>4</td><td>naive</td>" in differ and "<td>2</td><td>full; lucky</td>" in differ
    assert "seed_everything" not in differ and "<td>2.13.0</td><td>all</td>" in page
    assert "not available: needs sepsis-3" in page


def test_the_flow_from_the_source_to_the_rows_adds_up(report: dict[str, Any], page: str) -> None:
    flow = report["cohort"]
    assert flow["source"] == flow["kept"] + sum(rule["n"] for rule in flow["excluded"]) == STAY_COUNTS["in"]
    assert flow["kept"] == flow["elsewhere"] + sum(split["stays"] for split in flow["splits"])
    assert [split["split"] for split in flow["splits"]] == ["train", "held_out"]
    evaluated = flow["evaluated"]
    assert (evaluated["forecasts"]["windows"], evaluated["forecasts"]["stays"]) == (report["n_windows"], report["n_stays"])
    assert evaluated["days"]["deteriorating"] + evaluated["days"]["stable"] == report["arms"]["full"]["figures"]["displacement_ratio"]["n"]
    assert {task["task"]: task["rows"] for task in evaluated["tasks"]} == {task: report["tasks"][task]["n"] for task in TASKS}
    assert "<strong>20</strong> stays excluded, because" in page and "15: it is shorter than 6 hours" in page


def test_the_reference_comes_first_and_the_highlighted_are_in_colour(folders: list[Path], tmp_path: Path) -> None:
    words = ("--output", tmp_path, "--draws", "5", "--reference", "naive", "--highlight", '["lucky"]')
    assert clinjepa("compare", *folders, *words) == 0
    assert list(json.loads((tmp_path / "metrics.json").read_text())["arms"]) == ["naive", "full", "lucky"]
    page = (tmp_path / "report.html").read_text()
    assert re.search(r'stroke="currentColor"[^>]*/></svg>naive \(reference\)', page)
    assert re.search(r'stroke="#2f7de1"[^>]*/></svg>lucky', page) and "other arms: full" in page


def test_what_cannot_be_told_apart_is_refused(folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clinjepa("compare", folders[0], f"full={folders[0]}", "--output", tmp_path) == 2
    assert "are both full, seed 0: name their arms apart" in capsys.readouterr().err
    assert clinjepa("compare", *folders, "--output", tmp_path, "--highlight", '["published"]') == 2
    assert "--highlight published: no run is of that arm; there are full, naive, lucky" in capsys.readouterr().err
    assert clinjepa("compare", *folders, "--output", tmp_path, "--highlight", json.dumps(["full"] * 7)) == 2
    assert "more than 6 colours are not told apart" in capsys.readouterr().err


def test_files_of_two_comparisons_never_stand_side_by_side(folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--output", tmp_path, "--draws", "5")
    assert clinjepa("compare", *folders, *words) == 0

    def killed(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "_write_predictions", killed)
    assert clinjepa("compare", folders[0], *words) != 0
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.parquet"]


def test_a_store_elsewhere_is_named(
    store: TrajectoryStore, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", store)
    config = (run / "config.yaml").read_text().replace(str(store.path), str(tmp_path / "gone"))
    (run / "config.yaml").write_text(config)
    assert clinjepa("compare", run, "--output", tmp_path / "out") == 2
    assert "name it with --store" in capsys.readouterr().err
    assert clinjepa("compare", run, "--output", tmp_path / "out", "--draws", "5", "--store", store.path) == 0

    other = hospital(tmp_path_factory.mktemp("other") / "store")
    about = other.dataset | {"content_hash": "something else"}
    (other.path / "dataset.json").write_text(json.dumps(about))
    assert clinjepa("compare", run, "--output", tmp_path / "out", "--store", other.path) == 2
    assert "was evaluated on another store" in capsys.readouterr().err
