"""Operations counted from shapes are those that torch counts when the model runs."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clin_jepa.encoder import TextEncoder
from clin_jepa.language_model import EncoderConfig
from clin_jepa.planning.operations import encoder_operations, predictor_operations
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig


@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_the_encoder_s(adaptation: str) -> None:
    encoder = TextEncoder(EncoderConfig(vocab_size=600, adaptation=adaptation))  # type: ignore[arg-type]
    length_U = torch.full((20,), 30)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.zeros(600, dtype=torch.int64), length_U)

    # Torch counts causal attention as if every pair were computed; ours counts the pairs that count.
    full_attention = 2 * 2 * 3 * 4 * 32 * 20 * 30 * 30
    causal_attention = 2 * 2 * 3 * 4 * 32 * 20 * (30 * 31 // 2)
    assert encoder_operations(encoder, length_U) == pytest.approx(counter.get_total_flops() - full_attention + causal_attention, rel=0.01)


def test_the_predictor_s() -> None:
    config = PredictorConfig(layers=2, width=64, heads=4, feed_forward=128)
    model, hours = LatentTrajectoryPredictor(16, config).eval(), torch.zeros(3, 24, 16)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(hours[:, 0], hours, hours)

    assert 3 * predictor_operations(config, 16, 24) == pytest.approx(counter.get_total_flops(), rel=0.02)
