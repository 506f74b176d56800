"""The EMA target as a second adapter, against a full copy of the encoder, and against no target at all: memory and time of joint steps."""

import copy
import statistics
from typing import Any, Literal

import torch
from transformers import Qwen3Config

from benchmarks.material import Material
from benchmarks.resident_memory import Peak, measured_apart
from benchmarks.timing import seconds, spread
from benchmarks.training_steps import BareTraining
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.windows import Windowing
from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.process_memory import private_bytes
from clin_jepa.predictor import PredictorConfig
from clin_jepa.regime import Regime

Target = Literal["twin adapter", "full copy", "none"]

# Large enough that weights and activations, and not the Python process, are what is measured.
_SHAPE = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4}
_STEPS = 3
# Each target in so many processes, in turn.
_PROCESSES = 3
_TARGETS: tuple[Target, ...] = ("twin adapter", "full copy", "none")


def measure_target_memory(material: Material) -> dict[str, Any]:
    """Each target in a process of its own; memory is what was added since before the model was built."""
    base = material.folder / "language_model"
    Qwen3Config(**_SHAPE, head_dim=64, vocab_size=4096, tie_word_embeddings=True).save_pretrained(base)
    found: dict[str, list[dict[str, Any]]] = {target: [] for target in _TARGETS}
    for _ in range(_PROCESSES):
        for target in _TARGETS:
            found[target].append(measured_apart(_joint_steps, str(material.store), str(base), target))
    seconds_of = {target: [taken for figures in found[target] for taken in figures["seconds"]] for target in _TARGETS}
    peaks = {target: [figures["peak_mb"] for figures in found[target]] for target in _TARGETS}
    row = {
        "name": "joint step with LoRA",
        "ours_s": spread(seconds_of["twin adapter"]),
        "plain_s": spread(seconds_of["full copy"]),
        "ratio": round(statistics.median(seconds_of["full copy"]) / statistics.median(seconds_of["twin adapter"]), 2),
    }
    least = statistics.median(peaks["none"])
    return {
        "rows": [row],
        "peak_mb": peaks,
        "twin_adapter_over_no_target": round(statistics.median(peaks["twin adapter"]) / least, 3),
        "full_copy_over_no_target": round(statistics.median(peaks["full copy"]) / least, 3),
    }


def _joint_steps(store: str, base: str, target: Target) -> dict[str, Any]:
    torch.set_num_threads(2)
    data = TrajectoryDataModule(store, batch_size=2, windowing=Windowing(hours=24))
    batch = next(iter(data.train_dataloader()))
    before = private_bytes()
    module = _module(base)
    if target == "full copy":
        copied = copy.deepcopy(module.encoder).requires_grad_(False)
        module.target.copy_ = copied
    regime = Regime(train_encoder=True, target="online" if target == "none" else "ema", rollout="teacher_forced")
    training = BareTraining(module)
    training.step(batch, regime)
    with Peak() as peak:
        times = [seconds(lambda: training.step(batch, regime)) for _ in range(_STEPS)]
    return {"peak_mb": round((peak.most - before) / 2**20), "tokens": len(batch.token_N), "seconds": times}


def _module(base: str) -> ClinJEPA:
    torch.manual_seed(0)
    module = ClinJEPA(
        encoder=EncoderConfig(base=base, random_weights=True, adaptation="lora"),
        predictor=PredictorConfig(layers=6, width=256, heads=8, feed_forward=1024, dropout=0.0, attention_dropout=0.0),
    )
    module.configure_model()
    return module
