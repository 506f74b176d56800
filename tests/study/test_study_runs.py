"""Which runs the study has, in which order, and what it keeps of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from study import runs
from study.__main__ import planned_runs
from study.design import CANDIDATES, DATA, LARGER_ARMS, MAIN_ARMS, OTHER_ARMS, RECOMMENDED, REFERENCE, SEEDS, Arm
from study.results import save_figures
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
    tuned = [planned_jobs([Result(DATA[0], arm, 0)])[0].name for arm in (REFERENCE, RECOMMENDED, *LARGER_ARMS)]
    assert len(set(tuned)) == len(tuned)


def test_jobs_of_all_folds_come_after_what_they_need_and_before_the_figures() -> None:
    demo, shared = DATA[2], OTHER_ARMS[0]
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
    save_figures(result.file, figures, {"design": result.design, "measurement": runs.MEASUREMENT})
    assert result.is_there()
    monkeypatch.setattr(runs, "MEASUREMENT", runs.MEASUREMENT + 1)
    assert not result.is_there()
