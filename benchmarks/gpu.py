"""``make bench-gpu``: Qwen3-8B with LoRA on one GPU, against an ordinary Hugging Face + PEFT loop with padding; random weights.

The lengths of the texts are those of a real store; what the tokens are does not change the work. Prints as JSON and writes
``benchmarks/gpu_results.json``: of joint steps (phase 2) tokens a second, patient hours a second, model FLOP utilisation and peak memory,
on a bf16 base and on a 4-bit one; a step of phase 1 with latents at hand; the same joint step in the padded loop.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from benchmarks.__main__ import circumstances
from benchmarks.material import Material, open_material
from benchmarks.plain.padded_encoder import texts_of_windows
from benchmarks.training_steps import BareTraining
from clin_jepa.atomic_file import write_atomically
from clin_jepa.batch import TrajectoryBatch
from clin_jepa.callbacks import JointRefinement, PredictorWarmup
from clin_jepa.language_model import EncoderConfig, architecture
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.device_peaks import peak_operations
from clin_jepa.planning.operations import step_operations
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig
from clin_jepa.quiet import silence_expected_notices

RESULTS = Path(__file__).parent / "gpu_results.json"
_REPEATS = 5
_PREDICTOR = PredictorConfig(dropout=0.0, attention_dropout=0.0)


class LatentsAtHand:
    """Stands for a full cache: random latents of one batch, already on the device."""

    def __init__(self, texts: int, latent_dim: int, device: torch.device) -> None:
        self.latent_UD = torch.randn(texts, latent_dim, device=device)

    def latents(self, text_ids: Tensor, encode: Any) -> Tensor:
        """Those of the one batch, whatever is asked."""
        return self.latent_UD


class PaddedPeftLoop:
    """A joint step as one would write it first: padded batches, a second model as EMA target, checkpointed activations.

    Args:
        config: The encoder.
        predictor: The predictor, trained along.
        device: Where.
    """

    def __init__(self, config: EncoderConfig, predictor: nn.Module, device: torch.device) -> None:
        shape, dtype = copy.deepcopy(architecture(config)), getattr(torch, config.dtype)
        with torch.device(device):
            base = AutoModelForCausalLM.from_config(shape, dtype=dtype, attn_implementation="sdpa")
        lora = LoraConfig(r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=config.lora_targets, task_type="CAUSAL_LM")
        self.model: Any = get_peft_model(base, lora)
        # Of the target only the adapter is a copy; even the padded loop could not hold two bases of this size.
        self.model.add_adapter("target", lora)
        self.model.to(device)
        if config.activation_checkpointing:
            self.model.enable_input_require_grads()
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.predictor, self.device = predictor, device
        trained = [p for p in (*self.model.parameters(), *predictor.parameters()) if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-6)

    def step(self, batch: TrajectoryBatch) -> None:
        """Encode all texts of all windows, the states once more with the target, predict, and step."""
        texts, hours = texts_of_windows(batch), batch.n_hours.tolist()
        with torch.autocast(self.device.type, torch.bfloat16):
            with torch.no_grad():
                self.model.set_adapter("target")
                targets = [self._encode(states) for states in texts[1::3]]
                self.model.set_adapter("default")
            online = [self._encode(part) for part in texts]
            static_BD = torch.cat(online[::3])
            state_BTD, action_BTD, target_BTD = (
                nn.utils.rnn.pad_sequence(parts, batch_first=True) for parts in (online[1::3], online[2::3], targets)
            )
            predicted_BTD = self.predictor(static_BD, state_BTD, action_BTD)
            valid_BT = torch.arange(1, max(hours), device=self.device) < torch.tensor(hours, device=self.device)[:, None]
            loss = (predicted_BTD[:, :-1] - target_BTD[:, 1:]).abs().mean(dim=-1)[valid_BT].mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _encode(self, texts: list[Tensor]) -> Tensor:
        tokens_UL = nn.utils.rnn.pad_sequence(texts, batch_first=True).to(self.device)
        length_U = torch.tensor([len(text) for text in texts], device=self.device)
        mask_UL = torch.arange(tokens_UL.shape[1], device=self.device) < length_U[:, None]
        decoder = self.model.get_base_model().get_decoder()
        hidden_ULD = decoder(input_ids=tokens_UL, attention_mask=mask_UL.long(), use_cache=False).last_hidden_state
        latents: Tensor = hidden_ULD[torch.arange(len(texts), device=self.device), length_U - 1].float()
        return latents


def measure(material: Material, base: str, windows: int, device: torch.device, scratch: Path) -> dict[str, Any]:
    """All figures of one device.

    Args:
        material: The store.
        base: ``qwen3_8b``, or a smaller shape to try the script with.
        windows: Of a micro-batch.
        device: Where.
        scratch: Room for a base on disk, which 4 bits are made from: 16 GB for ``qwen3_8b``.
    """
    half = EncoderConfig(base=base, random_weights=True, adaptation="lora", dtype="bfloat16", activation_checkpointing=True)
    (batch,) = material.batches(1, batch_size=windows)
    batch = _within(batch, int(architecture(half).get_text_config().vocab_size)).to(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    about = {"device": name, "base": base, "windows": windows, "patient_hours": int(batch.mask_BT.sum()), "tokens": len(batch.token_N)}
    folder = scratch / f"{base}_as_files"
    found = {}
    found["joint step, bf16 base"], found["step of phase 1, latents at hand"] = _ours(half, batch, device, name)
    _empty(device)
    found["joint step, padded loop"] = _timed_padded(half, batch, device)
    _empty(device)
    _save_base(half, device, folder)
    four_bits = replace(half, base=str(folder), random_weights=False, quantization="nf4")
    found["joint step, 4-bit base"], _ = _ours(four_bits, batch, device, name)
    ratio = found["joint step, padded loop"]["step_s"] / found["joint step, bf16 base"]["step_s"]
    return {**about, **found, "padded_over_ours": round(ratio, 2)}


def _ours(config: EncoderConfig, batch: TrajectoryBatch, device: torch.device, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A joint step, and one of phase 1 with latents at hand."""
    module = _module(config, device)
    joint, warmup = JointRefinement(1).planned_regime(), PredictorWarmup(1).planned_regime()
    training = BareTraining(module)
    module.regime = joint
    operations, peak = step_operations(module, batch), peak_operations(name, torch.bfloat16)
    with torch.autocast(device.type, torch.bfloat16):
        figures = _timed(device, lambda: training.step(batch, joint))
    seconds = figures["step_s"]
    figures["tokens_per_s"] = round(len(batch.token_N) / seconds)
    figures["patient_hours_per_s"] = round(int(batch.mask_BT.sum()) / seconds, 1)
    figures["mfu"] = round(operations / seconds / peak, 3) if peak else None
    at_hand: Any = LatentsAtHand(len(batch.text_id_U), module.encoder.latent_dim, device)
    cached = BareTraining(module, at_hand)
    with torch.autocast(device.type, torch.bfloat16):
        return figures, _timed(device, lambda: cached.step(batch, warmup))


def _timed_padded(config: EncoderConfig, batch: TrajectoryBatch, device: torch.device) -> dict[str, Any]:
    predictor = LatentTrajectoryPredictor(int(architecture(config).get_text_config().hidden_size), _PREDICTOR).to(device)
    loop, on_cpu = PaddedPeftLoop(config, predictor, device), batch.to("cpu")
    return _timed(device, lambda: loop.step(on_cpu))


def _save_base(config: EncoderConfig, device: torch.device, folder: Path) -> None:
    if not folder.is_dir():
        with torch.device(device):
            AutoModelForCausalLM.from_config(architecture(config), dtype=torch.bfloat16).save_pretrained(folder)
        _empty(device)


def _within(batch: TrajectoryBatch, vocabulary: int) -> TrajectoryBatch:
    """The batch with tokens that the model knows."""
    return replace(batch, token_N=batch.token_N % vocabulary)


def _module(config: EncoderConfig, device: torch.device) -> ClinJEPA:
    torch.manual_seed(0)
    module = ClinJEPA(encoder=config, predictor=_PREDICTOR)
    with torch.device(device if config.random_weights else "cpu"):
        module.configure_model()
    return module.to(device)


def _timed(device: torch.device, run: Callable[[], object]) -> dict[str, Any]:
    """Median seconds of a call, after one that does not count, and the most memory that it needed."""
    run()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    taken = []
    for _ in range(_REPEATS):
        _wait(device)
        began = time.perf_counter()
        run()
        _wait(device)
        taken.append(time.perf_counter() - began)
    figures: dict[str, Any] = {"step_s": round(statistics.median(taken), 4), "from": round(min(taken), 4), "to": round(max(taken), 4)}
    if device.type == "cuda":
        figures["peak_gb"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    return figures


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _empty(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="qwen3_8b", help="shape of the encoder; tiny tries the script out")
    parser.add_argument("--windows", type=int, default=2, help="windows of a micro-batch")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench"), help="where stores and models are written")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    silence_expected_notices()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    material = open_material(arguments.folder.resolve())
    found = measure(material, arguments.base, arguments.windows, device, arguments.folder.resolve())
    results = {"measured": circumstances(material), **found}
    write_atomically(arguments.output, json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
