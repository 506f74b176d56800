"""The published sizes, counted on the meta device: nothing is downloaded, nothing is allocated."""

import pytest
import torch

from clin_jepa.encoder import TextEncoder
from clin_jepa.language_model import EncoderConfig
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig


def test_predictor_of_the_published_configuration_has_92_5_million_parameters() -> None:
    with torch.device("meta"):
        predictor = LatentTrajectoryPredictor(4096, PredictorConfig())

    assert sum(p.numel() for p in predictor.parameters()) == 92_512_256


def test_lora_of_rank_16_on_qwen3_8b_trains_15_3_million_parameters() -> None:
    with torch.device("meta"):
        encoder = TextEncoder(EncoderConfig(base="qwen3_8b", random_weights=True, adaptation="lora"))

    trainable = [p for p in encoder.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trainable) == 15_335_424
    assert sum(p.numel() for p in encoder.online_parameters().values()) == 15_335_424


def test_qwen3_0_6b_has_its_published_shape() -> None:
    with torch.device("meta"):
        encoder = TextEncoder(EncoderConfig(base="qwen3_0_6b", random_weights=True))

    # 0.6B with tied embeddings, 0.44B without them: the model card.
    assert sum(p.numel() for p in encoder.parameters()) == 596_049_920


@pytest.mark.parametrize(("base", "weights"), [("tiny", 1_115_200), ("small", 27_272_704)])
def test_encoders_trained_from_scratch_have_the_sizes_that_are_documented(base: str, weights: int) -> None:
    with torch.device("meta"):
        encoder = TextEncoder(EncoderConfig(base=base))

    assert sum(p.numel() for p in encoder.parameters()) == weights
