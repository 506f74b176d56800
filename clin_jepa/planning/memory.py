"""Memory of a training process: weights, gradients, optimizer and what the backward pass keeps."""

from dataclasses import dataclass

import torch

from clin_jepa.encoder import LOSS_CHUNK, TextEncoder
from clin_jepa.grounding import GroundingHeads
from clin_jepa.module import ClinJEPA
from clin_jepa.objective import longest_rollout
from clin_jepa.planning.saved_activations import Kind, encoder_activations, predictor_activations, recomputed_block
from clin_jepa.planning.workload import MicroBatch
from clin_jepa.predictor import LatentTrajectoryPredictor
from clin_jepa.regime import Regime

_FLOAT = 4
# Of a quantised weight with its block scales, doubly quantised; what is not quantised is then kept in float32.
_NF4 = 0.5 + 1 / 64
# Adam keeps two numbers for each parameter; the 8-bit one a byte each.
_STATE = {"adamw": 2 * _FLOAT, "adamw_8bit": 2}


@dataclass(frozen=True)
class Sizes:
    """Parameters by what becomes of them.

    Args:
        frozen: Bytes of a frozen base.
        encoder: Parameters that joint refinement trains.
        target: Of the target, kept in float32.
        predictor: Of the predictor and of the grounding heads, where there are any.
        largest_block: Bytes of the encoder's largest block.
        outside_blocks: Bytes of its embeddings, head and last norm.
    """

    frozen: int
    encoder: int
    target: int
    predictor: int
    largest_block: int
    outside_blocks: int


def sizes_of(module: ClinJEPA, encoder: TextEncoder, predictor: LatentTrajectoryPredictor) -> Sizes:
    """From shapes alone; encoder and predictor may be on the meta device."""
    trained = sum(p.numel() for p in encoder.online_parameters().values())
    adapters = trained if encoder.has_adapters else 0
    every = {id(p): p for p in encoder.parameters()}.values()
    base = sum(p.numel() for p in every) - 2 * adapters if encoder.has_adapters else 0
    in_blocks = sum(p.numel() for p in encoder.causal_lm.get_decoder().layers.parameters()) - 2 * adapters
    width = 2 if module.encoder_config.dtype == "bfloat16" else _FLOAT
    frozen = base * width
    if module.encoder_config.quantization == "nf4":
        frozen = int(in_blocks * _NF4) + (base - in_blocks) * _FLOAT
    layers = len(encoder.causal_lm.get_decoder().layers)
    outside = (base or trained) - in_blocks
    of_predictor = sum(p.numel() for p in predictor.parameters()) + _heads(module, encoder.latent_dim)
    return Sizes(frozen, trained, trained, of_predictor, in_blocks // layers * width, outside * width)


def _heads(module: ClinJEPA, latent_dim: int) -> int:
    if not module.grounding_config.is_on:
        return 0
    with torch.device("meta"):
        heads = GroundingHeads(latent_dim, module.predictor_config.width, module.variables, module.grounding_config)
    return sum(p.numel() for p in heads.parameters())


def held_bytes(module: ClinJEPA, sizes: Sizes, regime: Regime, shards: int = 1, encoder_has_state: bool = False) -> int:
    """What a phase holds on one device whatever its micro-batches: weights, gradients and the optimizer's state.

    Args:
        module: The settings.
        sizes: Of its parts.
        regime: Of the phase.
        shards: Processes over which weights, gradients and optimizer are cut.
        encoder_has_state: Whether an earlier phase has left the optimizer a state of the encoder.
    """
    config, state = module.encoder_config, _STATE[module.optimization.optimizer]
    width = 2 if config.dtype == "bfloat16" and config.adaptation == "full" else _FLOAT
    cut = sizes.encoder * width + sizes.target * _FLOAT + sizes.predictor * _FLOAT
    replicated = 0
    if config.quantization == "nf4":
        replicated += sizes.frozen
    else:
        cut += sizes.frozen
    if regime.train_encoder:
        cut += sizes.encoder * width
    if regime.train_predictor and regime.objective == "jepa":
        cut += sizes.predictor * (_FLOAT + state)
    if regime.train_encoder or encoder_has_state:
        cut += sizes.encoder * state
    # A pass holds what lies outside the blocks whole, and two blocks: one at work, one on its way. A 4-bit base is never cut.
    gathered = 0 if config.quantization == "nf4" or shards == 1 else 2 * sizes.largest_block + sizes.outside_blocks
    return cut // shards + replicated + gathered


def activation_bytes(module: ClinJEPA, encoder: TextEncoder, batch: MicroBatch, regime: Regime, kind: Kind) -> int:
    """What grows with the windows of a micro-batch, and what one pack needs in passing.

    Args:
        module: The settings.
        encoder: On the meta device.
        batch: The micro-batch.
        regime: Of the phase.
        kind: The device, whose attention keeps tensors of its own.
    """
    text = encoder.causal_lm.config.get_text_config()
    pack = min(module.encoder_config.tokens_per_pack, batch.tokens)
    half = 2 if module.encoder_config.dtype == "bfloat16" else _FLOAT
    # In passing: gate, up, their product and its gradient.
    passing = 4 * pack * int(text.intermediate_size) * half
    kept = 0
    if regime.train_encoder:
        kept += encoder_activations(encoder, batch.length_U, kind)
        kept += recomputed_block(module.encoder_config, batch.length_U, kind)
    if regime.objective == "next_token":
        # Logits of a chunk in the model's format and in float32, their softmax and its gradient.
        passing += LOSS_CHUNK * int(text.vocab_size) * (half + 3 * _FLOAT)
    if regime.objective == "jepa":
        steps, chained = longest_rollout(batch.hours, module.horizon), regime.rollout == "chained"
        kept += predictor_activations(module.predictor_config, encoder.latent_dim, batch.windows, batch.hours, steps, chained)
    return kept + passing
