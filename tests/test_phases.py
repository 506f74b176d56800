"""What each phase does, and that leaving its callback out ablates it and nothing else."""

from pathlib import Path

import pytest
import torch

from clin_jepa.optimization import warmup_then_cosine
from clin_jepa.regime import Regime
from tests.training_runs import PHASES, RECORDER, TAU, TOTAL_STEPS, Recorder, Run, Step, curriculum, differs, phase

REGIMES = {
    1: Regime(train_encoder=False, target="online", rollout="chained"),
    2: Regime(train_encoder=True, target="ema", rollout="teacher_forced"),
    3: Regime(train_encoder=False, target="ema", rollout="teacher_forced"),
    5: Regime(train_encoder=False, target="online", rollout="chained"),
}
STEPS = {1: 3, 2: 4, 3: 3, 5: 3}


def steps_of(folder: Path, store: Path, *without: int, accumulate: int = 1) -> tuple[Run, list[Step]]:
    run = Run(store, folder / "run")
    over = {"trainer": {"accumulate_grad_batches": accumulate}}
    assert run.fit([*curriculum(*without), RECORDER], over=over) == 0
    return run, list(Recorder.steps)


@pytest.fixture(scope="module")
def full(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Step]]:
    """The whole curriculum, watched."""
    return steps_of(tmp_path_factory.mktemp("full"), small_store_path)


@pytest.fixture(scope="module")
def accumulated(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Step]]:
    """The whole curriculum with four micro-batches an optimizer step, watched."""
    return steps_of(tmp_path_factory.mktemp("accumulated"), small_store_path, accumulate=4)


def in_phase(steps: list[Step], number: int) -> list[Step]:
    return [step for step in steps if step.phase == number]


def test_each_phase_runs_its_steps_under_its_regime(full: tuple[Run, list[Step]]) -> None:
    assert [(step.phase, step.regime) for step in full[1]] == [(number, REGIMES[number]) for number, n in STEPS.items() for _ in range(n)]


@pytest.mark.parametrize("number", [1, 3, 5])
def test_encoder_does_not_move_where_it_is_frozen(full: tuple[Run, list[Step]], number: int) -> None:
    assert not any(step.moved("encoder") for step in in_phase(full[1], number))


def test_encoder_moves_at_each_step_of_joint_refinement(full: tuple[Run, list[Step]]) -> None:
    assert all(step.moved("encoder") for step in in_phase(full[1], 2))


def test_every_encoder_weight_gets_a_gradient_in_joint_refinement(full: tuple[Run, list[Step]]) -> None:
    before, after = in_phase(full[1], 2)[0].before["encoder"], in_phase(full[1], 2)[-1].after["encoder"]

    assert [name for name in before if torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_predictor_moves_at_each_step(full: tuple[Run, list[Step]], number: int) -> None:
    assert all(step.moved("predictor") for step in in_phase(full[1], number))


def test_target_moves_in_joint_refinement_and_alignment_only(full: tuple[Run, list[Step]]) -> None:
    # The copy of hard sync falls on the end of alignment's last step.
    assert {step.phase for step in full[1] if step.moved("target")} == {2, 3}


@pytest.mark.parametrize("number", [2, 3])
def test_target_moves_by_one_minus_tau_of_its_gap_at_each_optimizer_step(full: tuple[Run, list[Step]], number: int) -> None:
    steps = in_phase(full[1], number)
    for step in steps if number == 2 else steps[:-1]:
        for name, target in step.before["target"].items():
            expected = target + (1 - TAU) * (step.after["encoder"][name] - target)
            torch.testing.assert_close(step.after["target"][name], expected, atol=1e-7, rtol=1e-6)


def test_target_equals_online_encoder_from_hard_sync_on(full: tuple[Run, list[Step]]) -> None:
    assert not any(differs(step.before["target"], step.before["encoder"]) for step in in_phase(full[1], 5))


def test_optimizer_state_of_the_encoder_is_untouched_while_it_is_frozen(full: tuple[Run, list[Step]]) -> None:
    run = full[0]
    moments = {}
    for name in ("phase1", "phase2", "phase3", "phase5"):
        optimizer = run.checkpoint(name)["optimizer_states"][0]
        encoder = optimizer["param_groups"][0]["params"]
        moments[name] = {key: optimizer["state"][key]["exp_avg"] for key in encoder if key in optimizer["state"]}

    assert moments["phase1"] == {}
    assert moments["phase2"].keys() == moments["phase3"].keys() == moments["phase5"].keys() != set()
    assert all(torch.equal(moments["phase2"][key], moments["phase5"][key]) for key in moments["phase2"])


def test_learning_rates_follow_one_schedule_over_the_whole_run(full: tuple[Run, list[Step]]) -> None:
    factor = warmup_then_cosine(TOTAL_STEPS, 0.1)
    for name, step in {"phase1": 3, "phase2": 7, "phase3": 10, "phase5": 13}.items():
        rates = [group["lr"] for group in full[0].checkpoint(name)["optimizer_states"][0]["param_groups"]]
        assert rates == pytest.approx([1e-4 * factor(step), 5e-4 * factor(step)])


def test_with_accumulation_the_target_moves_once_for_each_optimizer_step(accumulated: tuple[Run, list[Step]]) -> None:
    steps = in_phase(accumulated[1], 2)

    assert [step.moved("target") for step in steps] == [False, False, False, True] * 4
    assert [step.moved("encoder") for step in steps] == [False, False, False, True] * 4


def test_with_accumulation_phases_still_count_optimizer_steps(accumulated: tuple[Run, list[Step]]) -> None:
    assert [step.phase for step in accumulated[1]] == [number for number, n in STEPS.items() for _ in range(4 * n)]


def test_with_accumulation_the_cursor_counts_every_window(accumulated: tuple[Run, list[Step]]) -> None:
    assert accumulated[0].checkpoint("phase2")["TrajectoryDataModule"]["samples_trained"] == 7 * 2 * 4


def test_the_windows_of_the_run_are_those_of_the_stream_in_order(full: tuple[Run, list[Step]], accumulated: tuple[Run, list[Step]]) -> None:
    assert [step.samples for step in full[1]] == [step.samples for step in accumulated[1][: len(full[1])]]


# ---------------------------------------------------------------------- ablations


@pytest.mark.parametrize("without", [1, 2, 3, 4, 5])
def test_leaving_a_phase_out_keeps_steps_and_regimes_of_the_others(small_store_path: Path, tmp_path: Path, without: int) -> None:
    run, steps = steps_of(tmp_path, small_store_path, without)

    kept = {number: n for number, n in STEPS.items() if number != without}
    regimes = REGIMES | ({5: Regime(train_encoder=False, target="ema", rollout="chained")} if without == 4 else {})
    assert [(step.phase, step.regime) for step in steps] == [(number, regimes[number]) for number, n in kept.items() for _ in range(n)]
    written = {file.stem for file in run.checkpoint_path().parent.glob("phase*.ckpt")}
    assert written == {f"phase{number}" for number in PHASES if number != without}
    # What the phase would have done does not happen, and what the others do does.
    assert [step.phase for step in steps if step.moved("encoder")] == [2] * 4 * (without != 2)
    ema_moves = {step.phase for step in steps if step.moved("target")}
    assert ema_moves == ({2, 3} - {without} if without != 2 else set())
    synced = not differs(steps[-1].after["target"], steps[-1].after["encoder"])
    assert synced == (without != 4)


def test_without_warmup_the_first_step_trains_the_encoder_from_the_same_start(
    full: tuple[Run, list[Step]], small_store_path: Path, tmp_path: Path
) -> None:
    _, steps = steps_of(tmp_path, small_store_path, 1)

    assert not differs(steps[0].before["encoder"], full[1][0].before["encoder"])
    assert not differs(steps[0].before["predictor"], full[1][0].before["predictor"])
    assert steps[0].samples == full[1][0].samples


@pytest.mark.parametrize("without", [3, 4, 5])
def test_the_phases_before_a_left_out_one_are_bit_identical(
    full: tuple[Run, list[Step]], small_store_path: Path, tmp_path: Path, without: int
) -> None:
    run, _ = steps_of(tmp_path, small_store_path, without)

    assert not differs(run.weights("phase2"), full[0].weights("phase2"))


def test_chained_joint_refinement_sets_its_rollout(run: Run) -> None:
    assert run.fit([phase(2, rollout="chained"), RECORDER]) == 0

    assert {step.regime.rollout for step in Recorder.steps} == {"chained"}


def test_next_token_tuning_trains_the_encoder_only_and_leaves_an_equal_target(run: Run) -> None:
    tuning = {"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": 3}}
    assert run.fit([tuning, RECORDER]) == 0

    assert all(step.moved("encoder") and not step.moved("predictor") for step in Recorder.steps)
    assert not differs(Recorder.steps[-1].after["target"], Recorder.steps[-1].after["encoder"])


def test_a_curriculum_starts_from_the_weights_of_next_token_tuning(run: Run, small_store_path: Path, tmp_path: Path) -> None:
    tuning = {"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": 2}}
    assert run.fit([tuning]) == 0
    after = Run(small_store_path, tmp_path / "after")

    assert after.fit([phase(1), RECORDER], "--model.encoder.weights", run.checkpoint_path("phase0")) == 0

    tuned = {name.removeprefix("encoder.lm."): value for name, value in run.weights("phase0", "encoder.").items()}
    start = Recorder.steps[0].before
    assert [name for name, value in start["encoder"].items() if not torch.equal(tuned[name], value)] == []
    assert not differs(start["encoder"], start["target"])
