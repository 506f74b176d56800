"""A latent needs its text's last token alone behind the last block's attention: leaving out the others changes nothing but the cost."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, GPTNeoXConfig, PreTrainedConfig

from clin_jepa.encoder import TextEncoder
from clin_jepa.language_model import EncoderConfig
from clin_jepa.last_block import keeps_last_tokens

LENGTHS = torch.tensor([5, 1, 9, 5, 30])
SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 50}


def encoder(folder: Path, config: PreTrainedConfig, **options: object) -> TextEncoder:
    config.save_pretrained(folder)
    torch.manual_seed(0)
    return TextEncoder(EncoderConfig(base=str(folder), random_weights=True, **options))  # type: ignore[arg-type]


def by_type(model_type: str) -> PreTrainedConfig:
    return AutoConfig.for_model(model_type, **SHAPE, num_key_value_heads=2, head_dim=8, sliding_window=None, use_sliding_window=False)


def latents_and_gradients(model: TextEncoder, token_N: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    latent_UD = model(token_N, LENGTHS)
    latent_UD.square().sum().backward()
    return latent_UD.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("model_type", ["llama", "mistral", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    "options", [{"adaptation": "full"}, {"adaptation": "lora"}, {"adaptation": "full", "activation_checkpointing": True}]
)
def test_latents_and_gradients_are_those_of_whole_blocks(tmp_path: Path, model_type: str, options: dict[str, object]) -> None:
    model, token_N = encoder(tmp_path, by_type(model_type), **options), torch.arange(50)
    latent_UD, gradients = latents_and_gradients(model, token_N)
    assert keeps_last_tokens(model.causal_lm)

    block = model.causal_lm.get_decoder().layers[-1]
    block.__class__ = type(block).__mro__[2]  # the model's own
    assert not keeps_last_tokens(model.causal_lm)
    whole_UD, whole_gradients = latents_and_gradients(model, token_N)

    torch.testing.assert_close(latent_UD, whole_UD, atol=1e-5, rtol=0)
    assert gradients.keys() == whole_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, whole_gradients[name], atol=1e-4, rtol=1e-4, msg=name)


def test_the_feed_forward_layer_of_the_last_block_meets_last_tokens_only(tmp_path: Path) -> None:
    model, rows = encoder(tmp_path, by_type("qwen3")), []
    for layer in model.causal_lm.get_decoder().layers:
        layer.mlp.register_forward_hook(lambda _, given, __: rows.append(given[0].shape[1]))

    model(torch.arange(50), LENGTHS)
    assert rows == [50, 5]
    rows.clear()
    model.next_token_loss_and_latents(torch.arange(50), LENGTHS)
    assert rows == [50, 50]


def test_a_model_with_blocks_of_another_form_is_left_as_it_is(tmp_path: Path) -> None:
    model = encoder(tmp_path, GPTNeoXConfig(**SHAPE))
    assert not keeps_last_tokens(model.causal_lm)
    assert model(torch.arange(50), LENGTHS).shape == (5, 32)
