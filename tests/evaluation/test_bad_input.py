"""What ``clinjepa evaluate`` and ``compare`` refuse, by which words, and what they keep."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.tokenizer import store_tokenizer
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError
from clin_jepa.evaluation import risk_tasks
from clin_jepa.evaluation.finished_run import open_run
from clin_jepa.evaluation.numeric_grid import read_grid
from clin_jepa.evaluation.task_rows import task_rows
from tests.evaluation.labelled_stays import HOURLY_TASK, STAY_TASK, labelled_stays, train_little
from tests.evaluation.written_store import WrittenStay, write_store
from tests.training_runs import Run, clinjepa

QUICKLY = ("--context_hours", "8", "--horizon_hours", "12", "--other_contexts", "[]", "--draws", "5", "--baselines", '["logistic"]')


@pytest.fixture
def copied(labelled_run: Run, tmp_path: Path) -> Run:
    """A finished run whose files a test may change."""
    shutil.copytree(labelled_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation"))
    return Run(labelled_run.store, tmp_path / "run")


@pytest.fixture
def refused(copied: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Evaluate, expect a refusal, and return the message."""

    def evaluate(*words: str | Path) -> str:
        capsys.readouterr()
        assert clinjepa("evaluate", "--run", copied.folder, *QUICKLY, *words) == 2
        message = capsys.readouterr().err
        assert "Traceback" not in message
        return message.rpartition("clinjepa evaluate: error: ")[2]

    return evaluate


def moved_to(run: Run, store: Path) -> None:
    """Let the run believe that it was trained on another folder."""
    config = run.folder / "config.yaml"
    config.write_text(config.read_text().replace(f"store: {run.store}\n", f"store: {store}\n"))


# ---------------------------------------------------------------------- the run


@pytest.mark.parametrize("content", ["{", "model: {}", "data: {windowing: {days: 3}}", "[]"])
def test_a_config_that_is_none(copied: Run, refused: Callable[..., str], content: str) -> None:
    (copied.folder / "config.yaml").write_text(content)
    assert refused().startswith(f"{copied.folder / 'config.yaml'} is not the config of a run")


def test_a_checkpoint_that_does_not_exist(copied: Run, refused: Callable[..., str]) -> None:
    message = refused("--checkpoint", copied.folder / "phase6.ckpt")
    assert "phase6.ckpt does not exist: there are last.ckpt, phase1.ckpt, phase2.ckpt" in message


@pytest.mark.parametrize("part", ["encoder", "predictor"])
def test_weights_that_are_not_finite(copied: Run, refused: Callable[..., str], part: str) -> None:
    path = copied.checkpoint_path()
    content = torch.load(path, weights_only=True)
    name = [name for name in content["state_dict"] if name.startswith(f"{part}.")][-1]
    content["state_dict"][name].view(-1)[0] = float("nan")
    torch.save(content, path)

    message = refused()

    assert message.startswith("1 of ") and f"parameters in {path} are not finite ({part}." in message
    assert "training diverged; name an earlier checkpoint with --checkpoint" in message
    assert not (copied.folder / "evaluation").exists()


# ---------------------------------------------------------------------- the store


def other_content(folder: Path) -> Path:
    """The same training stays, so the same tokenizer; the held-out ones have another variable."""
    stays = [replace(stay, values={**stay.values, "ph": {0: 7.1}}) if stay.split == "held_out" else stay for stay in labelled_stays()]
    return write_store(folder, stays).path


def test_a_store_that_was_extracted_again_since(copied: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    moved_to(copied, store := other_content(tmp_path / "again"))

    message = refused()

    assert message.startswith(f"{store} no longer holds what {copied.checkpoint_path()} was trained on: give the store")
    assert "--store" in message and not (copied.folder / "evaluation").exists()
    opened = open_run(copied.folder, None, store, "cpu")
    assert opened.data.store.path == store
    assert opened.note is not None and opened.note.endswith("is no longer there: stays of this one may have been trained on.")
    own = open_run(copied.folder, None, copied.store, "cpu")
    assert own.data.store.path == copied.store and own.note is None


def test_a_store_of_another_source_may_have_the_same_numbers_for_other_people(copied: Run, tmp_path: Path) -> None:
    store = other_content(tmp_path / "elsewhere")
    about = json.loads((store / "dataset.json").read_text())
    (store / "dataset.json").write_text(json.dumps(about | {"source": "elsewhere"}))
    note = open_run(copied.folder, None, store, "cpu").note
    assert note is not None and note.startswith("The run was trained on another source, ")


def test_a_store_that_holds_out_what_was_trained_on(copied: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    # Three training stays are held out; in training others say the same, so that the tokenizer is the same.
    moved = {stay.stay_id for stay in labelled_stays()[:3]}
    others = [replace(stay, stay_id=stay.stay_id + 1000) for stay in labelled_stays()[:3]]
    stays = [replace(stay, split="held_out") if stay.stay_id in moved else stay for stay in labelled_stays()] + others
    store = write_store(tmp_path / "again", stays).path
    message = refused("--store", store)
    assert message.startswith(
        f"3 of 15 subjects that {store} holds out trained or tuned the run, on {copied.store}: its figures would flatter"
    )


def test_a_store_that_is_gone(copied: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    moved_to(copied, tmp_path / "nowhere")
    assert f"was trained on the store {tmp_path / 'nowhere'}, which is not there: say with --store where it is" in refused()


def test_a_store_without_training_stays(copied: Run, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As with a pretrained encoder, whose tokenizer is no store's.
    monkeypatch.setattr(TrajectoryDataModule, "check_tokenizer", lambda *given: None)
    store = write_store(tmp_path / "store", [stay for stay in labelled_stays() if stay.split == "held_out"]).path
    monkeypatch.setattr(TrajectoryDataModule, "tokenizer", lambda self: store_tokenizer(TrajectoryStore(copied.store), tmp_path, 4096))
    assert "no stay is in the split train, on which probes, baselines" in refused("--store", store)


@pytest.mark.parametrize("words", [("--other_contexts", "[6, 0]"), ("--context_hours", "0"), ("--horizon_hours", "-1")])
def test_hours_that_are_none(refused: Callable[..., str], words: tuple[str, str]) -> None:
    assert "each of --other_contexts must be at least 1" in refused(*words)


def test_a_store_with_other_words(refused: Callable[..., str], tmp_path: Path) -> None:
    stays = [replace(stay, values={"an unheard-of score": {0: 1.0}}) for stay in labelled_stays()]
    message = refused("--store", write_store(tmp_path / "store", stays).path)
    assert "was trained with another tokenizer than that of" in message and "use that store, or train a new encoder" in message


def test_a_store_that_lacks_an_hour(refused: Callable[..., str], tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", labelled_stays()).path
    file = store / "hours" / "00000.parquet"
    pl.read_parquet(file)[1:].write_parquet(file)
    assert f"{store / 'hours'} does not have n_hours rows for each stay: the store is damaged, extract it again" in refused(
        "--store", store
    )


@pytest.mark.parametrize("hour", [-1, 4])
def test_rows_of_hours_that_a_stay_does_not_have(tmp_path: Path, hour: int) -> None:
    """They would count as those of the stay before or after it."""
    first = WrittenStay(1, 4, values={"ph": {hour: 7.4}}, labels={HOURLY_TASK: {hour: True}})
    store = write_store(tmp_path / "store", [first, WrittenStay(2, 4)])
    for folder, read in (("values", lambda: read_grid(store)), ("labels", lambda: task_rows(store, HOURLY_TASK))):
        with pytest.raises(InputError, match=rf"{folder}: 1 rows are of hours that their stays do not have \(hour {hour} is the first\)"):
            read()


def test_a_task_of_which_the_held_out_stays_are_of_one_class(copied: Run, tmp_path: Path) -> None:
    stays = [
        replace(stay, labels={**stay.labels, STAY_TASK: {23: False}}) if stay.split == "held_out" else stay for stay in labelled_stays()
    ]
    store = write_store(tmp_path / "store", stays).path
    assert clinjepa("evaluate", "--run", copied.folder, *QUICKLY, "--store", store) == 0

    metrics = json.loads((copied.folder / "evaluation" / "metrics.json").read_text())
    reason = "0 of 12 rows of the split held_out are events: at least 2 of either kind are needed"
    assert metrics["tasks"][STAY_TASK] == {"unavailable": reason}
    assert metrics["tasks"][HOURLY_TASK]["n"] == 72 and list(metrics["baselines"]["logistic"]) == [HOURLY_TASK]
    assert reason in (copied.folder / "evaluation" / "report.html").read_text()


def test_another_store_and_stays_that_were_trained_on_are_said(copied: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--tasks", "none", "--split", "tuning", "--store", other_content(tmp_path / "again"))
    assert clinjepa("evaluate", "--run", copied.folder, *QUICKLY, *words) == 0
    notes = json.loads((copied.folder / "evaluation" / "metrics.json").read_text())["run"]["notes"]
    assert notes == [
        "This is not the store that the run was trained on; none of the subjects that it holds out was trained on.",
        "These are stays of the split tuning, which stopped and chose probes and baselines: the figures flatter.",
    ]
    page, printed = (copied.folder / "evaluation" / "report.html").read_text(), capsys.readouterr().out
    assert all(note in page and note in printed for note in notes)
    assert clinjepa("compare", copied.folder, "--store", tmp_path / "again", "--output", tmp_path / "out", "--draws", "5") == 0
    assert all(note in (tmp_path / "out" / "report.html").read_text() for note in notes)


# ---------------------------------------------------------------------- scores


class Broken:
    """A model that loses some rows."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def probabilities(self, feature_NF: np.ndarray) -> np.ndarray:
        score_N = self.model.probabilities(feature_NF)
        score_N[:5] = np.nan
        return score_N


def kept(run: Run) -> list[str]:
    return sorted(file.stem for file in (run.folder / "evaluation" / "scores").glob("*/*.parquet"))


def test_a_model_whose_scores_are_not_finite(copied: Run, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    train_little(monkeypatch)
    fit = risk_tasks.fit_risk_model
    with monkeypatch.context() as broken:
        broken.setattr(
            risk_tasks, "fit_risk_model", lambda name, *given: Broken(fit(name, *given)) if name == "logistic" else fit(name, *given)
        )
        message = refused()
    assert message.startswith(f"logistic gave 5 scores that are not finite, of 72 rows of {HOURLY_TASK}: leave the task out with --tasks")
    finished = [f"{model}.{HOURLY_TASK}" for model in ("clin_jepa", "reported_probe")]
    assert "scores that are finished are kept" in message and kept(copied) == finished

    fitted = []
    monkeypatch.setattr(risk_tasks, "fit_risk_model", lambda name, *given: fitted.append((name, given[1].task)) or fit(name, *given))
    assert clinjepa("evaluate", "--run", copied.folder, *QUICKLY, "--tasks", f'["{HOURLY_TASK}"]') == 0
    assert fitted == [("logistic", HOURLY_TASK)]


@pytest.mark.parametrize("task", [STAY_TASK, HOURLY_TASK])
def test_latents_that_are_not_finite(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    """A probe fitted on them would be one that was never trained."""
    train_little(monkeypatch)
    states = risk_tasks.hidden_states

    def broken(*given: Any) -> np.ndarray:
        hidden_HW = np.array(states(*given))
        hidden_HW[23] = np.nan
        return hidden_HW

    monkeypatch.setattr(risk_tasks, "hidden_states", broken)
    message = refused("--tasks", f'["{task}"]')
    rows = 64 if task == STAY_TASK else 384
    assert message.startswith(f"clin_jepa: latents of 1 of {rows} rows of {task} are not finite: name another checkpoint with --checkpoint")


def test_scores_that_were_damaged_since_are_made_anew(copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    train_little(monkeypatch)
    words = ("evaluate", "--run", copied.folder, *QUICKLY, "--tasks", f'["{STAY_TASK}"]')
    assert clinjepa(*words) == 0
    predictions = (copied.folder / "evaluation" / "predictions.parquet").read_bytes()
    (part,) = (copied.folder / "evaluation" / "scores").glob("*/logistic.*")
    part.write_bytes(part.read_bytes()[:100])

    assert clinjepa(*words) == 0
    assert (copied.folder / "evaluation" / "predictions.parquet").read_bytes() == predictions


# ---------------------------------------------------------------------- several runs


@pytest.fixture(scope="module")
def evaluated(labelled_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without risk tasks."""
    folder = tmp_path_factory.mktemp("compared") / "run"
    shutil.copytree(labelled_run.folder, folder, ignore=shutil.ignore_patterns("evaluation"))
    assert clinjepa("evaluate", "--run", folder, *QUICKLY, "--tasks", "none") == 0
    return folder


def with_another(section: str, name: str, value: Any) -> Callable[[Path], None]:
    """Says in ``metrics.json`` that something else was asked for."""

    def change(evaluation: Path) -> None:
        metrics = json.loads((evaluation / "metrics.json").read_text())
        metrics[section][name] = value
        (evaluation / "metrics.json").write_text(json.dumps(metrics))

    return change


def without_column(path: Path) -> None:
    pl.read_parquet(path).drop("measured").write_parquet(path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            with_another("dataset", "content_hash", "another"),
            "{other} was measured on another store than {run}: evaluate both with the same --store",
        ),
        (with_another("run", "split", "train"), "{other} was evaluated with --split train, {run} with held_out: give both the same"),
        (with_another("run", "evaluation", {"seed": 7}), "{other} was evaluated with --seed 7, {run} with 0: give both the same"),
        (with_another("drift", "horizon_hours", 99), "{other} was evaluated with --horizon_hours 99, {run} with"),
        (with_another("drift", "context_hours", 1), "{other} was evaluated with --context_hours 1, {run} with"),
        (lambda folder: (folder / "metrics.json").write_text("{"), "{other}/evaluation/metrics.json is not valid JSON"),
        (lambda folder: (folder / "metrics.json").unlink(), "{other}/evaluation/metrics.json cannot be read"),
        (lambda folder: (folder / "predictions.parquet").write_text("x"), "{other}/evaluation/predictions.parquet cannot be read"),
        (lambda folder: (folder / "rollout_errors.parquet").write_text("x"), "{other}/evaluation/rollout_errors.parquet cannot be read"),
        (lambda folder: (folder / "displacements.parquet").unlink(), "{other}/evaluation/displacements.parquet is missing"),
        (lambda folder: without_column(folder / "displacements.parquet"), "{other}/evaluation/displacements.parquet lacks the column"),
    ],
)
def test_runs_that_cannot_be_held_side_by_side(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], Any], words: str
) -> None:
    shutil.copytree(evaluated, other := tmp_path / "other")
    damage(other / "evaluation")

    assert clinjepa("compare", evaluated, other, "--output", tmp_path / "out", "--draws", "5") == 2

    message = capsys.readouterr().err
    assert f"clinjepa compare: error: {words.format(other=other, run=evaluated)}" in message and "evaluate" in message
    assert not (tmp_path / "out").exists()


def test_a_comparison_in_place_of_an_evaluation(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (evaluated / "evaluation" / "metrics.json").read_bytes()
    assert clinjepa("compare", evaluated, "--output", evaluated / "evaluation") == 2
    assert f"is where the evaluation of {evaluated} lies: give another folder" in capsys.readouterr().err
    assert (evaluated / "evaluation" / "metrics.json").read_bytes() == before


@pytest.mark.parametrize("draws", ["0", "-1"])
def test_a_comparison_without_draws(evaluated: Path, tmp_path: Path, draws: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert clinjepa("compare", evaluated, "--output", tmp_path / "out", "--draws", draws) == 2
    assert f"--draws {draws}: intervals need at least 1" in capsys.readouterr().err
