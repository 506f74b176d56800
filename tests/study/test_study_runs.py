"""Which runs the study has, in which order, and what it keeps of them."""

from pathlib import Path

import pytest

from study.__main__ import drop_checkpoints, planned_runs
from study.design import CANDIDATES, MAIN_ARMS, OTHER_ARMS, RECOMMENDED, REFERENCE, SEEDS, Arm

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
