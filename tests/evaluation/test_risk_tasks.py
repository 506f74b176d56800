"""``clinjepa evaluate`` on risk tasks: figures, rows, interruption, and tasks that cannot be asked."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from clin_jepa.evaluation import risk_tasks
from clin_jepa.evaluation.bootstrap import interval
from clin_jepa.evaluation.classification import Scored, drawn_metrics
from clin_jepa.evaluation.finished_run import open_run
from clin_jepa.evaluation.numeric_grid import read_grid
from clin_jepa.evaluation.predictions_file import SCHEMA, read_predictions
from clin_jepa.evaluation.risk_models import BACKBONE, MODELS, TUNED, Prevalence
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.task_rows import TaskRows, task_rows, why_not
from clin_jepa.evaluation.tuned_encoder import encoder_as_tuned
from tests.evaluation.written_store import WrittenStay, write_store
from tests.training_runs import Run, clinjepa, curriculum

TASK = "decompensation"


def labelled_store(folder: Path) -> Path:
    """Stays of which those with a high heart rate decompensate; their subjects are spread over the splits."""
    stays = []
    for number in range(1, 31):
        split = "train" if number <= 18 else "tuning" if number <= 24 else "held_out"
        ill = number % 3 == 0
        heart_rate = dict.fromkeys(range(10), 120.0 + number % 5 if ill else 70.0 + number % 7)
        labels = {TASK: dict.fromkeys(range(4, 10), ill), "sepsis": {9: False}}
        stays.append(WrittenStay(number, 10, split, {"heart_rate": heart_rate}, labels=labels))
    write_store(folder, stays)
    return folder


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Any], pl.DataFrame]:
    folder = tmp_path_factory.mktemp("risk_tasks")
    run = Run(labelled_store(folder / "store"), folder / "run")
    assert run.fit(curriculum()) == 0
    words = ("--context_hours", "4", "--horizon_hours", "4", "--minimum_windows", "2", "--draws", "50")
    assert clinjepa("evaluate", "--run", run.folder, *words) == 0
    output = run.folder / "evaluation"
    return run, json.loads((output / "metrics.json").read_text()), read_predictions(output / "predictions.parquet")


Evaluated = tuple[Run, dict[str, Any], pl.DataFrame]


def test_every_model_scores_the_same_rows_of_the_held_out_split(evaluated: Evaluated) -> None:
    _, _, table = evaluated
    assert dict(table.schema) == SCHEMA
    assert set(table["model"]) == set(MODELS) - {TUNED}  # the run began with no encoder that was tuned on its own
    assert set(table["task"]) == {TASK}
    places = {name: part.select("stay_id", "hour", "label").rows() for (name,), part in table.group_by("model")}
    expected = [(number, hour, number % 3 == 0) for number in range(25, 31) for hour in range(4, 10)]
    assert all(rows == expected for rows in places.values())


def test_the_figures_are_those_of_the_predictions(evaluated: Evaluated) -> None:
    _, metrics, table = evaluated
    for (name,), part in table.group_by("model"):
        label_N, score_N = part["label"].to_numpy(), part["score"].to_numpy()
        section = metrics["other_probes" if name == "reported_probe" else "baselines"]
        figures = metrics["tasks"][TASK] if name == "clin_jepa" else section[name][TASK]
        assert figures["auroc"] == pytest.approx(roc_auc_score(label_N, score_N)), name
        assert figures["auprc"] == pytest.approx(average_precision_score(label_N, score_N)), name
        assert figures["brier"] == pytest.approx(brier_score_loss(label_N, score_N)), name
        drawn = drawn_metrics(Scored(label_N, score_N, part["stay_id"].to_numpy()), draws=50)
        assert figures["ci95"]["brier"] == pytest.approx(list(interval(drawn["brier"]) or ()))
        assert (figures["n"], figures["n_positive"], figures["n_subjects"]) == (36, 12, 6)
    assert metrics["baselines"]["lightgbm"][TASK]["backbone_minus_this"]["brier"] == pytest.approx(
        metrics["tasks"][TASK]["brier"] - metrics["baselines"]["lightgbm"][TASK]["brier"]
    )
    assert metrics["baselines"]["logistic"][TASK]["auroc"] == 1.0
    assert metrics["baselines"]["prevalence"][TASK]["auroc"] == 0.5


def test_a_task_that_cannot_be_asked_says_why(evaluated: Evaluated) -> None:
    _, metrics, _ = evaluated
    assert metrics["tasks"]["sepsis"]["unavailable"].startswith("0 of 18 rows of the split train are events")
    assert "unavailable" in metrics["geometry"]


def test_the_report_shows_them(evaluated: Evaluated) -> None:
    page = (evaluated[0].folder / "evaluation" / "report.html").read_text()
    assert "Risk tasks" in page and "Decompensation: 36 rows of 6 subjects, 12 of them events (33.3 %) - too few subjects" in page
    assert "LightGBM on six summaries" in page and "Tasks that could not be asked" in page
    assert "not available: needs sofa" in page


def test_what_is_finished_is_not_fitted_again(evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    run, metrics, _ = evaluated
    (part,) = (run.folder / "evaluation" / "scores").glob(f"*/lightgbm.{TASK}.parquet")
    part.unlink()
    fitted: list[str] = []
    fit = risk_tasks.fit_risk_model

    def counted(name: str, *given: Any) -> Any:
        fitted.append(name)
        return fit(name, *given)

    monkeypatch.setattr(risk_tasks, "fit_risk_model", counted)
    words = ("--context_hours", "4", "--horizon_hours", "4", "--minimum_windows", "2", "--draws", "50")
    assert clinjepa("evaluate", "--run", run.folder, *words) == 0
    assert fitted == ["lightgbm"]
    assert json.loads((run.folder / "evaluation" / "metrics.json").read_text())["baselines"] == metrics["baselines"]


def test_the_reported_probe_is_the_same_whether_fitted_with_the_backbone_or_alone(evaluated: Evaluated) -> None:
    run, _, table = evaluated
    (part,) = (run.folder / "evaluation" / "scores").glob(f"*/reported_probe.{TASK}.parquet")
    part.unlink()
    words = ("--context_hours", "4", "--horizon_hours", "4", "--minimum_windows", "2", "--draws", "50")
    assert clinjepa("evaluate", "--run", run.folder, *words) == 0
    assert part.is_file()
    assert read_predictions(run.folder / "evaluation" / "predictions.parquet").equals(table)


def test_probes_of_the_tuned_encoder_read_its_latents_alone(evaluated: Evaluated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = evaluated[0]
    opened = replace(open_run(run.folder, None, None, "cpu"), folder=tmp_path)
    data, own = opened.data, opened.module.encoder.fingerprint()
    latents = StoreLatents(opened.module, data.tokens, data.tokenizer(), tmp_path / "latents")
    read: dict[str, np.ndarray] = {}

    def fit(name: str, feature_NF: np.ndarray, rows: TaskRows, seed: int) -> Prevalence:
        read[name] = feature_NF
        return Prevalence(0.5)

    monkeypatch.setattr(risk_tasks, "fit_risk_model", fit)
    before = run.checkpoint_path("phase1")
    measured = risk_tasks.RiskTasks(opened, latents, read_grid(data.store), "held_out", 0, tmp_path, before)
    by_task, _ = measured.scores([TASK], [BACKBONE, TUNED])

    rows = task_rows(data.store, TASK)
    fitted_on = rows.taken(rows.for_fitting(200_000, 0))
    state_N = data.tokens.state_H[np.asarray(data.tokens.first_row_S)[fitted_on.stay_N] + fitted_on.hour_N]
    with encoder_as_tuned(opened, before):
        expected = StoreLatents(opened.module, data.tokens, data.tokenizer(), tmp_path / "again").of_texts(state_N).numpy()
    np.testing.assert_allclose(read[TUNED], expected, atol=1e-6)
    width = expected.shape[1]
    assert read[BACKBONE].shape[1] > width and np.abs(read[BACKBONE][:, :width] - expected).max() > 1e-4
    assert by_task[TASK]["model"].unique(maintain_order=True).to_list() == [BACKBONE, TUNED]
    assert opened.module.encoder.fingerprint() == own


def test_what_was_not_measured_is_said(evaluated: Evaluated) -> None:
    run, metrics, _ = evaluated
    reason = "the run began with an encoder that was not tuned on its own: there is no phase 0 and no --model.encoder.weights"
    assert metrics["not_measured"] == {TUNED: reason}
    page = (run.folder / "evaluation" / "report.html").read_text()
    risk = page[page.index("<h2>Risk tasks") : page.index("<h2>Latent geometry")]
    assert f"<dt>Encoder before the curriculum, with probes</dt><dd>not available: {reason}</dd>" in risk


def test_an_evaluation_can_be_repeated_from_what_it_says(evaluated: Evaluated) -> None:
    run, metrics, _ = evaluated
    options = metrics["run"]["evaluation"]
    assert (options["seed"], options["draws"], options["minimum_windows"], options["store"]) == (0, 50, 2, str(run.store))
    assert {"numpy", "scikit-learn", "lightgbm", "umap-learn"} <= metrics["run"]["versions"].keys()


def test_other_code_libraries_or_windows_make_scores_anew(evaluated: Evaluated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_run(evaluated[0].folder, None, None, "cpu")
    latents = StoreLatents(opened.module, opened.data.tokens, opened.data.tokenizer(), tmp_path)

    def folder(seed: int = 0) -> Path:
        return risk_tasks.RiskTasks(opened, latents, read_grid(opened.data.store), "held_out", seed, tmp_path).folder

    first = folder()
    assert first.is_dir() and folder() == first and folder(seed=1) != first
    opened.data.windowing = replace(opened.data.windowing, stride=opened.data.windowing.stride + 1)
    assert (other := folder()) != first
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0")
    assert (of_old := folder()) not in (first, other)
    monkeypatch.setattr(risk_tasks, "_CODE", tmp_path)
    (tmp_path / "probe.py").write_text("UNITS = 512\n")
    assert (of_code := folder()) not in (first, other, of_old)
    (tmp_path / "probe.py").write_text("UNITS = 256\n")
    assert folder() not in (first, other, of_old, of_code)


def test_an_unknown_task_is_refused(evaluated: Evaluated, capsys: pytest.CaptureFixture[str]) -> None:
    assert clinjepa("evaluate", "--run", evaluated[0].folder, "--tasks", '["readmission"]') == 2
    assert "--tasks readmission: there is no such thing; there are circulatory_failure, " in capsys.readouterr().err


@pytest.mark.parametrize("lacking", ["train", "tuning", "held_out"])
def test_a_split_of_one_class_is_named(tmp_path: Path, lacking: str) -> None:
    splits = [split for split in ("train", "tuning", "held_out") for _ in range(4)]
    stays = [WrittenStay(n, 3, split, labels={TASK: {0: n % 2 == 0 and split != lacking}}) for n, split in enumerate(splits, 1)]
    store = write_store(tmp_path / "store", stays)
    assert why_not(task_rows(store, TASK), store) == f"0 of 4 rows of the split {lacking} are events: at least 2 of either kind are needed"


def test_a_task_of_one_class_and_one_that_the_data_lack_are_told_apart(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [WrittenStay(1, 3, labels={TASK: {0: True}})])
    assert why_not(task_rows(store, TASK), store) == "1 of 1 rows of the split train are events: at least 2 of either kind are needed"
    store.dataset["tasks"]["kidney_failure"] = "not available: needs creatinine"
    assert why_not(task_rows(store, "kidney_failure"), store) == "not available: needs creatinine"
    assert np.array_equal(task_rows(store, TASK).hour_N, [0])


def test_rows_for_fitting_are_of_training_and_tuning_only_and_no_more_than_asked() -> None:
    split_N = np.array(["train"] * 50 + ["tuning"] * 30 + ["held_out"] * 20)
    number_N = np.arange(100)
    rows = TaskRows(TASK, number_N, number_N, number_N % 2 == 0, number_N, split_N)
    taken = rows.taken(rows.for_fitting(20, seed=0))
    assert [int(taken.of_split(split).sum()) for split in ("train", "tuning", "held_out")] == [20, 5, 0]
    assert (np.diff(taken.stay_N) > 0).all() and np.array_equal(taken.label_N, taken.stay_N % 2 == 0)
    assert rows.for_fitting(1000, seed=0).sum() == 80


def test_rows_for_fitting_are_of_both_classes_however_rare_one_is() -> None:
    number_N = np.arange(10_000)
    split_N = np.where(number_N < 8000, "train", "tuning")
    rows = TaskRows(TASK, number_N, number_N, np.isin(number_N, [3, 5000, 8001, 9000]), number_N, split_N)
    taken = rows.taken(rows.for_fitting(40, seed=0))
    assert [int(taken.label_N[taken.of_split(split)].sum()) for split in ("train", "tuning")] == [2, 2]


def test_scores_do_not_depend_on_how_many_rows_are_scored_at_once(evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, table = evaluated
    for part in (run.folder / "evaluation" / "scores").glob(f"*/clin_jepa.{TASK}.parquet"):
        part.unlink()
    monkeypatch.setattr(risk_tasks, "_ROWS_SCORED_AT_ONCE", 7)
    words = ("--context_hours", "4", "--horizon_hours", "4", "--minimum_windows", "2", "--draws", "50")
    assert clinjepa("evaluate", "--run", run.folder, *words) == 0
    again = read_predictions(run.folder / "evaluation" / "predictions.parquet")
    np.testing.assert_allclose(again["score"].to_numpy(), table["score"].to_numpy(), atol=1e-6)
