"""``clinjepa plan``: what it adds up is what a run then does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from clin_jepa.callbacks import JointRefinement, PredictorWarmup
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.latent_cache import page_of_each_text
from clin_jepa.data.windows import Windowing
from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.memory import activation_bytes, held_bytes, sizes_of
from clin_jepa.planning.operations import encoder_operations
from clin_jepa.planning.plan import PhasePlan, Planner
from clin_jepa.planning.rates import Rates, read_rates
from clin_jepa.planning.saved_activations import meta_encoder
from clin_jepa.planning.workload import Workload
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig
from tests.training_runs import Run, clinjepa, curriculum, phase, write_config

EVEN = Rates("a device of tests", 1e9, 1e9, 1e9, 1e9, 0.0, 1e9)


@pytest.fixture
def data(small_store_path: Path) -> TrajectoryDataModule:
    return TrajectoryDataModule(str(small_store_path), vocab_size=2048, batch_size=2, windowing=Windowing(hours=24))


def test_the_micro_batches_are_those_of_training(data: TrajectoryDataModule) -> None:
    sampled = Workload(data).sampled(6)
    batches: Iterator[Any] = iter(data.train_dataloader())
    for expected in sampled:
        batch = next(batches)
        assert expected.length_U.tolist() == batch.length_U.tolist()
        assert expected.state_length_U.tolist() == batch.length_U[torch.unique(batch.state_BT[batch.mask_BT])].tolist()
        assert (expected.windows, expected.hours) == (batch.n_windows, int(batch.n_hours.max()))
        assert expected.named_texts == 2 * int(batch.mask_BT.sum()) + batch.n_windows


def test_the_texts_to_encode_are_those_that_the_cache_then_holds(run: Run, data: TrajectoryDataModule) -> None:
    assert run.fit([phase(1, steps=2)]) == 0

    (cache,) = (run.folder / "latents").glob("*/pages.bin")
    pages = torch.frombuffer(bytearray(cache.read_bytes()), dtype=torch.uint8)
    encoded = int(pages[torch.from_numpy(page_of_each_text(data.tokens))].sum())
    assert len(Workload(data).lengths_to_encode(2 * 2, [])) == encoded


def planned(data: TrajectoryDataModule, *callbacks: Any, rates: Rates = EVEN, **options: Any) -> tuple[Planner, list[PhasePlan]]:
    module = ClinJEPA(encoder=EncoderConfig(vocab_size=2048), predictor=PredictorConfig(layers=1, width=32, heads=2, feed_forward=64))
    trainer = Trainer(
        callbacks=list(callbacks), accelerator="cpu", logger=False, enable_checkpointing=False, limit_val_batches=0, **options
    )
    planner = Planner(module, data, trainer, rates, base_bytes=0, memory_bytes=2**30)
    return planner, list(planner.plan().phases)


def test_joint_refinement_encodes_online_and_target_at_each_step(data: TrajectoryDataModule) -> None:
    planner, (warmup, joint) = planned(data, PredictorWarmup(2), JointRefinement(4))
    sampled = planner.sampled
    per_step = sum(batch.tokens + int(batch.state_length_U.sum()) for batch in sampled) / len(sampled)
    assert joint.tokens == pytest.approx(4 * per_step, rel=0.01)
    assert warmup.tokens == int(planner.workload.lengths_to_encode(2 * 2, []).sum())
    encoding = sum(encoder_operations(planner.encoder, b.length_U) + encoder_operations(planner.encoder, b.state_length_U) for b in sampled)
    assert joint.seconds > 4 * encoding / len(sampled) / 1e9


def test_twice_the_steps_take_twice_the_time_once_latents_are_cached(data: TrajectoryDataModule) -> None:
    once, twice = (planned(data, JointRefinement(steps))[1][0].seconds for steps in (20, 40))
    assert twice == pytest.approx(2 * once, rel=0.05)


def test_accumulated_micro_batches_cost_time_and_no_memory(data: TrajectoryDataModule) -> None:
    alone, accumulated = (planned(data, JointRefinement(20), accumulate_grad_batches=n)[1][0] for n in (1, 4))
    assert accumulated.seconds == pytest.approx(4 * alone.seconds, rel=0.1)
    assert accumulated.peak_bytes == pytest.approx(alone.peak_bytes, rel=0.3)


def test_the_largest_micro_batch_fills_the_memory_and_no_more(data: TrajectoryDataModule) -> None:
    planner, _ = planned(data, JointRefinement(4))
    regime, largest = JointRefinement(4).planned_regime(), planner.largest
    held = held_bytes(planner.module, planner.sizes, regime)
    growing = activation_bytes(planner.module, planner.encoder, largest, regime, "cpu")

    most = planner.plan().largest_batch_size

    def with_windows(count: int) -> float:
        return held + growing * count / largest.windows

    assert with_windows(most) <= 0.9 * 2**30 < with_windows(most + 1)


def test_shards_divide_what_is_held_but_not_what_grows_with_the_windows(data: TrajectoryDataModule) -> None:
    planner, _ = planned(data, JointRefinement(4))
    regime = JointRefinement(4).planned_regime()
    whole, cut = (held_bytes(planner.module, planner.sizes, regime, shards) for shards in (1, 2))
    held = 4 * (2 * planner.sizes.encoder + planner.sizes.target + 2 * planner.sizes.predictor)
    held += 8 * (planner.sizes.encoder + planner.sizes.predictor)
    assert whole - cut == pytest.approx(held / 2 - 2 * planner.sizes.largest_block, abs=16)


def test_the_sizes_of_a_published_model() -> None:
    module = ClinJEPA(encoder=EncoderConfig(base="qwen3_8b", random_weights=True, adaptation="lora", dtype="bfloat16"))
    with torch.device("meta"):
        predictor = LatentTrajectoryPredictor(4096, module.predictor_config)
    sizes = sizes_of(module, meta_encoder(module.encoder_config), predictor)

    assert (sizes.encoder, sizes.target, sizes.predictor) == (15_335_424, 15_335_424, 92_512_256)
    assert sizes.frozen == 2 * 8_190_735_360  # the model card's 8.2B


def test_the_command_line_prints_a_plan_and_leaves_nothing(
    run: Run, small_store_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path / "small.yaml", curriculum())
    words = ("plan", "--config", config, "--data.store", small_store_path, "--run", run.folder)

    assert clinjepa(*words, "--save_rates", tmp_path / "rates.json") == 0

    said = capsys.readouterr().out
    assert all(
        name in said for name in ("1 predictor_warmup", "2 joint_refinement", "5 predictor_finalization", "largest --data.batch_size")
    )
    assert not run.folder.exists()
    assert read_rates(tmp_path / "rates.json").encoder_training > 0

    assert clinjepa(*words, "--rates", tmp_path / "rates.json", "--device_memory", "80") == 0
    assert "of 80 GB" in capsys.readouterr().out


@pytest.mark.parametrize(("content", "words"), [(None, "do not exist"), ("{}", "holds no rates"), ("[", "holds no rates")])
def test_rates_that_are_none_are_refused(
    run: Run, small_store_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    config, rates = write_config(tmp_path / "small.yaml", curriculum()), tmp_path / "rates.json"
    if content is not None:
        rates.write_text(content)
    assert clinjepa("plan", "--config", config, "--data.store", small_store_path, "--rates", rates) == 2
    assert words in capsys.readouterr().err


def test_a_plan_without_phases_is_refused(small_store_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path / "small.yaml", [])
    assert clinjepa("plan", "--config", config, "--data.store", small_store_path) == 2
    assert "list phase callbacks in trainer.callbacks" in capsys.readouterr().err
