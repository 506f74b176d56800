"""Steps given as shares of total_steps: the same edges in one run or in several, and one number rescales them all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch import Callback

from clin_jepa.callbacks import EMAAlignment, HardSync, JointRefinement, PredictorFinalization, PredictorWarmup
from clin_jepa.callbacks.phase import Phase
from clin_jepa.callbacks.phase_chain import PhaseChain
from clin_jepa.errors import InputError
from tests.training_runs import Run, differences, phase

SHARES: list[tuple[type[Phase], dict[str, float], float]] = [
    (PredictorWarmup, {"steps": 0.15}, 0.0),
    (JointRefinement, {"steps": 0.45}, 0.15),
    (EMAAlignment, {"steps": 0.10}, 0.6),
    (HardSync, {}, 0.7),
    (PredictorFinalization, {"steps": 0.30}, 0.7),
]


def edges(callbacks: list[Callback], total_steps: int | None = None) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in PhaseChain.of(callbacks, total_steps).spans]


def whole() -> list[Callback]:
    return [cls(**settings) for cls, settings, _ in SHARES]


def test_the_published_shares_of_twenty_thousand_steps() -> None:
    assert edges(whole(), 20_000) == [(0, 3000), (3000, 12_000), (12_000, 14_000), (14_000, 14_000), (14_000, 20_000)]


@pytest.mark.parametrize("total_steps", [*range(10, 130), 520, 19_999, 2**31 - 1])
def test_shares_end_at_the_total_and_phases_alone_have_the_edges_of_the_whole(total_steps: int) -> None:
    together = edges(whole(), total_steps)

    assert together[-1][1] == total_steps
    assert [end for _, end in together[:-1]] == [start for start, _ in together[1:]]
    assert [edges([cls(start=start, **settings)], total_steps)[0] for cls, settings, start in SHARES] == together


@pytest.mark.parametrize("n", [3, 6, 7, 9])
def test_shares_that_are_no_binary_numbers_add_up(n: int) -> None:
    # As binary numbers 0.1 + 0.2 is more than 0.3, and a step of 10 million is lost.
    phases = [PredictorWarmup(0.1), JointRefinement(0.2), PredictorFinalization(0.7)]

    assert edges(phases, 10**n)[-1] == (3 * 10 ** (n - 1), 10**n)


def test_whole_numbers_need_no_total_and_keep_theirs_behind_a_share() -> None:
    assert edges([PredictorWarmup(3), JointRefinement(4)]) == [(0, 3), (3, 7)]
    assert [end - start for start, end in edges([PredictorWarmup(0.5), JointRefinement(4), PredictorFinalization(2)], 13)] == [7, 4, 2]


def test_one_is_a_step_and_one_point_zero_everything() -> None:
    assert edges([PredictorWarmup(1)], 40) == [(0, 1)]
    assert edges([PredictorWarmup(1.0)], 40) == [(0, 40)]


@pytest.mark.parametrize(
    ("make", "total_steps", "words"),
    [
        (lambda: PredictorWarmup(1.5), 40, "phase 'predictor_warmup': steps is 1.5, but a number with a decimal point is a share"),
        (lambda: PredictorWarmup(3, start=2000.0), 40, "start is 2000.0, but a number with a decimal point is a share"),
        (lambda: PredictorWarmup(-0.1), 40, "phase 'predictor_warmup': steps is -0.1, it must not be negative"),
        (lambda: PredictorWarmup(float("nan")), 40, "steps is nan"),
        (lambda: PredictorWarmup(0.1), None, "phase 'predictor_warmup' is given as a share (0.1) of total_steps, which is not set"),
        (lambda: PredictorWarmup(3, start=0.1), None, "give --model.optimization.total_steps, or a whole number"),
        (lambda: PredictorWarmup(0.01), 40, "phase 'predictor_warmup' has no step: its share 0.01 of total_steps 40 is too small"),
        (lambda: PredictorWarmup(0.0), 40, "or leave the phase out"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_share_that_is_none_is_refused(make: Callable[[], Phase], total_steps: int | None, words: str) -> None:
    with pytest.raises(InputError) as refusal:
        PhaseChain.of([make()], total_steps)

    assert words in str(refusal.value)


# ---------------------------------------------------------------------- tau


@pytest.mark.parametrize("steps", [1, 10, 120, 3458])
def test_on_a_short_joint_refinement_the_half_life_is_a_twentieth_of_it(steps: int) -> None:
    assert JointRefinement(steps).tau_over(steps) ** (0.05 * steps) == pytest.approx(0.5)


@pytest.mark.parametrize("steps", [1, 10, 40, 976])
def test_a_short_alignment_leaves_two_percent_of_the_gap(steps: int) -> None:
    assert EMAAlignment(steps).tau_over(steps) ** steps == pytest.approx(0.02)


def test_on_long_runs_tau_is_the_published_one() -> None:
    assert JointRefinement(9000).tau_over(9000) == EMAAlignment(2000).tau_over(2000) == 0.996


def test_a_tau_that_is_given_stays() -> None:
    assert JointRefinement(10, tau=0.99).tau_over(10) == EMAAlignment(10, tau=0.0).tau_over(10) + 0.99


# ---------------------------------------------------------------------- through the command line

SHARES_OF_20 = {1: 0.15, 2: 0.45, 3: 0.1, 5: 0.3}
OVER: dict[str, Any] = {"model": {"optimization": {"total_steps": 20}}}


def shared(number: int, **init_args: float) -> dict[str, Any]:
    steps = {"steps": SHARES_OF_20[number]} if number in SHARES_OF_20 else {}
    tau = {"tau": None} if number in (2, 3) else {}
    return phase(number, **steps, **tau, **init_args)


def counted(number: int, steps: int, tau: float | None) -> dict[str, Any]:
    return phase(number, steps=steps, **({} if tau is None else {"tau": tau}))


def trained(run: Run, name: str = "phase5") -> dict[str, Any]:
    checkpoint = run.checkpoint(name)
    return {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "clin_jepa")}


@pytest.fixture(scope="module")
def in_shares(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished curriculum whose phases are shares of 20 steps."""
    run = Run(small_store_path, tmp_path_factory.mktemp("shares") / "run")
    assert run.fit([shared(number) for number in range(1, 6)], over=OVER) == 0
    return run


def test_the_table_holds_whole_steps_and_the_tau_they_make(in_shares: Run) -> None:
    rows = yaml.safe_load((in_shares.folder / "phases.yaml").read_text())

    assert [(row["from"], row["to"], row["steps"]) for row in rows] == [(0, 3, 3), (3, 12, 9), (12, 14, 2), (14, 14, 0), (14, 20, 6)]
    assert [row["tau"] for row in rows] == ["-", pytest.approx(0.5 ** (1 / 0.45)), pytest.approx(0.02**0.5), "-", "-"]


def test_shares_train_as_the_steps_and_taus_that_they_come_to(in_shares: Run, run: Run) -> None:
    steps = [counted(1, 3, None), counted(2, 9, 0.5 ** (1 / (0.05 * 9))), counted(3, 2, 0.02 ** (1 / 2)), phase(4), counted(5, 6, None)]
    assert run.fit(steps, over=OVER) == 0

    assert differences(trained(run), trained(in_shares)) == []


def test_phases_in_turn_by_shares_equal_the_curriculum_in_one_go(in_shares: Run, run: Run) -> None:
    for number, start in {1: 0.0, 2: 0.15, 3: 0.6, 4: 0.7, 5: 0.7}.items():
        assert run.fit([shared(number, start=start)], over=OVER) == 0, number

    assert differences(trained(run), trained(in_shares)) == []


def test_an_interrupted_run_by_shares_resumes_exactly(in_shares: Run, run: Run) -> None:
    phases = [shared(number) for number in range(1, 6)]
    assert run.fit(phases, "--trainer.max_steps", "13", "--checkpoint_every", "1", over=OVER) == 0
    assert run.fit(phases, "--ckpt_path", "last", over=OVER) == 0

    assert differences(trained(run), trained(in_shares)) == []


def test_the_config_of_a_run_by_shares_holds_the_shares(in_shares: Run) -> None:
    saved = yaml.safe_load((in_shares.folder / "config.yaml").read_text())["trainer"]["callbacks"]

    assert [entry["init_args"].get("steps") for entry in saved[:5]] == [0.15, 0.45, 0.1, None, 0.3]


def test_a_share_without_a_total_is_refused_and_leaves_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fit([shared(1)], over={"model": {"optimization": {"total_steps": None}}}) == 2

    assert "give --model.optimization.total_steps" in " ".join(capsys.readouterr().err.split())
    assert not run.folder.exists()


def test_shares_of_more_than_everything_are_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fit([shared(1), phase(2, steps=0.9)], over=OVER) == 2

    message = " ".join(capsys.readouterr().err.split())
    assert "total_steps is 20 but the last phase ends at step 21: give the phases smaller shares" in message


def test_a_finished_phase_that_is_longer_here_is_refused(in_shares: Run, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    # The steps between its old end and its new one would belong to no phase.
    words = ("--ckpt_path", in_shares.checkpoint_path("phase2"))
    assert run.fit([shared(1), phase(2, steps=0.55), phase(5, steps=0.3)], *words, over=OVER) == 2

    assert "the checkpoint finished phase 2 'joint_refinement' at step 12, which here runs from step 3 to 14" in " ".join(
        capsys.readouterr().err.split()
    )
