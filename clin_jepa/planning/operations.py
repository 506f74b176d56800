"""Floating-point operations of encoder and predictor, counted from their shapes."""

# Shapes: U texts, T hours of a window.

from typing import Any

import torch
from torch import Tensor, nn

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.encoder import TextEncoder
from clin_jepa.last_block import keeps_last_tokens
from clin_jepa.module import ClinJEPA
from clin_jepa.predictor import PredictorConfig

# A multiplication and an addition for each weight.
_PER_WEIGHT = 2


def encoder_operations(encoder: TextEncoder, length_U: Tensor) -> int:
    """Of a forward pass for latents: every linear layer of the blocks, adapters included, and causal attention within each text.

    The last block's feed-forward layer meets last tokens only. The head is left out, since latents need none; norms and activations are,
    as is usual, not counted.

    Args:
        encoder: Built, on any device.
        length_U: Tokens of each text, ``[U]`` int64.
    """
    tokens, pairs = int(length_U.sum()), int((length_U * (length_U + 1) // 2).sum())
    left_out = last_feed_forward_weights(encoder) * (tokens - len(length_U))
    return _PER_WEIGHT * (linear_weights(encoder) * tokens + 2 * attention_width(encoder) * pairs - left_out)


def head_operations(encoder: TextEncoder, length_U: Tensor) -> int:
    """Of the logits of every token but each text's last, and of the last block for them: what next-token tuning needs beyond latents.

    Args:
        encoder: Built, on any device.
        length_U: Tokens of each text, ``[U]`` int64.
    """
    config: Any = encoder.causal_lm.config.get_text_config()
    weights = int(config.vocab_size * config.hidden_size) + last_feed_forward_weights(encoder)
    return _PER_WEIGHT * weights * int((length_U - 1).sum())


def step_operations(module: ClinJEPA, batch: TrajectoryBatch) -> int:
    """Of a training step under the current regime: forward, and backward where something trains; recomputation is not counted.

    The backward pass costs the forward pass twice: once for the inputs, once for the weights, which a frozen base does not need.

    Args:
        module: Built.
        batch: One micro-batch.
    """
    regime, length_U = module.regime, batch.length_U.cpu()
    forward = encoder_operations(module.encoder, length_U)
    if regime.objective == "next_token":
        forward += head_operations(module.encoder, length_U)
    total = 0
    if regime.train_encoder:
        total += forward * (2 if module.encoder.has_adapters else 3)
    elif module.encodes_each_batch:
        total += forward
    if regime.objective == "jepa":
        if regime.target == "ema":
            total += encoder_operations(module.encoder, length_U[torch.unique(batch.state_BT.cpu())])
        of_window = predictor_operations(module.predictor_config, module.encoder.latent_dim, batch.mask_BT.shape[1])
        total += 3 * batch.n_windows * of_window
    return total


def linear_weights(encoder: TextEncoder) -> int:
    """Weights of all blocks; of the two adapters only one runs."""
    return _matrix_elements(encoder.causal_lm.get_decoder().layers)


def last_feed_forward_weights(encoder: TextEncoder) -> int:
    """Weights that only last tokens meet, where latents are what is wanted."""
    last = encoder.causal_lm.get_decoder().layers[-1]
    return _matrix_elements(last.mlp) if keeps_last_tokens(encoder.causal_lm) else 0


def attention_width(encoder: TextEncoder) -> int:
    """Features of all query heads of all layers: what a pair of tokens costs, once for the score and once for the value."""
    config: Any = encoder.causal_lm.config.get_text_config()
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(config.num_hidden_layers * config.num_attention_heads * head_dim)


def predictor_operations(config: PredictorConfig, latent_dim: int, hours: int) -> int:
    """Of a forward pass over one window, block-causal attention counted whole, as it is computed.

    >>> predictor_operations(PredictorConfig(layers=1, width=8, heads=2, feed_forward=16), latent_dim=4, hours=1)
    3616
    """
    positions, width = 1 + 2 * hours, config.width
    per_position = config.layers * (4 * width * width + 2 * width * config.feed_forward) + latent_dim * width
    attention = config.layers * 2 * width * positions
    return _PER_WEIGHT * ((per_position + attention) * positions + latent_dim * width * hours)


def _matrix_elements(part: nn.Module) -> int:
    return sum(_elements(p) for name, p in part.named_parameters() if p.ndim == 2 and ".target." not in name)


def _elements(parameter: nn.Parameter) -> int:
    """Of a weight; a 4-bit one holds two to the byte."""
    return parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)
