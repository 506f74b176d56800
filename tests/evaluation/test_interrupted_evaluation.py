"""An evaluation that is killed keeps what is finished, and goes on to the same results as one that nobody disturbed."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from clin_jepa.evaluation import risk_tasks
from tests.evaluation.killed_evaluation import evaluate_and_die
from tests.evaluation.labelled_stays import HOURLY_TASK, STAY_TASK, train_little
from tests.training_runs import Run, clinjepa

WORDS = ("--context_hours", "8", "--horizon_hours", "12", "--other_contexts", "[6]", "--draws", "5", "--baselines", '["logistic", "lstm"]',
         "--tasks", f'["{HOURLY_TASK}", "{STAY_TASK}"]')  # fmt: skip
MODELS = ("clin_jepa", "reported_probe", "logistic", "lstm")
RESULTS = ("metrics.json", "report.html", "predictions.parquet", "rollout_errors.parquet", "displacements.parquet")
KILLED = -9


@pytest.fixture
def copied(labelled_run: Run, tmp_path: Path) -> Run:
    """A finished run that was not evaluated."""
    # By the same name in another folder: the report says it.
    shutil.copytree(labelled_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation", "latents"))
    return Run(labelled_run.store, tmp_path / "run")


@pytest.fixture(scope="module")
def undisturbed(labelled_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    shutil.copytree(labelled_run.folder, folder, ignore=shutil.ignore_patterns("evaluation", "latents"))
    with pytest.MonkeyPatch.context() as patch:
        train_little(patch)
        assert clinjepa("evaluate", "--run", folder, *WORDS) == 0
    return folder / "evaluation"


@pytest.mark.parametrize(
    ("file", "finished"),
    [
        ("latents.bin", 0),
        (f"logistic.{HOURLY_TASK}.parquet", 2),
        (f"clin_jepa.{STAY_TASK}.parquet", 4),
        ("metrics.json", 8),
        ("report.html", 8),
    ],
)
def test_killed_and_resumed(copied: Run, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, file: str, finished: int) -> None:
    assert evaluate_and_die(("--run", copied.folder, *WORDS), file) == KILLED
    output = copied.folder / "evaluation"
    every = [f"{model}.{task}" for task in (HOURLY_TASK, STAY_TASK) for model in MODELS]
    assert {part.stem for part in output.glob("scores/*/*.parquet")} == set(every[:finished])
    assert not [left for left in copied.folder.glob(".scratch-*/*") if left.stat().st_size]

    train_little(monkeypatch)
    fitted = _spied(monkeypatch)
    assert clinjepa("evaluate", "--run", copied.folder, *WORDS) == 0

    # The reported probe of hours is fitted with the backbone's.
    assert fitted == [part for part in every[finished:] if part != f"reported_probe.{HOURLY_TASK}"]
    assert [name for name in RESULTS if (output / name).read_bytes() != (undisturbed / name).read_bytes()] == []


@pytest.mark.parametrize("file", [f"clin_jepa.{STAY_TASK}.parquet", "predictions.parquet", "displacements.parquet", "report.html"])
def test_killed_while_another_split_is_evaluated(
    copied: Run, undisturbed: Path, tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tables of one evaluation never stand beside the figures of another."""
    output = copied.folder / "evaluation"
    shutil.copytree(undisturbed, output)
    assert evaluate_and_die(("--run", copied.folder, *WORDS, "--split", "train"), file) == KILLED

    if file.startswith("clin_jepa"):
        assert [name for name in RESULTS if (output / name).read_bytes() != (undisturbed / name).read_bytes()] == []
        return
    assert not (output / "report.html").exists()
    if file == "report.html":
        return
    assert not (output / "metrics.json").exists()
    assert clinjepa("compare", copied.folder, "--output", tmp_path / "out", "--draws", "5") == 2
    assert "metrics.json cannot be read" in capsys.readouterr().err


def _spied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which models are fitted on which tasks, in their order."""
    fitted: list[str] = []
    fit, score = risk_tasks.fit_risk_model, risk_tasks.sequence_scores

    def fit_spied(name: str, feature_NF: Any, rows: Any, seed: int) -> Any:
        fitted.append(f"{name}.{rows.task}")
        return fit(name, feature_NF, rows, seed)

    def score_spied(name: Any, inputs: Any, rows: Any, *given: Any) -> Any:
        fitted.append(f"{name}.{rows.task}")
        return score(name, inputs, rows, *given)

    monkeypatch.setattr(risk_tasks, "fit_risk_model", fit_spied)
    monkeypatch.setattr(risk_tasks, "sequence_scores", score_spied)
    return fitted
