"""What is counted on the meta device is what a real pass keeps."""

import pytest
import torch

from clin_jepa.encoder import TextEncoder
from clin_jepa.language_model import EncoderConfig
from clin_jepa.planning.saved_activations import encoder_activations, meta_encoder, predictor_activations, recomputed_block, saved_bytes
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig

LENGTHS = torch.randint(3, 60, (120,), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("config", "within"),
    [
        (EncoderConfig(vocab_size=600), 0.01),
        (EncoderConfig(vocab_size=600, tokens_per_pack=700), 0.02),
        (EncoderConfig(vocab_size=600, adaptation="lora"), 0.01),
        (EncoderConfig(vocab_size=600, activation_checkpointing=True), 0.01),
        # Autocast, which the meta device does not know, keeps casts of its own.
        (EncoderConfig(vocab_size=600, adaptation="lora", dtype="bfloat16"), 0.12),
    ],
    ids=["full", "several packs", "lora", "checkpointing", "bfloat16"],
)
def test_the_encoder_keeps_what_is_counted(config: EncoderConfig, within: float) -> None:
    encoder, token_N = TextEncoder(config), torch.zeros(int(LENGTHS.sum()), dtype=torch.int64)
    real = saved_bytes(encoder, lambda: encoder(token_N, LENGTHS))

    assert encoder_activations(meta_encoder(config), LENGTHS, "cpu") == pytest.approx(real, rel=within)


def test_what_is_kept_grows_with_the_tokens() -> None:
    config = EncoderConfig(vocab_size=600)
    once, twice = (encoder_activations(meta_encoder(config), LENGTHS.repeat(times), "cuda") for times in (1, 2))
    assert twice == pytest.approx(2 * once, rel=0.01)


def test_a_recomputed_block_is_one_layer_s_share() -> None:
    whole = EncoderConfig(vocab_size=600)
    again = EncoderConfig(vocab_size=600, activation_checkpointing=True)
    assert recomputed_block(whole, LENGTHS, "cpu") == 0
    assert recomputed_block(again, LENGTHS, "cpu") == encoder_activations(meta_encoder(whole), LENGTHS, "cpu") // 3


@pytest.mark.parametrize("chained", [True, False])
def test_the_predictor_keeps_what_is_counted(chained: bool) -> None:
    config = PredictorConfig(layers=2, width=64, heads=4, feed_forward=128)  # with dropout, as in training
    model, hours = LatentTrajectoryPredictor(16, config), torch.zeros(3, 24, 16)
    start_B = torch.zeros(3, dtype=torch.int64)
    real = saved_bytes(
        model,
        lambda: model.forward_with_rollouts(hours[:, 0], hours, hours, start_B, 2) if chained else model(hours[:, 0], hours, hours),
    )

    assert predictor_activations(config, 16, 3, 24, 2, chained) == pytest.approx(real, rel=0.02)
