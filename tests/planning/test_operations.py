"""Operations counted from shapes are those that torch counts when the model runs."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.encoder import TextEncoder
from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.operations import encoder_operations, head_operations, predictor_operations, step_operations
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig
from clin_jepa.regime import Regime


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


def test_the_head_s() -> None:
    encoder, length_U = TextEncoder(EncoderConfig(vocab_size=600)), torch.full((20,), 30)
    # Logits over 600 words, and the three matrices of the last block's feed-forward layer.
    assert head_operations(encoder, length_U) == 2 * (600 * 128 + 3 * 128 * 384) * 20 * 29


def test_a_training_step_s(datamodule: TrajectoryDataModule) -> None:
    batch = next(iter(datamodule.train_dataloader()))
    module = ClinJEPA(encoder=EncoderConfig(vocab_size=2048), predictor=PredictorConfig(layers=1, width=32, heads=2, feed_forward=64))
    module.configure_model()
    encoder, states = module.encoder, batch.length_U[torch.unique(batch.state_BT[batch.mask_BT])]
    online, target = encoder_operations(encoder, batch.length_U), encoder_operations(encoder, states)
    predictor = 3 * batch.n_windows * predictor_operations(module.predictor_config, 128, batch.mask_BT.shape[1])

    module.regime = Regime(train_encoder=False, target="online", rollout="chained")
    assert step_operations(module, batch) == predictor  # latents come from the cache
    module.regime = Regime(train_encoder=True, target="ema", rollout="teacher_forced")
    assert step_operations(module, batch) == pytest.approx(3 * online + target + predictor, rel=0.02)
    module.regime = replace(module.regime, objective="next_token")
    assert step_operations(module, batch) == 3 * (online + head_operations(encoder, batch.length_U))
