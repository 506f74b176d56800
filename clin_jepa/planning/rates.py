"""What a device achieves, measured on it within a minute: operations a second of encoder and predictor."""

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clin_jepa.atomic_file import write_atomically
from clin_jepa.batch import TrajectoryBatch
from clin_jepa.encoder import TextEncoder
from clin_jepa.errors import InputError
from clin_jepa.language_model import EncoderConfig, architecture
from clin_jepa.module import ClinJEPA
from clin_jepa.objective import longest_rollout
from clin_jepa.optimization import build_optimizer, clip_each_group
from clin_jepa.planning.operations import encoder_operations, linear_weights, predictor_operations
from clin_jepa.planning.saved_activations import Kind
from clin_jepa.predictor import LatentTrajectoryPredictor

# Layers of the encoder that is timed: with its width, and so its speed, but affordable wherever the whole one is not.
_MOST_LAYERS = 4
_REPEATS = 3
# Operations of one timed pass of the encoder: about a second.
_OPERATIONS = {"cpu": 1e11, "cuda": 1e14}
_FEWEST_TOKENS = 256


@dataclass(frozen=True)
class Rates:
    """Of one process on one device.

    Args:
        device: Its name.
        kind: ``cpu`` or ``cuda``.
        memory_bytes: That it has.
        encoder: The encoder that was timed; rates of a narrow one are not those of a wide one.
        encoder_forward: Operations a second of the encoder's forward pass.
        encoder_training: Of its forward and backward pass, in operations of the forward pass alone.
        predictor_forward: Operations a second of the predictor's forward pass.
        predictor_training: Of its forward and backward pass, in operations of the forward pass alone.
        rollout_s: Seconds of a monitor's rollout of one batch.
        optimizer: Parameters a second of clipping, step and target.
    """

    device: str
    kind: Kind
    memory_bytes: int
    encoder: str
    encoder_forward: float
    encoder_training: float
    predictor_forward: float
    predictor_training: float
    rollout_s: float
    optimizer: float

    def save(self, path: Path) -> None:
        """Keep them for a plan made elsewhere."""
        write_atomically(path, json.dumps(asdict(self), indent=2) + "\n")


def read_rates(path: Path) -> Rates:
    """Rates that `Rates.save` wrote.

    Raises:
        InputError: If the file is missing or holds something else, or a rate is not above zero.
    """
    way_out = f"write them with 'clinjepa plan ... --save_rates {path}' on that device"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rates = Rates(**{field.name: content[field.name] for field in fields(Rates)})
    except OSError as error:
        raise InputError(f"the rates {path} do not exist, or cannot be read ({error.strerror}): {way_out}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no rates of a device: {way_out}") from error
    for name in ("encoder_forward", "encoder_training", "predictor_forward", "predictor_training", "optimizer", "memory_bytes"):
        value = getattr(rates, name)
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
            raise InputError(f"{path}: the rate {name} is {value!r}, not a number above 0: {way_out}")
    if not isinstance(rates.rollout_s, (int, float)) or not 0 <= rates.rollout_s < math.inf or rates.kind not in ("cpu", "cuda"):
        raise InputError(f"{path}: rollout_s {rates.rollout_s!r} or kind {rates.kind!r} cannot be: {way_out}")
    return rates


def measure_rates(
    module: ClinJEPA,
    batches: list[TrajectoryBatch],
    device: torch.device,
    context: int,
    horizon: int,
    precision: Callable[[], AbstractContextManager[Any]],
    memory_bytes: int,
) -> Rates:
    """Time a shallow encoder of the same width with random weights, and the predictor itself, on real texts.

    Of each batch as many texts are encoded as take about a second: what is measured is operations a second.

    Args:
        module: Whose sizes are measured; it need not be built.
        batches: Training batches.
        device: Where.
        context: Hours before a monitor's rollout.
        horizon: Hours of it.
        precision: The context in which the trainer runs a pass.
        memory_bytes: Of the device.
    """
    kind: Kind = "cuda" if device.type == "cuda" else "cpu"
    encoder = _shallow_encoder(module.encoder_config).to(device)
    batches = [batch.to(device) for batch in batches]
    predictor = LatentTrajectoryPredictor(encoder.latent_dim, module.predictor_config).to(device)
    hours, windows = int(batches[0].mask_BT.shape[1]), batches[0].n_windows
    static_BD = torch.randn(windows, encoder.latent_dim, device=device)
    state_BTD = torch.randn(windows, hours, encoder.latent_dim, device=device)
    start_B = torch.zeros(windows, dtype=torch.int64, device=device)
    texts = [_some_texts(encoder, batch, _OPERATIONS[kind]) for batch in batches]
    operations = [encoder_operations(encoder, length_U) for _, length_U in texts]
    of_predictor = windows * predictor_operations(module.predictor_config, encoder.latent_dim, hours)
    context = min(context, hours - 1)
    horizon = min(horizon, hours - context)

    @torch.no_grad()
    def encode(token_N: Tensor, length_U: Tensor) -> None:
        encoder(token_N, length_U)

    def encode_and_train(token_N: Tensor, length_U: Tensor) -> None:
        torch.autograd.backward(encoder(token_N, length_U).square().mean())

    @torch.no_grad()
    def predict() -> None:
        predictor(static_BD, state_BTD, state_BTD)

    steps = longest_rollout(hours, module.horizon)

    def train_predictor() -> None:
        forced, rolled, _ = predictor.forward_with_rollouts(static_BD, state_BTD, state_BTD, start_B, steps)
        torch.autograd.backward(forced.square().mean() + rolled.square().mean())

    def rollout() -> None:
        predictor.rollout(static_BD, state_BTD[:, :context], state_BTD[:, : context + horizon - 1])

    with precision():
        forward = [amount / _seconds(device, encode, *given) for amount, given in zip(operations, texts, strict=True)]
        training = [amount / _seconds(device, encode_and_train, *given) for amount, given in zip(operations, texts, strict=True)]
        predicting, teaching, rolling = (_seconds(device, run) for run in (predict, train_predictor, rollout))
    return Rates(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        kind=kind,
        memory_bytes=memory_bytes,
        encoder=described(module.encoder_config),
        encoder_forward=statistics.median(forward),
        encoder_training=statistics.median(training),
        predictor_forward=of_predictor / predicting,
        predictor_training=of_predictor / teaching,
        rollout_s=rolling,
        optimizer=_parameters_a_second(module, predictor, device),
    )


def _parameters_a_second(module: ClinJEPA, predictor: nn.Module, device: torch.device) -> float:
    optimizer = build_optimizer(module.optimization, [], predictor.parameters())

    def step() -> None:
        clip_each_group(optimizer, 1.0)
        optimizer.step()

    return sum(p.numel() for p in predictor.parameters()) / _seconds(device, step)


def described(config: EncoderConfig) -> str:
    """What an encoder's rates depend on: width and number format."""
    text: Any = architecture(config).get_text_config()
    return f"{text.model_type} of width {text.hidden_size}, {config.dtype}"


def _some_texts(encoder: TextEncoder, batch: TrajectoryBatch, most_operations: float) -> tuple[Tensor, Tensor]:
    """Tokens and lengths of texts spread over a batch, as many as the encoder takes with so many operations."""
    length_U = batch.length_U.cpu()
    tokens = max(_FEWEST_TOKENS, int(most_operations / (2 * linear_weights(encoder))))
    every = max(1, -(-int(length_U.sum()) // tokens))
    chosen = torch.zeros(len(length_U), dtype=torch.bool)
    chosen[::every] = True
    return batch.token_N[chosen.repeat_interleave(length_U).to(batch.token_N.device)], length_U[chosen]


def _shallow_encoder(config: EncoderConfig) -> TextEncoder:
    shape = architecture(config)
    text: Any = shape.get_text_config()
    layers = min(_MOST_LAYERS, text.num_hidden_layers)
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    with tempfile.TemporaryDirectory(prefix="clinjepa-plan-") as folder:
        shape.save_pretrained(folder)
        return TextEncoder(replace(config, base=folder, random_weights=True, quantization="none", weights=None))


def _seconds(device: torch.device, run: Callable[..., None], *arguments: Any) -> float:
    """Median of some calls, after one that does not count."""
    taken = []
    for _ in range(1 + _REPEATS):
        began = time.perf_counter()
        run(*arguments)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])
