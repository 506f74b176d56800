"""What the backward pass needs to keep, counted on the meta device: exact to the tensor, without memory or arithmetic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from clin_jepa.encoder import TextEncoder
from clin_jepa.language_model import EncoderConfig
from clin_jepa.packing import PACKED, Packing
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig

Kind = Literal["cpu", "cuda"]


def encoder_activations(encoder: TextEncoder, length_U: Tensor, kind: Kind) -> int:
    """Bytes that a forward pass with gradient leaves behind.

    Args:
        encoder: On the meta device, as `meta_encoder` makes it.
        length_U: Tokens of each text, ``[U]`` int64.
        kind: The device, whose attention keeps tensors of its own.
    """
    with _attention_of(kind):
        token_N = torch.zeros(int(length_U.sum()), dtype=torch.int64, device="meta")
        return saved_bytes(encoder, lambda: encoder(token_N, length_U))


def recomputed_block(config: EncoderConfig, length_U: Tensor, kind: Kind) -> int:
    """Bytes that one block keeps for its own backward pass where activations are recomputed; 0 where they are not."""
    if not config.activation_checkpointing:
        return 0
    whole = meta_encoder(replace(config, activation_checkpointing=False))
    largest_pack = length_U.sort(descending=True).values
    largest_pack = largest_pack[largest_pack.cumsum(0) <= config.tokens_per_pack] if len(largest_pack) > 1 else largest_pack
    return encoder_activations(whole, largest_pack, kind) // len(whole.causal_lm.get_decoder().layers)


def predictor_activations(config: PredictorConfig, latent_dim: int, windows: int, hours: int, horizon: int, chained: bool) -> int:
    """Bytes that a training pass over some windows leaves behind, in float32."""
    with torch.device("meta"):
        predictor = LatentTrajectoryPredictor(latent_dim, config)
        static_BD = torch.zeros(windows, latent_dim)
        state_BTD = torch.zeros(windows, hours, latent_dim)
        start_B = torch.zeros(windows, dtype=torch.int64)

    def train() -> Any:
        if chained:
            return predictor.forward_with_rollouts(static_BD, state_BTD, state_BTD, start_B, horizon)
        return predictor(static_BD, state_BTD, state_BTD)

    return saved_bytes(predictor, train)


def meta_encoder(config: EncoderConfig) -> TextEncoder:
    """The encoder as a shape without weights; a 4-bit base counts as one in half precision.

    The meta device knows no autocast: where the encoder computes in half precision, all of its weights are in it here.
    """
    shape = {**asdict(config), "random_weights": True, "quantization": "none", "weights": None, "dtype": "float32"}
    with torch.device("meta"):
        encoder = TextEncoder(EncoderConfig(**shape))
    return encoder.to(torch.bfloat16) if config.dtype == "bfloat16" else encoder


def saved_bytes(model: nn.Module, forward: Callable[[], Any]) -> int:
    """Bytes of all storages that a forward pass keeps for the backward pass; the model's own weights are not among them."""
    own = {p.untyped_storage()._cdata for p in (*model.parameters(), *model.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in own:
            kept[storage] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = forward()
    total = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del outputs
    return total


@contextmanager
def _attention_of(kind: Kind) -> Iterator[None]:
    """Stand-in for the packed attention, which keeps what the device's own keeps; the meta device would keep every score."""
    ours: Any = ALL_ATTENTION_FUNCTIONS[PACKED]

    def counted(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, packing: Packing, **options: Any
    ) -> tuple[Tensor, None]:
        positions = packing.positions if kind == "cpu" else query.shape[2]
        heads = query.shape[1] if kind == "cpu" else key.shape[1]
        apply: Any = _FusedAttention.apply
        out: Tensor = apply(query, key, value, positions, heads)
        return out, None

    ALL_ATTENTION_FUNCTIONS.register(PACKED, counted)
    try:
        yield
    finally:
        ALL_ATTENTION_FUNCTIONS.register(PACKED, ours)


class _FusedAttention(torch.autograd.Function):
    """Keeps query, key, value, output and one number a query, as fused attention does."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, positions: int, heads: int) -> Tensor:
        """``[1, H, N, F]`` to ``[1, N, H, F]``."""
        _, query_heads, tokens, features = query.shape
        shapes = [(query_heads, features), (heads, features), (heads, features), (query_heads, features)]
        ctx.save_for_backward(*(query.new_empty(positions, *shape) for shape in shapes), query.new_empty(positions, query_heads))
        return query.new_empty(1, tokens, query_heads, features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Never called: only the forward pass is counted."""
        raise NotImplementedError
