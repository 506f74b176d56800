"""EMA alignment that ends as soon as the gap is small: what is left out, what is not, and that a resumed run does the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from clin_jepa.optimization import warmup_then_cosine
from clin_jepa.target import relative_gap
from tests.training_runs import RECORDER, TAU, Recorder, Run, Step, curriculum, differences, phase

# Alignment is planned for five steps and ends after two, so that the run ends at step 12 of 15.
PLANNED, TAKEN, TOTAL = 5, 2, 15
END_OF_ALIGNMENT, END = 7 + TAKEN, 7 + TAKEN + 3
SCHEDULE = {"model": {"optimization": {"total_steps": TOTAL}}}


def phases(until_gap: float | None) -> list[dict[str, Any]]:
    return [phase(3, steps=PLANNED, until_gap=until_gap) if k == 2 else listed for k, listed in enumerate(curriculum())]


def gap_left(run: Run, name: str) -> float:
    """Relative distance of target and online encoder in a checkpoint."""
    online, target = run.weights(name, "encoder.lm."), run.weights(name, "target.copy_.lm.")
    return relative_gap(
        {key.removeprefix("target.copy_.lm."): value for key, value in target.items()},
        {key.removeprefix("encoder.lm."): value for key, value in online.items()},
    )


def state(run: Run, name: str = "phase5") -> dict[str, object]:
    checkpoint = run.checkpoint(name)
    return {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "clin_jepa")}


@pytest.fixture(scope="module")
def until_gap(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """A gap that two steps of alignment reach, and one does not."""
    run = Run(small_store_path, tmp_path_factory.mktemp("joint") / "run")
    assert run.fit(curriculum(3, 4, 5), over=SCHEDULE) == 0
    return gap_left(run, "phase2") * TAU ** (TAKEN - 0.5)


@pytest.fixture(scope="module")
def early(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory, until_gap: float) -> tuple[Run, list[Step]]:
    """A finished curriculum whose alignment ended early, watched."""
    run = Run(small_store_path, tmp_path_factory.mktemp("early") / "run")
    assert run.fit([*phases(until_gap), RECORDER], over=SCHEDULE) == 0
    return run, list(Recorder.steps)


def test_the_phase_ends_with_the_step_that_closes_the_gap_and_the_others_keep_their_steps(early: tuple[Run, list[Step]]) -> None:
    assert [step.phase for step in early[1]] == [1] * 3 + [2] * 4 + [3] * TAKEN + [5] * 3


def test_its_checkpoint_holds_the_early_end_and_a_gap_that_small(early: tuple[Run, list[Step]], until_gap: float) -> None:
    position = early[0].checkpoint("phase3")["clin_jepa"]["position"]

    assert position == {"number": 3, "name": "ema_alignment", "finished": True, "skipped": PLANNED - TAKEN}
    assert early[0].checkpoint("phase3")["global_step"] == END_OF_ALIGNMENT
    assert gap_left(early[0], "phase3") <= until_gap


@pytest.mark.parametrize("name", ["phase5", "last"])
def test_the_run_is_shorter_by_the_steps_left_out(early: tuple[Run, list[Step]], name: str) -> None:
    assert early[0].checkpoint(name)["global_step"] == END
    assert early[0].checkpoint(name)["clin_jepa"]["position"]["skipped"] == PLANNED - TAKEN


def test_learning_rates_stay_on_the_schedule_of_the_planned_steps(early: tuple[Run, list[Step]]) -> None:
    rates = [group["lr"] for group in early[0].checkpoint()["optimizer_states"][0]["param_groups"]]
    factor = warmup_then_cosine(TOTAL, 0.1)(END)

    assert rates == pytest.approx([1e-4 * factor, 5e-4 * factor])


def test_the_table_of_the_chain_says_what_ends_each_phase(early: tuple[Run, list[Step]], until_gap: float) -> None:
    rows = yaml.safe_load((early[0].folder / "phases.yaml").read_text())

    assert [row["ends"] for row in rows] == ["steps", "steps", f"steps, or gap <= {until_gap:g}", "at once", "steps"]
    assert [row["to"] for row in rows] == [3, 7, 12, 12, 15]


@pytest.mark.parametrize("stop_after", [END_OF_ALIGNMENT - 1, END_OF_ALIGNMENT, END_OF_ALIGNMENT + 1])
def test_a_resumed_run_equals_an_uninterrupted_one(early: tuple[Run, list[Step]], run: Run, until_gap: float, stop_after: int) -> None:
    words = ("--trainer.max_steps", str(stop_after), "--checkpoint_every", "1")
    assert run.fit(phases(until_gap), *words, over=SCHEDULE) == 0
    assert run.checkpoint("last")["global_step"] == stop_after

    assert run.fit(phases(until_gap), "--ckpt_path", "last", over=SCHEDULE) == 0

    assert differences(state(run), state(early[0])) == []


def test_a_finished_run_resumed_has_nothing_to_do(early: tuple[Run, list[Step]], run: Run, until_gap: float) -> None:
    last = early[0].checkpoint_path("last")
    assert run.fit([*phases(until_gap), RECORDER], "--ckpt_path", last, over=SCHEDULE) == 0

    assert Recorder.steps == []


def test_the_remaining_phases_one_at_a_time_equal_the_run_in_one_go(early: tuple[Run, list[Step]], run: Run, until_gap: float) -> None:
    # Each config names its planned start; the checkpoint knows how many steps were left out.
    before: Path = early[0].checkpoint_path("phase2")
    for own in (phase(3, steps=PLANNED, until_gap=until_gap, start=7), phase(4, start=12), phase(5, start=12)):
        assert run.fit([own], "--ckpt_path", before, over=SCHEDULE) == 0
        before = max((run.folder / "checkpoints").glob("phase*.ckpt"))

    assert differences(state(run), state(early[0])) == []


def test_a_gap_out_of_reach_leaves_all_steps(run: Run) -> None:
    assert run.fit([*phases(1e-9), RECORDER], over=SCHEDULE) == 0

    assert [step.phase for step in Recorder.steps].count(3) == PLANNED
    assert run.checkpoint()["global_step"] == TOTAL


def test_with_accumulation_the_phase_takes_whole_optimizer_steps(run: Run) -> None:
    # The gap is small from the beginning, but half an optimizer step is none.
    over = {**SCHEDULE, "trainer": {"accumulate_grad_batches": 2}}
    assert run.fit([*phases(0.99), RECORDER], over=over) == 0

    assert [step.phase for step in Recorder.steps].count(3) == 2


def test_with_steps_as_shares_a_later_phase_alone_still_meets_the_early_end(run: Run, small_store_path: Path, tmp_path: Path) -> None:
    # The gap is small from the beginning: alignment takes one of its two steps, and finalization's start is still its planned share.
    over = {"model": {"optimization": {"total_steps": 20}}}
    shares = [phase(1, steps=0.15), phase(2, steps=0.45), phase(3, steps=0.1, until_gap=0.99), phase(4), phase(5, steps=0.3)]
    assert run.fit(shares, over=over) == 0
    assert (run.checkpoint()["global_step"], run.checkpoint()["clin_jepa"]["position"]["skipped"]) == (19, 1)

    alone = Run(small_store_path, tmp_path / "alone")
    assert alone.fit([phase(5, steps=0.3, start=0.7)], "--ckpt_path", run.checkpoint_path("phase4"), over=over) == 0

    assert differences(state(alone), state(run)) == []
