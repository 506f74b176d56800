"""What a run writes to TensorBoard, and what the monitors make of the latents."""

import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.callbacks import CollapseMonitor, GapMonitor
from clin_jepa.callbacks.tensorboard_page import _LAYOUT
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.windows import Windowing
from clin_jepa.evaluation.collapse import collapse_measures
from clin_jepa.module import ClinJEPA, Latents
from clin_jepa.optimization import warmup_then_cosine
from tests.training_runs import PHASES, STARTS, TOTAL_STEPS, Run, clinjepa, curriculum, merged, phase

GROUPS = {"train", "val", "phase", "collapse", "rollout", "device"}
WATCHED = {
    "trainer": {"limit_val_batches": 1.0, "val_check_interval": 2, "log_every_n_steps": 1},
    "rollout_monitor": {"context": 6, "horizon": 12},
}
COLLAPSE = {"class_path": "tests.test_monitors.Collapse"}


class Collapse(Callback):
    """Makes the encoder say the same of every text, from an optimizer step on."""

    def __init__(self, step: int = 4) -> None:
        self.step = step

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, ClinJEPA)
        if trainer.global_step >= self.step:
            with torch.no_grad():
                for parameter in pl_module.encoder.online_parameters().values():
                    parameter.zero_()
            pl_module.regime = pl_module.regime  # the cache looks at the weights again


def events(run: Run) -> dict[str, list[int]]:
    """Steps of each scalar tag."""
    accumulator = EventAccumulator(str(run.folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {tag: [event.step for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def values(run: Run, tag: str) -> dict[int, float]:
    accumulator = EventAccumulator(str(run.folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {event.step: event.value for event in accumulator.Scalars(tag)}


@pytest.fixture(scope="module")
def watched(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(small_store_path, tmp_path_factory.mktemp("watched") / "run")
    assert run.fit(curriculum(), over=WATCHED) == 0
    return run


@pytest.fixture(scope="module")
def accumulated(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(small_store_path, tmp_path_factory.mktemp("accumulated") / "run")
    over = merged(WATCHED, {"trainer": {"accumulate_grad_batches": 2, "val_check_interval": 4}})
    assert run.fit(curriculum(), over=over) == 0
    return run


@pytest.mark.parametrize("which", ["watched", "accumulated"])
def test_all_six_groups_are_there(which: str, request: pytest.FixtureRequest) -> None:
    assert {tag.split("/")[0] for tag in events(request.getfixturevalue(which)) if "/" in tag} >= GROUPS


@pytest.mark.parametrize("which", ["watched", "accumulated"])
def test_steps_are_optimizer_steps(which: str, request: pytest.FixtureRequest) -> None:
    found = events(request.getfixturevalue(which))
    for tag, steps in found.items():
        if tag.split("/")[0] in GROUPS:
            assert min(steps) >= 0 and max(steps) <= TOTAL_STEPS, tag
    validated = ("val/mase_h1", "collapse/rankme", "collapse/l1_over_mad", "collapse/gap_parameters", "collapse/gap_latents")
    for tag in (*validated, "rollout/mase_h12"):
        assert sorted(set(found[tag])) == [2, 4, 6, 8, 10, 12], tag


@pytest.mark.parametrize("which", ["watched", "accumulated"])
@pytest.mark.parametrize("tag", ["train/loss", "train/lr_encoder", "phase/number", "device/tokens_per_s"])
def test_a_training_figure_is_written_once_for_each_optimizer_step(which: str, tag: str, request: pytest.FixtureRequest) -> None:
    steps = events(request.getfixturevalue(which))[tag]
    assert len(steps) == len(set(steps)) and len(steps) in (TOTAL_STEPS, TOTAL_STEPS + 1)


def test_the_phase_of_each_step_is_written(watched: Run) -> None:
    numbers = values(watched, "phase/number")
    assert [numbers[step] for step in (1, 2, 4, 5, 6, 8, 9, 11, 12)] == [1, 1, 2, 2, 2, 3, 3, 5, 5]


def test_the_gap_is_written_in_the_ema_phases_only(watched: Run) -> None:
    steps = events(watched)["phase/online_target_gap"]
    assert steps == [4, 5, 6, 7, 8, 9, 10]


def test_the_gap_at_validation_is_that_of_training(watched: Run) -> None:
    gap, while_training = values(watched, "collapse/gap_parameters"), values(watched, "phase/online_target_gap")

    assert [gap[step] for step in (4, 6, 8)] == pytest.approx([while_training[step] for step in (4, 6, 8)])
    assert [step for step, value in gap.items() if value == 0.0] == [2, 10, 12]  # warmup, and from hard sync on
    assert [step for step, value in values(watched, "collapse/gap_latents").items() if value == 0.0] == [2, 10, 12]


def test_the_gap_in_latents_is_over_all_validation_hours(watched: Run, tmp_path: Path) -> None:
    module = ClinJEPA.from_checkpoint(watched.checkpoint_path("phase2"))
    data = TrajectoryDataModule(str(watched.store), vocab_size=2048, batch_size=2, windowing=Windowing(hours=24))
    online, target = [], []
    with torch.no_grad():
        for batch in data.val_dataloader():
            for latents, encoder in ((online, module.encoder), (target, module.target)):
                latents.append(encoder(batch.token_N, batch.length_U)[batch.state_BT[batch.mask_BT]])
    expected = (torch.cat(online) - torch.cat(target)).norm() / torch.cat(online).norm()

    found = quiet_trainer(tmp_path, GapMonitor()).validate(module, data, verbose=False)[0]

    assert found["collapse/gap_latents"] == pytest.approx(float(expected), rel=1e-3) != 0.0


def test_the_error_is_also_in_units_of_the_latents_deviation(watched: Run) -> None:
    loss, deviation = values(watched, "val/loss"), values(watched, "collapse/mean_absolute_deviation")

    for step, ratio in values(watched, "collapse/l1_over_mad").items():
        assert ratio == pytest.approx(loss[step] / deviation[step], rel=1e-4)


def test_learning_rates_are_those_of_the_schedule(watched: Run) -> None:
    factor = warmup_then_cosine(TOTAL_STEPS, 0.1)
    for step, rate in values(watched, "train/lr_predictor").items():
        assert rate == pytest.approx(5e-4 * factor(step), rel=1e-4)


def test_hyperparameters_come_with_their_metric(watched: Run) -> None:
    accumulator = EventAccumulator(str(watched.folder))
    accumulator.Reload()
    plugins = accumulator.PluginTagToContent("hparams")
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= plugins.keys()
    assert "val/mase_h1" in str(plugins["_hparams_/experiment"])


def test_the_custom_page_draws_tags_that_exist(watched: Run) -> None:
    accumulator = EventAccumulator(str(watched.folder))
    accumulator.Reload()
    assert "custom_scalars__config__" in accumulator.PluginTagToContent("custom_scalars")
    tags = events(watched)
    for charts in _LAYOUT.values():
        for title, (_, patterns) in charts.items():
            assert any(re.fullmatch(pattern, tag) for pattern in patterns for tag in tags), title


def test_a_run_continued_in_its_folder_writes_every_step_once(run: Run, watched: Run) -> None:
    assert run.fit(curriculum(), "--trainer.max_steps", "6", "--checkpoint_every", "1", over=WATCHED) == 0
    assert run.fit(curriculum(), "--ckpt_path", "last", over=WATCHED) == 0

    for tag in ("train/loss", "val/mase_h1", "collapse/rankme", "phase/number"):
        assert values(run, tag) == pytest.approx(values(watched, tag), rel=1e-4), tag


# ---------------------------------------------------------------------- validation figures


def validated(run: Run, folder: Path, batch_size: int) -> dict[str, float]:
    """Validation figures of a finished run."""
    data = TrajectoryDataModule(str(run.store), vocab_size=2048, batch_size=batch_size, windowing=Windowing(hours=24))
    found: dict[str, float] = quiet_trainer(folder).validate(ClinJEPA.from_checkpoint(run.checkpoint_path()), data, verbose=False)[0]
    return found


def quiet_trainer(folder: Path, *callbacks: Callback) -> Trainer:
    return Trainer(
        callbacks=list(callbacks),
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def test_validation_means_are_over_windows_not_over_batches(watched: Run, tmp_path: Path) -> None:
    # A mean over batches would weigh the last, smaller batch more.
    assert validated(watched, tmp_path, batch_size=2) == pytest.approx(validated(watched, tmp_path, batch_size=5), rel=1e-4)


# ---------------------------------------------------------------------- the collapse monitor


def batch_of(mask: list[list[bool]], stays: list[int], first_hours: list[int]) -> TrajectoryBatch:
    mask_BT = torch.tensor(mask)
    hour_BT = (torch.tensor(first_hours)[:, None] + torch.arange(mask_BT.shape[1])) * mask_BT
    nothing = torch.zeros_like(mask_BT, dtype=torch.int64)
    one = torch.ones(1, dtype=torch.int64)
    return TrajectoryBatch(one, one, one, nothing, nothing, nothing[:, 0], mask_BT, hour_BT, torch.tensor(stays))


def measured(monitor: CollapseMonitor, batches: list[tuple[TrajectoryBatch, torch.Tensor]]) -> dict[str, float]:
    """Feed batches to the monitor as validation does, and return what it measured."""
    module = ClinJEPA()
    module.log = module.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    trainer = quiet_trainer(Path())
    monitor.on_validation_epoch_start(trainer, module)
    for number, (batch, state_BTD) in enumerate(batches):
        outputs = {"latents": Latents(state_BTD[:, 0], state_BTD, state_BTD), "l1_B": torch.ones(len(state_BTD))}
        monitor.on_validation_batch_end(trainer, module, outputs, batch, number)
    monitor.on_validation_epoch_end(trainer, module)
    found: dict[str, float] = monitor.history[-1]["measures"]
    return found


def test_padding_does_not_count() -> None:
    torch.manual_seed(0)
    state_BTD = torch.randn(2, 4, 8)
    batch = batch_of([[True] * 4, [True, True, False, False]], [1, 2], [0, 0])
    expected = collapse_measures(state_BTD[batch.mask_BT], torch.tensor([1, 1, 1, 1, 2, 2]))
    state_BTD[~batch.mask_BT] = 1e6

    assert measured(CollapseMonitor(), [(batch, state_BTD)]) == pytest.approx(expected)


def test_an_hour_that_lies_in_two_windows_counts_once() -> None:
    torch.manual_seed(0)
    stay = torch.randn(6, 8)
    windows = torch.stack([stay[:4], stay[2:]])
    overlapping = batch_of([[True] * 4] * 2, [1, 1], [0, 2])

    together = measured(CollapseMonitor(), [(overlapping, windows)])
    apart = measured(CollapseMonitor(), [(batch_of([[True] * 4], [1], [k]), w[None]) for k, w in zip((0, 2), windows, strict=True)])

    expected = pytest.approx(collapse_measures(stay, torch.ones(6)))
    assert together == expected
    assert apart == expected


def test_a_collapse_warns_with_step_and_phase(run: Run) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert run.fit([phase(1), phase(2), COLLAPSE], over=WATCHED) == 0

    said = [str(warning.message).strip() for warning in caught if "collapse" in str(warning.message)]
    assert len(said) == 2
    assert said[0].startswith("collapse at step 4, phase 2 joint_refinement: all latents are one point")
    assert {step for step, found in values(run, "collapse/findings").items() if found > 0} == {4, 6}


def test_a_collapse_stops_the_run_if_asked(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="collapse at step 4"):
        code = run.fit([phase(1), phase(2), COLLAPSE], "--collapse_monitor.action", "stop", over=WATCHED)

    assert code == 3
    assert "the collapse monitor stopped the run at step 4: train on from the checkpoint of an earlier phase" in capsys.readouterr().err
    assert run.checkpoint("last")["global_step"] == 4
    assert max(events(run)["train/loss"]) < 7
    assert not run.checkpoint_path("phase2").exists()


def test_without_a_validation_in_phase_1_the_reference_is_measured_before_the_encoder_trains(run: Run, validated_each_step: Run) -> None:
    assert run.fit(curriculum(), over=merged(WATCHED, {"trainer": {"val_check_interval": 5}})) == 0

    found, expected = (r.checkpoint()["callbacks"]["CollapseMonitor"] for r in (run, validated_each_step))
    assert [entry["step"] for entry in found["history"]] == [5, 10]
    assert found["reference"] == pytest.approx(expected["history"][2]["measures"], rel=1e-4)  # at the end of phase 1
    assert found["reference"] != pytest.approx(found["history"][0]["measures"], rel=1e-4)


def test_an_arm_without_phase_1_is_held_against_its_own_beginning(run: Run, validated_each_step: Run) -> None:
    assert run.fit(curriculum(1), over=WATCHED) == 0

    # No step of warmup moves a latent.
    expected = validated_each_step.checkpoint("phase1")["callbacks"]["CollapseMonitor"]["history"][0]["measures"]
    assert run.checkpoint()["callbacks"]["CollapseMonitor"]["reference"] == pytest.approx(expected, rel=1e-4)


def test_a_run_without_validation_measures_no_reference(run: Run) -> None:
    assert run.fit([phase(1), phase(2)]) == 0
    assert run.checkpoint("phase2")["callbacks"]["CollapseMonitor"]["reference"] is None


def test_the_first_hours_are_kept_and_no_more() -> None:
    torch.manual_seed(0)
    stay = torch.randn(1, 6, 8)

    found = measured(CollapseMonitor(most_hours=4), [(batch_of([[True] * 6], [1], [0]), stay)])

    assert found == pytest.approx(collapse_measures(stay[0, :4], torch.ones(4)))


def test_the_reference_survives_a_resume(watched: Run, run: Run) -> None:
    assert run.fit(curriculum(), "--trainer.max_steps", "6", "--checkpoint_every", "1", over=WATCHED) == 0
    assert run.fit(curriculum(), "--ckpt_path", "last", over=WATCHED) == 0

    states = [r.checkpoint()["callbacks"]["CollapseMonitor"] for r in (run, watched)]
    assert states[0]["reference"] == pytest.approx(states[1]["reference"])
    assert [[entry["step"] for entry in state["history"]] for state in states] == [[2, 4, 6, 8, 10, 12]] * 2


EACH_STEP = merged(WATCHED, {"trainer": {"val_check_interval": 1}})


@pytest.fixture(scope="module")
def validated_each_step(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(small_store_path, tmp_path_factory.mktemp("each_step") / "run")
    assert run.fit(curriculum(), over=EACH_STEP) == 0
    return run


@pytest.mark.parametrize(("number", "step"), [(1, 3), (2, 7), (4, 10), (5, 13)])
def test_a_phase_s_checkpoint_holds_the_validation_at_its_edge(validated_each_step: Run, number: int, step: int) -> None:
    checkpoint = validated_each_step.checkpoint(f"phase{number}")
    state = checkpoint["callbacks"]["CollapseMonitor"]

    assert [entry["step"] for entry in state["history"]] == list(range(1, step + 1))
    assert state["history"][-1]["phase"].startswith(f"{number} ")
    assert state["reference"] == state["history"][2]["measures"]
    assert checkpoint["clin_jepa"]["position"]["number"] == number


def test_saving_behind_the_validation_changes_no_weight(validated_each_step: Run, in_one_go: Run) -> None:
    for number in PHASES:
        found, expected = validated_each_step.weights(f"phase{number}"), in_one_go.weights(f"phase{number}")
        assert [name for name, value in expected.items() if not torch.equal(value, found[name])] == [], number


def test_phases_one_at_a_time_see_each_validation_once(validated_each_step: Run, run: Run) -> None:
    for number in PHASES:
        own = phase(number) if number == 1 else phase(number, start=STARTS[number])
        assert run.fit([own], over=EACH_STEP) == 0

    states = [r.checkpoint()["callbacks"]["CollapseMonitor"] for r in (run, validated_each_step)]
    assert [entry["step"] for entry in states[0]["history"]] == list(range(1, TOTAL_STEPS + 1))
    assert states[0]["reference"] == pytest.approx(states[1]["reference"])
    assert [name for name, value in validated_each_step.weights().items() if not torch.equal(value, run.weights()[name])] == []


# ---------------------------------------------------------------------- throughput


def test_padding_is_logged_where_texts_are_encoded_and_cache_hits_where_they_are_not(watched: Run) -> None:
    useful, hits = values(watched, "device/useful_token_share"), values(watched, "device/cache_hit_share")

    assert useful and hits
    assert all(3 < step <= 9 for step in useful)  # joint refinement, and alignment, whose target encodes
    assert not any(3 < step <= 7 for step in hits)
    assert all(0.8 < share <= 1.0 for share in useful.values())
    assert all(0.0 <= share <= 1.0 for share in hits.values())
    assert list(hits.values())[-1] == 1.0  # phase 5 begins with what phase 3 has encoded
    assert not any("mfu" in tag for tag in events(watched))  # nobody states the peak of a CPU


# ---------------------------------------------------------------------- the rollout monitor


def test_windows_too_short_for_the_rollout_are_named_once(run: Run) -> None:
    with pytest.warns(UserWarning, match="no rollout") as caught:
        assert run.fit([phase(1)], over=merged(EACH_STEP, {"rollout_monitor": {"context": 24, "horizon": 48}})) == 0

    said = [str(warning.message) for warning in caught if "no rollout" in str(warning.message)]
    assert len(said) == 1
    assert "has the 24 h of context and 48 h of horizon, the longest has 24 h: lower --rollout_monitor.context" in said[0]
    assert not any(tag.startswith("rollout/") for tag in events(run))


def test_the_reference_is_the_last_validation_of_warmup(watched: Run) -> None:
    state: dict[str, Any] = watched.checkpoint()["callbacks"]["CollapseMonitor"]
    at_step_2 = next(entry["measures"] for entry in state["history"] if entry["step"] == 2)
    assert state["reference"] == at_step_2


def test_no_monitor_speaks_of_collapse_in_a_healthy_run(watched: Run) -> None:
    assert set(values(watched, "collapse/findings").values()) == {0.0}


def test_measuring_does_not_touch_the_events(watched: Run, tmp_path: Path) -> None:
    copy = Run(watched.store, Path(shutil.copytree(watched.folder, tmp_path / "copy")))
    before = {file.name: file.stat().st_size for file in copy.folder.glob("events.*")}
    assert clinjepa("validate", "--config", copy.folder / "config.yaml", "--run", copy.folder) == 0
    assert {file.name: file.stat().st_size for file in copy.folder.glob("events.*")} == before
