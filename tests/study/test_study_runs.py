"""Which runs the study has, in which order, and what it keeps of them."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from study import results, runs
from study.__main__ import main, planned_runs
from study.design import (
    BASELINE_MEASUREMENT,
    CANDIDATES,
    DATA,
    LARGER_ARMS,
    MAIN_ARMS,
    MEASUREMENT,
    OTHER_ARMS,
    OUTLOOK,
    RECOMMENDED,
    REFERENCE,
    SEEDS,
    VALIDATION,
    Arm,
)
from study.results import failures, save_figures
from study.runs import Result, drop_checkpoints, measure, planned_jobs

EVERY_ARM = [arm.name for arm in (*MAIN_ARMS, *OTHER_ARMS)]


def test_each_seed_trains_the_main_arms_and_the_first_all_of_them() -> None:
    planned = [(arm.name, seed) for arm, seed in planned_runs(False, EVERY_ARM, SEEDS)]
    assert planned[: len(EVERY_ARM)] == [(name, 0) for name in EVERY_ARM]
    assert planned[len(EVERY_ARM) :] == [(arm.name, seed) for seed in SEEDS[1:] for arm in MAIN_ARMS]


def test_a_later_seed_asked_for_alone_trains_the_main_arms() -> None:
    assert [arm for arm, _ in planned_runs(False, EVERY_ARM, [2])] == list(MAIN_ARMS)


def test_candidates_are_compared_with_the_seeds_asked_for() -> None:
    names = [arm.name for arm in CANDIDATES[:2]]
    assert [(arm.name, seed) for arm, seed in planned_runs(True, names, [0, 1])] == [(name, seed) for seed in (0, 1) for name in names]


@pytest.mark.parametrize(
    ("arm", "phases", "kept"),
    [
        (REFERENCE, "12345", ["phase1", "phase2", "phase3", "phase5"]),
        (RECOMMENDED, "12345", ["phase5"]),
        (Arm("ends_early", "curriculum.yaml", "full"), "12", ["phase2"]),
        (Arm("without_a_phase", "curriculum.yaml", "full"), "", []),
    ],
)
def test_of_a_measured_run_the_last_checkpoint_is_kept_and_what_others_begin_from(
    arm: Arm, phases: str, kept: list[str], tmp_path: Path
) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in [*(f"phase{phase}" for phase in phases), "last"]:
        (tmp_path / "checkpoints" / f"{name}.ckpt").write_text(name)
    for _ in range(2):
        drop_checkpoints(tmp_path, arm)
        assert sorted(file.stem for file in (tmp_path / "checkpoints").iterdir()) == kept


def test_the_larger_encoder_is_trained_where_it_is_asked_for_and_tuned_apart() -> None:
    names = [*EVERY_ARM, *(arm.name for arm in LARGER_ARMS)]
    assert [arm for arm, _ in planned_runs(False, names, [0, 1], larger=True)] == [*MAIN_ARMS, *OTHER_ARMS, *LARGER_ARMS, *MAIN_ARMS]
    assert not {arm for arm, _ in planned_runs(False, names, [0, 1])}.intersection(LARGER_ARMS)
    tuned = [planned_jobs([Result(DATA[0], arm, 0)])[0].name for arm in (REFERENCE, OUTLOOK, LARGER_ARMS[0])]
    assert len(set(tuned)) == len(tuned)


def test_jobs_of_all_folds_come_after_what_they_need_and_before_the_figures() -> None:
    demo, shared = DATA[2], next(arm for arm in OTHER_ARMS if arm.name == "chained")
    assert shared.shares == 1
    results = [Result(demo, arm, 0) for arm in (REFERENCE, shared)]
    jobs = planned_jobs(results)
    names = [job.name for job in jobs]
    assert len(names) == len(set(names)) == demo.folds * 3 + 2  # one tuning and two runs a fold, two results
    for place, job in enumerate(jobs):
        assert {need in names[:place] for need in job.needs} <= {True}
    by_name = {job.name: job for job in jobs}
    last = by_name[str(results[1].file)]
    assert last.call is measure
    assert len(last.needs) == demo.folds
    for run in last.needs:
        assert run.replace(shared.name, REFERENCE.name) in by_name[run].needs


def test_figures_are_there_while_design_and_measurement_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "RESULTS", tmp_path)
    result = Result(DATA[0], REFERENCE, 0)
    assert not result.is_there()
    result.file.parent.mkdir()
    figures = {"mase": np.zeros(3)}
    save_figures(result.file, figures, {"design": result.design})  # before there was a number of the measurement
    assert result.is_there()
    assert not Result(DATA[0], REFERENCE, 1).is_there()
    assert not replace(result, with_baselines=True).is_there()
    save_figures(result.file, figures, {"design": "another"})
    assert not result.is_there()
    save_figures(result.file, figures, {"design": result.design, "measurement": MEASUREMENT})
    assert result.is_there()
    with_baselines = replace(result, with_baselines=True)
    save_figures(result.baselines, figures, {"design": result.design, "measurement": [MEASUREMENT, BASELINE_MEASUREMENT - 1]})
    assert not with_baselines.is_there()
    save_figures(result.baselines, figures, {"design": result.design, "measurement": [MEASUREMENT, BASELINE_MEASUREMENT]})
    assert with_baselines.is_there()
    monkeypatch.setattr(results, "MEASUREMENT", MEASUREMENT + 1)
    assert not result.is_there()
    assert not results.are_current_baselines(result.baselines, result.design)


def leave_checkpoint(words: list[str]) -> None:
    """As a training does."""
    if words[0] == "fit":
        checkpoint = Path(words[words.index("--run") + 1]) / "checkpoints" / "phase5.ckpt"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.touch()


def commands(monkeypatch: pytest.MonkeyPatch, *outcomes: int | Exception, says: str = "") -> list[list[str]]:
    """Stand for clinjepa: each call has the next outcome, the last one again and again; the calls."""
    called: list[list[str]] = []

    def call(words: list[str]) -> int:
        outcome = outcomes[min(len(called), len(outcomes) - 1)]
        called.append(words)
        print(says)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome == 0:
            leave_checkpoint(words)
        return outcome

    monkeypatch.setattr(runs, "clinjepa", call)
    return called


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(runs, "_RUNS", tmp_path / "runs")
    monkeypatch.setattr(runs, "_store", lambda data, fold: SimpleNamespace(path=tmp_path))
    return Result(DATA[0], REFERENCE, 0)


@pytest.mark.parametrize(
    ("outcome", "says", "reason"),
    [
        (1, "clinjepa fit: error: no stay is in the train split", "no stay is in the train split"),
        (3, "", "exit code 3"),
        (RuntimeError("CUDA out of memory"), "", "RuntimeError: CUDA out of memory"),
    ],
)
def test_of_an_arm_that_fails_the_reason_is_kept_and_others_go_on(
    outcome: int | Exception, says: str, reason: str, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands(monkeypatch, 2, says="clinjepa fit: error: of an earlier attempt")
    assert not measure(result)
    commands(monkeypatch, outcome, says=says)
    assert not measure(result)
    said = failures(result.file.parent)["published_seed0"]
    assert said.startswith(f"clinjepa fit: {reason} (see ")


def test_an_interruption_ends_the_study_and_is_no_failure(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    called = commands(monkeypatch, 130)
    with pytest.raises(KeyboardInterrupt):
        measure(result)
    assert len(called) == 1
    assert failures(result.file.parent) == {}


def test_what_is_trained_and_measured_is_not_done_again(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[dict[str, object]] = []
    monkeypatch.setattr(runs, "_save", lambda result, folders, about: saved.append(dict(about)))
    called = commands(monkeypatch, 0, 0, 1)
    assert not measure(result)  # tuned, trained, not evaluated
    assert [words[0] for words in called] == ["fit", "fit", "evaluate"]
    called = commands(monkeypatch, 0)
    assert measure(result)
    assert [words[0] for words in called] == ["evaluate"]
    called = commands(monkeypatch, 0)
    assert measure(result)
    assert called == []
    shutil.rmtree(tmp_path / "runs" / DATA[0].name / "published_seed0" / "checkpoints")  # as of a run from another machine
    assert measure(result)
    assert called == []
    monkeypatch.setattr(runs, "MEASUREMENT", MEASUREMENT + 1)
    assert measure(result)
    assert [words[0] for words in called] == ["fit", "evaluate"]
    assert {about["device"] for about in saved} == {"cpu"}
    assert {about["design"] for about in saved} == {result.design}


def test_validation_stays_are_forecast_by_the_runs_of_the_held_out_ones(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_save", lambda result, folders, about: None)
    on_validation = replace(result, data=VALIDATION[0])
    assert VALIDATION[0].trained == DATA[0]
    called = commands(monkeypatch, 0)
    assert measure(on_validation)
    assert [words[0] for words in called] == ["fit", "fit", "evaluate"]
    trained, linked = (tmp_path / "runs" / data.name / "published_seed0" for data in (DATA[0], VALIDATION[0]))
    assert Path(called[1][called[1].index("--run") + 1]) == trained
    assert Path(called[2][called[2].index("--run") + 1]) == linked
    assert [file.resolve() for file in (linked / "checkpoints").iterdir()] == [trained / "checkpoints" / "phase5.ckpt"]
    (linked / "evaluation").mkdir()  # as an evaluation leaves it
    called = commands(monkeypatch, 0)
    assert measure(result)
    assert measure(on_validation)
    assert [words[0] for words in called] == ["evaluate"]
    monkeypatch.setattr(runs, "MEASUREMENT", MEASUREMENT + 1)
    assert measure(on_validation)
    assert [words[0] for words in called] == ["evaluate"] * 2
    assert (linked / "evaluation").is_dir()


def test_baselines_that_lack_a_model_are_a_failure(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_save", lambda result, folders, about: None)
    commands(monkeypatch, 0)
    metrics = {"not_measured": {"tuned_encoder": "phase0.ckpt is gone"}}
    monkeypatch.setattr(runs, "read_metrics", lambda path: metrics)
    with_baselines = replace(result, with_baselines=True)
    assert measure(result)
    assert not measure(with_baselines)
    reason = failures(result.file.parent)["published_seed0"]
    assert reason == "clinjepa evaluate did not measure tuned_encoder: phase0.ckpt is gone"
    metrics.clear()
    assert measure(with_baselines)


def test_an_encoder_is_not_of_its_design_while_it_is_tuned_anew(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_save", lambda result, folders, about: None)
    commands(monkeypatch, 0)
    assert measure(result)
    tuned = tmp_path / "runs" / DATA[0].name / "sft_seed0" / "trained"
    assert tuned.is_file()
    tuned.write_text("another design")
    monkeypatch.setattr(runs, "MEASUREMENT", MEASUREMENT + 1)
    shutil.rmtree(tmp_path / "runs" / DATA[0].name / "published_seed0")
    commands(monkeypatch, 1)
    assert not measure(result)
    assert not tuned.is_file()


def test_a_second_study_waits_and_then_does_nothing_again(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_save", lambda result, folders, about: None)
    called: list[str] = []
    begun = threading.Event()

    def slowly(words: list[str]) -> int:
        called.append(words[0])
        begun.set()
        time.sleep(0.2)
        leave_checkpoint(words)
        return 0

    monkeypatch.setattr(runs, "clinjepa", slowly)
    first = threading.Thread(target=measure, args=(result,))
    first.start()
    begun.wait()
    assert measure(result)
    first.join()
    assert called == ["fit", "fit", "evaluate"]


def test_the_next_token_control_learns_at_the_rate_of_next_token_tuning(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_save", lambda result, folders, about: None)
    control = next(arm for arm in MAIN_ARMS if arm.name == "sft_encoder")
    rates = {}
    for arm in (REFERENCE, control):
        called = commands(monkeypatch, 0)
        measure(replace(result, arm=arm))
        fits = [words for words in called if words[0] == "fit"]
        place = -1 - fits[-1][::-1].index("--model.optimization.encoder_lr")  # the last one given counts
        rates[arm.name] = fits[-1][place + 1]
    assert rates == {"published": "3e-5", "sft_encoder": "1e-3"}


def test_data_that_are_not_there_are_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "_ORIGINAL", tmp_path / "nowhere")
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["study", "--data", "cinc_2019"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"{tmp_path}/nowhere/cinc-challenge-2019 is missing: set CLINJEPA_DATA to the folder that holds" in capsys.readouterr().err


def test_nothing_asked_for_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["study", "--validation", "--data", "cinc_2012"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "nothing is asked for" in capsys.readouterr().err
