"""``clinjepa plan``: what it adds up is what a run then does."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from clin_jepa.callbacks import HardSync, JointRefinement, NextTokenTuning, PredictorFinalization, PredictorWarmup
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.latent_cache import first_text_of_each_page, page_of_text
from clin_jepa.data.windows import Windowing
from clin_jepa.encoder import TextEncoder
from clin_jepa.errors import InputError
from clin_jepa.grounding import GroundingConfig
from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.memory import activation_bytes, held_bytes, sizes_of
from clin_jepa.planning.operations import encoder_operations
from clin_jepa.planning.plan import PhasePlan, Planner
from clin_jepa.planning.rates import Rates, described, read_rates
from clin_jepa.planning.saved_activations import meta_encoder
from clin_jepa.planning.workload import Workload
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig
from tests.language_models import save_language_model
from tests.training_runs import Run, clinjepa, curriculum, phase, write_config

EVEN = Rates("a device of tests", "cpu", 2**30, described(EncoderConfig()), 1e9, 1e9, 1e9, 1e9, 0.0, 1e9)


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
    encoded = int(pages[torch.from_numpy(page_of_text(np.arange(data.tokens.n_texts), first_text_of_each_page(data.tokens)))].sum())
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
    gathered = 2 * planner.sizes.largest_block + planner.sizes.outside_blocks
    assert whole - cut == pytest.approx(held / 2 - gathered, abs=16)


def test_the_sizes_of_a_published_model() -> None:
    module = ClinJEPA(encoder=EncoderConfig(base="qwen3_8b", random_weights=True, adaptation="lora", dtype="bfloat16"))
    with torch.device("meta"):
        predictor = LatentTrajectoryPredictor(4096, module.predictor_config)
    sizes = sizes_of(module, meta_encoder(module.encoder_config), predictor)

    assert (sizes.encoder, sizes.target, sizes.predictor) == (15_335_424, 15_335_424, 92_512_256)
    assert sizes.frozen == 2 * 8_190_735_360  # the model card's 8.2B


def test_grounding_heads_count_with_the_predictor() -> None:
    predictor = PredictorConfig(layers=1, width=32, heads=2, feed_forward=64)
    encoder = EncoderConfig(vocab_size=2048)
    plain, grounded = (
        ClinJEPA(encoder, predictor, grounding=GroundingConfig(ahead=weight, outlook=weight, horizons=[6, 24]), variables=["a", "b", "c"])
        for weight in (0.0, 1.0)
    )
    shape = meta_encoder(encoder)
    sizes = [sizes_of(module, shape, LatentTrajectoryPredictor(shape.latent_dim, predictor)).predictor for module in (plain, grounded)]
    grounded.configure_model()
    assert grounded.grounding is not None
    assert sizes[1] - sizes[0] == sum(p.numel() for p in grounded.grounding.parameters()) > 0


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


RATES_THAT_ARE_NONE = [
    (None, "do not exist"),
    ("{}", "holds no rates"),
    ("[", "holds no rates"),
    (json.dumps(asdict(EVEN) | {"encoder_forward": 0}), "encoder_forward is 0, not a number above 0"),
    (json.dumps(asdict(EVEN) | {"encoder_training": float("nan")}), "encoder_training is nan"),
    (json.dumps(asdict(EVEN) | {"optimizer": "fast"}), "optimizer is 'fast'"),
    (json.dumps(asdict(EVEN) | {"rollout_s": None}), "rollout_s None"),
]


@pytest.mark.parametrize(("content", "words"), RATES_THAT_ARE_NONE)
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


GPU = Rates("a GPU of tests", "cuda", 80 * 2**30, "qwen3 of width 128, bfloat16", 1e14, 1e14, 1e14, 1e14, 0.01, 1e10)


@pytest.mark.parametrize("recipe", ["workstation_gpu", "one_80gb_gpu", "eight_gpus", "several_nodes"])
def test_each_recipe_is_planned_for_its_gpus_on_a_machine_without_one(
    small_store_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str
) -> None:
    GPU.save(tmp_path / "gpu.json")
    words = ("plan", "--config", "curriculum.yaml", "--config", f"recipes/{recipe}.yaml", "--data.store", small_store_path)
    small = ("--model.encoder.base", "tiny", "--model.encoder.quantization", "none", "--model.optimization.total_steps", "50")

    assert clinjepa(*words, *small, "--rates", tmp_path / "gpu.json") == 0

    said = capsys.readouterr().out
    processes = {"eight_gpus": 8, "several_nodes": 16}.get(recipe, 1)
    assert f"on {processes} x a GPU of tests" in said
    assert "of 80 GB" in said


def test_a_gpu_that_is_not_here_needs_rates(small_store_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("plan", "--config", "curriculum.yaml", "--data.store", small_store_path, "--trainer.accelerator", "gpu")
    assert clinjepa(*words) == 2
    assert "has no GPU to measure: give the rates of one with --rates" in capsys.readouterr().err


def test_rates_of_another_encoder_are_refused(data: TrajectoryDataModule) -> None:
    with pytest.raises(InputError, match=r"the rates are those of a qwen3 of width 128, bfloat16, and this run has a .* float32"):
        planned(data, JointRefinement(1), rates=GPU)


@pytest.mark.parametrize("memory", ["0", "-5", "nan"])
def test_a_device_without_memory_is_refused(small_store_path: Path, capsys: pytest.CaptureFixture[str], memory: str) -> None:
    words = ("plan", "--config", "curriculum.yaml", "--data.store", small_store_path)
    assert clinjepa(*words, f"--device_memory={memory}") == 2
    assert "device_memory" in capsys.readouterr().err


def test_finalization_without_hard_sync_is_planned_with_the_target_s_passes(data: TrajectoryDataModule) -> None:
    synced = planned(data, JointRefinement(4), HardSync(), PredictorFinalization(4))[1][-1]
    apart = planned(data, JointRefinement(4), PredictorFinalization(4))[1][-1]
    planner, _ = planned(data, PredictorFinalization(4))
    of_target = sum(int(batch.state_length_U.sum()) for batch in planner.sampled)
    assert apart.tokens - synced.tokens == pytest.approx(4 * of_target / len(planner.sampled), rel=0.3)


def test_next_token_tuning_is_planned_with_its_logits(data: TrajectoryDataModule) -> None:
    (tuned,) = planned(data, NextTokenTuning(4))[1]
    planner, _ = planned(data, NextTokenTuning(4))
    blocks = sum(encoder_operations(planner.encoder, batch.length_U) for batch in planner.sampled) * 4 / len(planner.sampled)
    tokens = sum(batch.tokens - len(batch.length_U) for batch in planner.sampled) * 4 / len(planner.sampled)
    # Logits over 2048 words and the last feed-forward layer, a multiplication and an addition for each weight, computed twice in three
    # passes.
    ahead = 4 / 3 * 2 * (2048 * 128 + 3 * 128 * 384) * tokens
    assert tuned.seconds - planner.sizes.encoder * 4 / 1e9 == pytest.approx((blocks + ahead) / 1e9, rel=0.02)


def test_a_4_bit_base_is_planned_as_large_as_it_is(tmp_path: Path) -> None:
    folder = save_language_model(tmp_path / "base", hidden_size=256)
    config = EncoderConfig(base=str(folder), adaptation="lora", quantization="nf4", dtype="bfloat16")
    module = ClinJEPA(encoder=config)
    with torch.device("meta"):
        predictor = LatentTrajectoryPredictor(256, module.predictor_config)
    held = {p.data_ptr(): p.untyped_storage().nbytes() for p in TextEncoder(config).parameters() if not p.requires_grad}
    sizes = sizes_of(module, meta_encoder(config), predictor)
    assert sizes.frozen + 4 * sizes.target == pytest.approx(sum(held.values()), rel=0.05)
