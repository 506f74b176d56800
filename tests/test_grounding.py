"""Grounding: its loss by hand, as parts of one step, and in training runs."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clin_jepa.batch import HourlyValues
from clin_jepa.grounding import GroundingConfig, GroundingHeads, means_to_come
from tests.test_curriculum_equality import fit_shipped_phase, trained_state
from tests.training_runs import PHASES, Run, clinjepa, curriculum, differences, differs, merged

NAN = float("nan")
GROUNDED: dict[str, Any] = {"model": {"horizon": 3, "grounding": {"ahead": 1.0, "present": 1.0, "outlook": 0.5, "horizons": [2, 6]}}}
TUNING = {"class_path": "clin_jepa.callbacks.NextTokenTuning", "init_args": {"steps": 3}}


def new_heads(ahead: float = 1.0, present: float = 1.0, outlook: float = 0.0) -> GroundingHeads:
    return GroundingHeads(4, 3, ["a", "b"], GroundingConfig(ahead, present, outlook, [1, 2]))


def silent_heads(ahead: float = 1.0, present: float = 1.0, outlook: float = 0.0) -> GroundingHeads:
    """Heads that read 0 whatever they see: errors are the absolute values."""
    heads = new_heads(ahead, present, outlook)
    for parameter in heads.parameters():
        torch.nn.init.zeros_(parameter)
    return heads


def example() -> tuple[tuple[Tensor, Tensor, Tensor], HourlyValues, Tensor]:
    value_BTV = torch.tensor([[[1.0, NAN], [NAN, NAN], [-3.0, 2.0]], [[4.0, NAN], [2.0, 2.0], [NAN, NAN]]])
    mask_BT = torch.tensor([[True, True, True], [True, True, False]])
    return (
        (torch.zeros(2, 4), torch.zeros(2, 3, 4), torch.zeros(2, 3, 3)),
        HourlyValues(value_BTV, torch.tensor([[0.5, NAN], [-1.5, 1.0]]), per_hour=2.0),
        mask_BT,
    )


def test_the_loss_by_hand() -> None:
    latents, values, mask_BT = example()
    static = (0.5 + 1.5 + 1.0) / (2 * 2)
    own = (1 + 3 + 2 + 4 + 2 + 2) / (5 * 2)
    # The next hour: of the first stay none, then -3 and 2; of the second 2 and 2. Three hours have a next one.
    next_hour = ((3 + 2) / 2 + (2 + 2) / 2) / 3
    # The two next hours: of the first stay -3 and 2 twice.
    two_hours = (2 * (3 + 2) / 2 + (2 + 2) / 2) / 3

    assert silent_heads()(*latents, values, mask_BT).item() == pytest.approx(static + own + next_hour + two_hours)
    assert silent_heads()(*latents[:2], None, values, mask_BT).item() == pytest.approx(static + own)
    half = silent_heads(present=0.5)(*latents, values, mask_BT).item()
    assert half == pytest.approx(0.5 * (static + own) + next_hour + two_hours)
    # A latent's outlook is over the longest horizon, and needs no predictor.
    outlook = silent_heads(ahead=0.0, present=0.0, outlook=0.5)(*latents[:2], None, values, mask_BT).item()
    assert outlook == pytest.approx(0.5 * (static + two_hours))
    every = silent_heads(ahead=2.0, present=1.0, outlook=0.5)(*latents, values, mask_BT).item()
    assert every == pytest.approx(1.5 * static + own + 0.5 * two_hours + 2 * (next_hour + two_hours))


def test_parts_of_a_step_add_up_to_its_mean() -> None:
    latents, values, mask_BT = example()
    heads = new_heads(outlook=0.5)
    latents = tuple(torch.randn_like(part) for part in latents)  # type: ignore[assignment]
    parts = [
        heads(*(part[row : row + 1] for part in latents), replace(values, value_BTV=values.value_BTV[row : row + 1],
              static_BC=values.static_BC[row : row + 1]), mask_BT[row : row + 1], 2, 3)
        for row in range(2)
    ]  # fmt: skip

    torch.testing.assert_close(torch.stack(parts).sum(), heads(*latents, values, mask_BT))


@pytest.mark.parametrize(
    ("heads", "known", "unknown"),
    [
        (new_heads(), [(0, 0), (0, 2), (1, 0), (1, 1)], [(0, 1), (1, 2)]),
        # Nothing is to come after a stay's last hour.
        (new_heads(present=0.0, outlook=1.0), [(0, 0), (0, 1), (1, 0)], [(0, 2), (1, 1), (1, 2)]),
    ],
)
def test_what_is_not_known_gives_no_gradient(heads: GroundingHeads, known: list[tuple[int, int]], unknown: list[tuple[int, int]]) -> None:
    latents, values, mask_BT = example()
    state_BTD = latents[1].clone().requires_grad_()
    heads(latents[0], state_BTD, None, values, mask_BT).backward()

    assert state_BTD.grad is not None and state_BTD.grad.isfinite().all()
    assert all(state_BTD.grad[place].abs().max() > 0 for place in known)
    assert all(state_BTD.grad[place].abs().max() == 0 for place in unknown)


def test_means_to_come_see_neither_the_hour_itself_nor_what_was_before() -> None:
    value_BTV = torch.randn(3, 9, 2)
    changed_BTV = value_BTV.clone()
    changed_BTV[:, :5] = 100.0

    torch.testing.assert_close(means_to_come(value_BTV, 3)[:, 4:], means_to_come(changed_BTV, 3)[:, 4:], equal_nan=True)


# ---------------------------------------------------------------------- training


@pytest.fixture(scope="module")
def grounded(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(small_store_path, tmp_path_factory.mktemp("grounded") / "run")
    assert run.fit(curriculum(), over=GROUNDED) == 0
    return run


def test_every_phase_trains_the_heads_and_joint_refinement_moves_the_encoder_otherwise(grounded: Run, in_one_go: Run) -> None:
    names = [f"phase{number}" for number in (1, 2, 3, 5)]
    for before, after in pairwise(names):
        assert differs(grounded.weights(before, "grounding."), grounded.weights(after, "grounding."))

    assert not differs(grounded.weights("phase1", "encoder."), in_one_go.weights("phase1", "encoder."))
    assert differs(grounded.weights("phase2", "encoder."), in_one_go.weights("phase2", "encoder."))
    assert not in_one_go.weights(part="grounding.")


def test_grounded_in_the_hours_to_come_alone_the_encoder_is_trained_by_them_and_the_heads_of_latents_rest(
    small_store_path: Path, tmp_path: Path, grounded: Run
) -> None:
    ahead = Run(small_store_path, tmp_path / "ahead")
    over = {"model": {"grounding": {"present": 0.0, "outlook": 0.0}, "optimization": {"weight_decay": 0.0}}}
    assert ahead.fit(curriculum(3, 4, 5), over=merged(GROUNDED, over)) == 0

    assert differs(ahead.weights("phase2", "encoder."), grounded.weights("phase2", "encoder."))
    for part, moves in (("state.", False), ("static.", False), ("future.", True)):
        assert differs(ahead.weights("phase1", f"grounding.{part}"), ahead.weights("phase2", f"grounding.{part}")) == moves


def test_five_shipped_phases_in_turn_equal_one_go(run: Run, grounded: Run, tmp_path: Path) -> None:
    for number in PHASES:
        assert fit_shipped_phase(run, number, tmp_path, GROUNDED) == 0
    assert differences(trained_state(run), trained_state(grounded), "phase5") == []


def test_two_micro_batches_equal_one_batch(small_store_path: Path, tmp_path: Path) -> None:
    # With Adam's usual epsilon a gradient that is all rounding makes a step of full size.
    steady = merged(GROUNDED, {"model": {"optimization": {"eps": 1e-4}}})
    whole, parts = Run(small_store_path, tmp_path / "whole"), Run(small_store_path, tmp_path / "parts")

    assert whole.fit(curriculum(), over=steady) == 0
    cut = {"trainer": {"accumulate_grad_batches": 2}, "data": {"batch_size": 1}}
    assert parts.fit(curriculum(), over=merged(steady, cut)) == 0

    for name, value in whole.weights().items():
        torch.testing.assert_close(parts.weights()[name], value, rtol=0, atol=1e-6)


def test_next_token_tuning_trains_the_heads_of_latents_which_the_curriculum_takes_over(small_store_path: Path, tmp_path: Path) -> None:
    tuned, run = Run(small_store_path, tmp_path / "tuned"), Run(small_store_path, tmp_path / "run")
    assert tuned.fit([TUNING], over=GROUNDED) == 0
    without = merged(GROUNDED, {"trainer": {"max_steps": 1}})

    weights = (
        "--model.encoder.weights",
        tuned.checkpoint_path("phase0"),
        "--model.optimization.predictor_lr",
        "0",
        "--seed_everything",
        "1",
    )
    assert run.fit([{"class_path": "clin_jepa.callbacks.PredictorWarmup", "init_args": {"steps": 2}}], *weights, over=without) == 0

    learned, taken = tuned.weights("phase0", "grounding."), run.weights("last", "grounding.")
    for name, value in taken.items():
        assert torch.equal(value, learned[name]) == ("future" not in name)
    assert any("outlook" in name for name in taken)


def test_a_run_without_grounding_starts_from_a_grounded_encoder_and_the_other_way_round(
    small_store_path: Path, grounded: Run, in_one_go: Run, tmp_path: Path
) -> None:
    for before, over in ((grounded, {}), (in_one_go, GROUNDED)):
        run = Run(small_store_path, tmp_path / before.folder.name)
        words = ("--model.encoder.weights", before.checkpoint_path("phase2"), "--trainer.max_steps", "1")
        assert run.fit(curriculum(), *words, over=over) == 0


def test_a_grounded_run_is_evaluated(grounded: Run, tmp_path: Path) -> None:
    assert clinjepa("validate", "--config", grounded.folder / "config.yaml", "--run", grounded.folder) == 0


@pytest.mark.parametrize(("words", "said"), [
    (("--model.grounding.ahead", "-1"), "weights must not be negative"),
    (("--model.grounding.present", "-0.1"), "weights must not be negative"),
    (("--model.grounding.outlook", "-2"), "weights must not be negative"),
    (("--model.grounding.horizons", "[0]"), "horizons are hours from 1 on"),
    (("--model.grounding.horizons", "[]"), "at least one"),
])  # fmt: skip
def test_numbers_out_of_range_are_refused(run: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    assert run.fit(curriculum(), *words, over=GROUNDED) != 0
    assert said in capsys.readouterr().err
