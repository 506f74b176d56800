"""Every shipped ablation trains to its end, and the one thing it ablates is absent, and nothing else."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from clin_jepa.evaluation.finished_run import open_run
from clin_jepa.regime import Regime
from clin_jepa.shipped_configs import config_folder
from tests.training_runs import (
    ARM_STEPS,
    RECORDER,
    Recorder,
    Run,
    Step,
    differences,
    differs,
    fit_arm,
    phase,
    phases_finished,
)

# Steps of each phase of each arm, of 20 in all.
FULL = {1: 3, 2: 9, 3: 2, 5: 6}
STEPS: dict[str, dict[int, int]] = {
    "full": FULL,
    "no_warmup": {2: 12, 3: 2, 5: 6},
    "no_joint_refinement": {1: 12, 5: 8},
    "no_alignment_no_sync": {1: 3, 2: 9, 5: 8},
    "no_sync": FULL,
    "no_ema": {1: 3, 2: 9, 5: 8},
    "naive": {2: 20},
    "sft_encoder": {0: 9, 1: 3, 5: 8},
    **dict.fromkeys(("chained", "chained_h8", "vicreg", "sigreg", "layer_norm", "residual", "no_grounding", "outlook", "horizon_2"), FULL),
}
SYNCED = {name for name, steps in STEPS.items() if steps == FULL} - {"no_sync"} | {"no_warmup"}

Arm = tuple[Run, list[Step]]


@pytest.fixture(scope="module")
def trained(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Arm]:
    """Each arm, trained once, watched."""

    @cache
    def train(arm: str) -> Arm:
        folder = tmp_path_factory.mktemp(arm)
        run = Run(small_store_path, folder / "run")
        assert fit_arm(run, arm, folder, callbacks=[RECORDER]) == 0
        return run, list(Recorder.steps)

    return train


def regimes(steps: list[Step]) -> dict[int, Regime]:
    return {step.phase: step.regime for step in steps}


def moving(steps: list[Step], part: str) -> set[int]:
    """Phases in which a part's weights change."""
    return {step.phase for step in steps if step.moved(part)}


def is_synced(steps: list[Step]) -> bool:
    return not differs(steps[-1].after["target"], steps[-1].after["encoder"])


def hyper_parameters(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.checkpoint("last")["hyper_parameters"]
    return found


def test_every_arm_is_listed_here() -> None:
    assert {file.stem for file in (config_folder() / "ablations").glob("*.yaml")} == set(STEPS)


@pytest.mark.parametrize("arm", STEPS)
def test_every_arm_trains_to_its_end_and_takes_all_steps(trained: Callable[[str], Arm], arm: str) -> None:
    run, steps = trained(arm)

    assert [step.phase for step in steps] == [number for number, n in STEPS[arm].items() for _ in range(n)]
    assert run.checkpoint("last")["global_step"] == ARM_STEPS
    assert phases_finished(run) == "".join(str(number) for number in sorted({*STEPS[arm], *([4] if arm in SYNCED else [])}))


@pytest.mark.parametrize("arm", STEPS)
def test_every_arm_can_be_evaluated(trained: Callable[[str], Arm], arm: str) -> None:
    run, _ = trained(arm)

    opened = open_run(run.folder, None, None, "cpu")

    assert opened.step == ARM_STEPS


def test_full_trains_as_the_method_says(trained: Callable[[str], Arm]) -> None:
    steps = trained("full")[1]

    assert regimes(steps) == {
        1: Regime(train_encoder=False, target="online", rollout="chained"),
        2: Regime(train_encoder=True, target="ema", rollout="teacher_forced"),
        3: Regime(train_encoder=False, target="ema", rollout="teacher_forced"),
        5: Regime(train_encoder=False, target="online", rollout="chained"),
    }
    assert moving(steps, "encoder") == {2} and is_synced(steps)


def test_no_warmup_moves_the_encoder_with_the_first_step(trained: Callable[[str], Arm]) -> None:
    assert trained("no_warmup")[1][0].moved("encoder")
    assert not trained("full")[1][0].moved("encoder")


def test_no_joint_refinement_never_moves_encoder_or_target(trained: Callable[[str], Arm]) -> None:
    steps = trained("no_joint_refinement")[1]

    assert moving(steps, "encoder") == moving(steps, "target") == set()
    assert moving(steps, "predictor") == {1, 5}


def test_no_alignment_no_sync_leaves_the_target_where_joint_refinement_left_it(trained: Callable[[str], Arm]) -> None:
    steps = trained("no_alignment_no_sync")[1]

    assert moving(steps, "target") == {2} and not is_synced(steps)
    assert regimes(steps)[5].target == "ema"


def test_no_sync_leaves_a_gap_and_predicts_the_target_s_latents(trained: Callable[[str], Arm]) -> None:
    steps = trained("no_sync")[1]

    assert moving(steps, "target") == {2, 3} and not is_synced(steps)
    assert regimes(steps)[5].target == "ema"


def test_no_ema_predicts_the_online_latents_and_never_moves_the_target_by_steps(trained: Callable[[str], Arm]) -> None:
    steps = trained("no_ema")[1]

    assert {regime.target for regime in regimes(steps).values()} == {"online"}
    assert [step.global_step for step in steps if step.moved("target")] == [12]  # the copy at the end of co-training
    assert moving(steps, "encoder") == {2} and is_synced(steps)


def test_naive_trains_everything_at_each_step_without_stop_gradient(trained: Callable[[str], Arm]) -> None:
    steps = trained("naive")[1]

    assert regimes(steps) == {2: Regime(train_encoder=True, train_predictor=True, target="online_with_gradient", rollout="chained")}
    assert all(step.moved("encoder") and step.moved("predictor") for step in steps)
    assert is_synced(steps)


def test_sft_encoder_trains_the_encoder_on_tokens_only(trained: Callable[[str], Arm]) -> None:
    steps = trained("sft_encoder")[1]

    assert moving(steps, "encoder") == {0} and moving(steps, "predictor") == {1, 5}
    assert {number: regime.objective for number, regime in regimes(steps).items()} == {0: "next_token", 1: "jepa", 5: "jepa"}
    assert is_synced(steps)


@pytest.mark.parametrize("arm", ["chained", "chained_h8"])
def test_chained_differs_in_joint_refinement_s_rollout_alone(trained: Callable[[str], Arm], arm: str) -> None:
    found, full = regimes(trained(arm)[1]), regimes(trained("full")[1])

    assert {number for number in full if found[number] != full[number]} == {2}
    assert found[2].rollout == "chained"


def test_horizons_are_the_curriculum_s_but_where_an_arm_names_its_own(trained: Callable[[str], Arm]) -> None:
    named = {"chained_h8": 8, "horizon_2": 2}
    assert {arm: hyper_parameters(trained(arm)[0])["horizon"] for arm in STEPS} == {arm: named.get(arm, 24) for arm in STEPS}


@pytest.mark.parametrize("arm", ["vicreg", "sigreg"])
def test_an_anti_collapse_term_acts_from_joint_refinement_on(trained: Callable[[str], Arm], arm: str) -> None:
    run, full = trained(arm)[0], trained("full")[0]

    assert hyper_parameters(run)["anti_collapse"]["kind"] == arm and hyper_parameters(full)["anti_collapse"]["kind"] == "none"
    assert not differs(run.weights("phase1"), full.weights("phase1"))
    assert differs(run.weights("phase2", "encoder."), full.weights("phase2", "encoder."))


@pytest.mark.parametrize("arm", ["layer_norm", "residual"])
def test_another_model_differs_from_the_first_step_on_under_the_same_regimes(trained: Callable[[str], Arm], arm: str) -> None:
    steps, full = trained(arm)[1], trained("full")[1]

    assert regimes(steps) == regimes(full)
    assert not differs(steps[0].before["predictor"], full[0].before["predictor"])
    assert differs(steps[0].after["predictor"], full[0].after["predictor"])


def test_without_grounding_there_are_no_heads_and_the_predictor_differs_from_the_first_step_on(trained: Callable[[str], Arm]) -> None:
    (run, steps), (full, full_steps) = trained("no_grounding"), trained("full")

    assert not run.weights(part="grounding.") and full.weights(part="grounding.")
    assert regimes(steps) == regimes(full_steps)
    assert not differs(steps[0].before["predictor"], full_steps[0].before["predictor"])


@pytest.mark.parametrize("arm", STEPS)
def test_every_arm_draws_the_same_windows_in_the_same_order(trained: Callable[[str], Arm], arm: str) -> None:
    assert [step.samples for step in trained(arm)[1]] == [step.samples for step in trained("full")[1]]


# ---------------------------------------------------------------------- co-training


def co_training(**init_args: Any) -> dict[str, Any]:
    return {"class_path": "clin_jepa.callbacks.CoTraining", "init_args": {"steps": 2, **init_args}}


def test_without_stop_gradient_the_encoder_feels_the_targets_too(small_store_path: Path, tmp_path: Path) -> None:
    steps = {}
    for stop_gradient in (True, False):
        run = Run(small_store_path, tmp_path / str(stop_gradient))
        assert run.fit([co_training(stop_gradient=stop_gradient), RECORDER]) == 0
        steps[stop_gradient] = Recorder.steps[0]

    assert not differs(steps[True].before["encoder"], steps[False].before["encoder"])
    assert differs(steps[True].after["encoder"], steps[False].after["encoder"])


def test_co_training_and_joint_refinement_are_both_phase_2(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fit([co_training(), phase(2)]) == 2

    message = " ".join(capsys.readouterr().err.split())
    assert "phase 2 'joint_refinement' cannot come after phase 2 'co_training'" in message and "each at most once" in message


def test_joint_refinement_does_not_go_on_from_co_training(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.fit([co_training(steps=4)]) == 0
    other = Run(run.store, tmp_path / "other")

    assert other.fit([phase(2), phase(5)], "--ckpt_path", run.checkpoint_path("phase2")) == 2

    assert "the checkpoint is of phase 2 'co_training' at step 4" in " ".join(capsys.readouterr().err.split())


def test_the_table_names_the_target_of_co_training(trained: Callable[[str], Arm]) -> None:
    rows = {arm: yaml.safe_load((trained(arm)[0].folder / "phases.yaml").read_text()) for arm in ("naive", "no_ema")}

    assert [(row["phase"], row["target"], row["tau"]) for row in rows["naive"]] == [("2 co_training", "online_with_gradient", "-")]
    assert [row["target"] for row in rows["no_ema"]] == ["online"] * 3


# ---------------------------------------------------------------------- a prefix that arms share


SHARED = {"phase3": ["no_sync"], "phase2": ["no_alignment_no_sync"], "phase1": ["chained", "no_ema", "vicreg", "sigreg"]}


@pytest.mark.parametrize(("arm", "shared"), [(arm, shared) for shared, arms in SHARED.items() for arm in arms])
def test_an_arm_from_the_full_run_s_checkpoint_equals_the_arm_from_the_start(
    trained: Callable[[str], Arm], run: Run, tmp_path: Path, arm: str, shared: str
) -> None:
    assert fit_arm(run, arm, tmp_path, "--ckpt_path", trained("full")[0].checkpoint_path(shared)) == 0

    one, other = run.checkpoint(), trained(arm)[0].checkpoint()
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "clin_jepa"):
        assert differences(one[key], other[key], key) == []


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("no_joint_refinement", "finished phase 1 'predictor_warmup' at step 3, which here runs from step 0 to 12"),
        ("no_warmup", "the checkpoint is of phase 1 'predictor_warmup' at step 3"),
        ("naive", "the checkpoint is of phase 1 'predictor_warmup' at step 3"),
        ("sft_encoder", "finished phase 1 'predictor_warmup' at step 3, which here runs from step 9 to 12"),
        ("layer_norm", "the checkpoint has --model.normalize_latents False, this run True"),
        ("residual", "the checkpoint has --model.predictor.residual False, this run True"),
    ],
)
def test_an_arm_that_differs_in_warmup_does_not_go_on_from_the_full_run_s(
    trained: Callable[[str], Arm], run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], arm: str, words: str
) -> None:
    assert fit_arm(run, arm, tmp_path, "--ckpt_path", trained("full")[0].checkpoint_path("phase1")) == 2

    assert words in " ".join(capsys.readouterr().err.split())
    assert not run.folder.exists()


def test_the_page_on_ablations_lists_every_arm_and_the_checkpoints_that_it_shares() -> None:
    page = (Path(__file__).parents[1] / "docs" / "ablations.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)(?:\.ckpt)?` \| (.+?) \|", page, re.MULTILINE))

    assert set(rows) == {*STEPS, *SHARED}
    assert {shared: re.findall(r"`(\w+)`", rows[shared]) for shared in SHARED} == SHARED
