"""``metrics.json`` of an evaluated run: each figure has its count and its 95 % interval, and risk figures are those of the predictions."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from clin_jepa.evaluation.classification import METRICS
from clin_jepa.evaluation.drift import FIGURES
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS
from clin_jepa.evaluation.risk_models import BACKBONE, MODELS, PREVALENCE, REPORTED_PROBE
from tests.evaluation.labelled_stays import HOURLY_TASK, STAY_TASK, train_little
from tests.training_runs import Run, clinjepa

# What is measured; the other sections say on what, with what, and how the encoder's latents spread over a whole split.
SECTIONS = ("drift", "geometry", "decoded", "tasks", "other_probes", "baselines")
COUNTS = {"n", "n_windows", "n_stays"}
# No figures: counts, and what was asked for.
SETTINGS = {*COUNTS, "n_positive", "n_subjects", "n_deteriorating", "n_stable", "draws", "horizons", "context_hours", "horizon_hours",
            "window_hours", "shortened", "reason", "unavailable", "n_by_criterion"}  # fmt: skip
# By definition the same in each draw, so that their interval has no width.
CERTAIN = {
    *(f"drift.models.{COPY_FORWARD}.mase", f"drift.models.{TRAINING_MEAN}.skill_vs_mean"),
    *(f"drift.models.{TRUE_ACTIONS}.l1_vs_true_actions_percent", "drift.l1_vs_true_actions_percent"),
    "decoded.sofa.mae_last_value",  # in the first hour: scores are written so
    *(f"baselines.{PREVALENCE}.{task}.auroc" for task in (STAY_TASK, HOURLY_TASK)),
}


@dataclass
class Figure:
    """A figure, or one for each reported hour.

    Args:
        place: Where it stands.
        value: It.
        ci95: Its interval, or one for each hour; None where there is none.
        counted: Whether a count stands beside it or above it.
    """

    place: str
    value: Any
    ci95: Any
    counted: bool

    def pairs(self) -> list[tuple[Any, Any]]:
        """Each number and its interval."""
        if not isinstance(self.value, list):
            return [(self.value, self.ci95)]
        return list(zip(self.value, self.ci95, strict=True))


@pytest.fixture(scope="module")
def evaluated(labelled_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run that began with another encoder than it ended with."""
    folder = shutil.copytree(labelled_run.folder, tmp_path_factory.mktemp("measured") / "run")
    config = folder / "config.yaml"
    began_with = f"weights: {labelled_run.checkpoint_path('phase1')}"
    config.write_text(config.read_text(encoding="utf-8").replace("weights: null", began_with), encoding="utf-8")
    words = ("--context_hours", "8", "--horizon_hours", "12", "--other_contexts", "[6, 12]", "--draws", "40")
    with pytest.MonkeyPatch.context() as patch:
        train_little(patch)
        assert clinjepa("evaluate", "--run", folder, *words) == 0
    return folder / "evaluation"


@pytest.fixture(scope="module")
def metrics(evaluated: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((evaluated / "metrics.json").read_text())
    return content


@pytest.fixture(scope="module")
def figures(metrics: dict[str, Any]) -> dict[str, Figure]:
    return {figure.place: figure for section in SECTIONS for figure in _figures(metrics[section], section)}


def _figures(node: dict[str, Any], place: str, counted: bool = False) -> Iterator[Figure]:
    counted = counted or bool(COUNTS & node.keys())
    for key, value in node.items():
        if isinstance(value, dict) and key not in {*SETTINGS, "ci95"}:
            yield from _figures(value, f"{place}.{key}", counted)
        elif key not in {*SETTINGS, "ci95"}:
            yield Figure(f"{place}.{key}", value, node.get("ci95", {}).get(key), counted)


def section_of(model: str) -> str:
    return "tasks" if model == BACKBONE else f"other_probes.{model}" if model == REPORTED_PROBE else f"baselines.{model}"


def test_every_figure_is_there(figures: dict[str, Figure]) -> None:
    arms = ("clin_jepa_true_actions", "clin_jepa_last_action", "clin_jepa_no_action", "copy_forward", "training_mean", "linear")
    drift = {f"{place}{name}" for place in ("", *(f"models.{arm}." for arm in arms)) for name in FIGURES}
    ratios = ("ratio", "matched_ratio", "null_ratio", "matched_null_ratio")
    tasks = [f"{task}.{name}" for task in (STAY_TASK, HOURLY_TASK) for name in (*METRICS, "prevalence")]
    paired = [f"{task}.backbone_minus_this.{name}" for task in (STAY_TASK, HOURLY_TASK) for name in METRICS]
    assert figures.keys() == {
        *(f"drift.{place}{name}" for place in ("", "other_contexts.6.", "other_contexts.12.") for name in drift),
        *(f"geometry.{place}{name}" for place in ("", "raw_features.", "tuned_encoder.") for name in ratios),
        *(f"decoded.{variable}.{name}" for variable in ("heart_rate", "lactate", "sofa")
          for name in ("mae", "mae_true_latent", "mae_last_value", "mae_ridge", "mase", "mase_ridge", "spearman")),
        *(f"tasks.{name}" for name in tasks),
        *(f"{section_of(model)}.{name}" for model in MODELS if model != BACKBONE for name in (*tasks, *paired)),
    }  # fmt: skip


def test_every_figure_has_a_count(figures: dict[str, Figure]) -> None:
    assert [figure.place for figure in figures.values() if not figure.counted] == []


def test_every_figure_has_an_interval(figures: dict[str, Figure]) -> None:
    assert [figure.place for figure in figures.values() if figure.ci95 is None] == []
    for figure in figures.values():
        for value, pair in figure.pairs():
            assert value is not None and pair[0] <= pair[1], figure.place


def test_an_interval_holds_its_figure_and_has_a_width(figures: dict[str, Figure]) -> None:
    """But for the calibration error, which draws overstate, for the first hour, from which drift is counted, and for what is `CERTAIN`."""
    for figure in figures.values():
        name = figure.place.rpartition(".")[2]
        for hour, (value, (low, high)) in enumerate(figure.pairs()):
            assert name == "ece" or low - 1e-9 <= value <= high + 1e-9, figure.place
            certain = figure.place.replace("other_contexts.6.", "").replace("other_contexts.12.", "") in CERTAIN
            first = name in ("drift_percent", "l1_vs_true_actions_percent") and hour == 0
            assert certain or first or low < high, f"{figure.place} at place {hour}"


def test_figures_of_risk_are_those_of_scikit_learn_on_the_predictions(evaluated: Path, figures: dict[str, Figure]) -> None:
    table = pl.read_parquet(evaluated / "predictions.parquet")
    parts = {(str(model), str(task)): part for (model, task), part in table.group_by("model", "task")}
    assert parts.keys() == {(model, task) for model in MODELS for task in (STAY_TASK, HOURLY_TASK)}
    for (model, task), part in parts.items():
        label_N, score_N = part["label"].to_numpy(), part["score"].to_numpy()
        place = f"{section_of(model)}.{task}"
        found = {name: figures[f"{place}.{name}"].value for name in ("auroc", "auprc", "brier", "prevalence")}
        assert found == pytest.approx(
            {
                "auroc": roc_auc_score(label_N, score_N),
                "auprc": average_precision_score(label_N, score_N),
                "brier": brier_score_loss(label_N, score_N),
                "prevalence": label_N.mean(),
            }
        ), place
