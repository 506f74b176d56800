"""The text encoder: what of it trains, with adapters or in full, from scratch or from a folder."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import Gemma2Config, GPTNeoConfig, GptOssConfig, MistralConfig, PreTrainedConfig, Qwen3Config

from clin_jepa.encoder import TextEncoder
from clin_jepa.errors import InputError
from clin_jepa.language_model import EncoderConfig
from clin_jepa.target import TargetEncoder
from tests.language_models import save_language_model

LENGTHS = [7, 1, 12, 3]
LORA = {"adaptation": "lora", "lora_rank": 4}


def encoder(**settings: object) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(EncoderConfig(**{"vocab_size": 600, **settings}))  # type: ignore[arg-type]


def texts(vocabulary: int = 600) -> tuple[Tensor, Tensor]:
    return torch.randint(vocabulary, (sum(LENGTHS),), generator=torch.Generator().manual_seed(1)), torch.tensor(LENGTHS)


def trainable(model: TextEncoder) -> set[str]:
    return {name for name, p in model.lm.named_parameters() if p.requires_grad}


def train_one_step(model: TextEncoder, lr: float = 1e-2) -> None:
    optimizer = torch.optim.SGD(model.online_parameters().values(), lr=lr)
    model(*texts()).square().sum().backward()
    optimizer.step()


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language_model(tmp_path_factory.mktemp("model"))


def test_with_lora_only_the_online_adapter_trains() -> None:
    model = encoder(**LORA)

    names = trainable(model)
    assert names == set(model.online_parameters())
    assert len(names) == 3 * 4 * 2  # layers x projections x (A, B)
    assert all(".online." in name and "lora_" in name for name in names)


def test_in_full_every_weight_trains() -> None:
    model = encoder()

    assert trainable(model) == set(model.online_parameters()) == {name for name, _ in model.lm.named_parameters()}


@pytest.mark.parametrize("activation_checkpointing", [False, True])
def test_lora_b_moves_at_the_first_step(activation_checkpointing: bool) -> None:
    # Under reentrant checkpointing a frozen embedding cuts the gradient, and B silently stays zero.
    model = encoder(**LORA, activation_checkpointing=activation_checkpointing)
    train_one_step(model)

    still = [name for name, p in model.online_parameters().items() if "lora_B" in name and not bool(p.any())]
    assert still == []


def test_online_training_leaves_base_and_target_adapter_untouched() -> None:
    model = encoder(**LORA)
    online = set(model.online_parameters())
    before = {name: p.detach().clone() for name, p in model.lm.named_parameters() if name not in online}
    train_one_step(model)

    after = dict(model.lm.named_parameters())
    assert [name for name, value in before.items() if not torch.equal(value, after[name])] == []


def test_a_step_moves_the_online_latents_and_not_the_target_latents() -> None:
    model = encoder(**LORA)
    target = TargetEncoder(model)
    online_before, target_before = model(*texts()).detach(), target(*texts())
    train_one_step(model)

    assert not torch.equal(model(*texts()), online_before)
    assert torch.equal(target(*texts()), target_before)


def test_with_fresh_adapters_online_target_and_base_agree() -> None:
    model = encoder(**LORA)
    with model.lm.disable_adapter():
        base = model(*texts())

    assert torch.equal(model(*texts()), base)
    assert torch.equal(TargetEncoder(model)(*texts()), base)


def test_target_weights_restores_the_online_adapter_even_after_an_error() -> None:
    model = encoder(**LORA)
    train_one_step(model)
    before = model(*texts())

    with pytest.raises(RuntimeError, match="on purpose"), model.target_weights():
        raise RuntimeError("on purpose")

    assert torch.equal(model(*texts()), before)


def test_requires_grad_never_changes_while_the_target_runs() -> None:
    model = encoder(**LORA)
    TargetEncoder(model)
    before = trainable(model)
    with model.target_weights():
        inside = trainable(model)

    assert inside == before == trainable(model)


def test_an_encoder_without_adapters_has_no_target_weights() -> None:
    with pytest.raises(RuntimeError, match="copy of its own"), encoder().target_weights():
        pass


@pytest.mark.parametrize("settings", [{}, LORA], ids=["full", "lora"])
def test_next_token_loss_equals_cross_entropy_text_by_text(settings: dict[str, object]) -> None:
    model, (token_N, length_U) = encoder(tokens_per_pack=16, **settings), texts()
    total = torch.zeros(())
    for tokens in token_N.split(LENGTHS):
        hidden = model.causal_lm.get_decoder()(
            input_ids=tokens[None], packing=next(model._packed([torch.tensor([0])], tokens, torch.tensor([len(tokens)])))[1]
        ).last_hidden_state[0]
        logits = hidden @ model.causal_lm.get_output_embeddings().weight.T
        total = total + cross_entropy(logits[:-1], tokens[1:], reduction="sum")

    torch.testing.assert_close(model.next_token_loss_and_latents(token_N, length_U)[0], total / (sum(LENGTHS) - len(LENGTHS)))


def test_next_token_loss_needs_two_tokens() -> None:
    with pytest.raises(ValueError, match="at least two tokens"):
        encoder().next_token_loss_and_latents(torch.tensor([1, 2]), torch.tensor([1, 1]))


@pytest.mark.parametrize("settings", [{}, LORA], ids=["full", "lora"])
def test_fingerprint_changes_with_each_online_weight_and_with_nothing_else(settings: dict[str, object]) -> None:
    model = encoder(**settings)
    first = model.fingerprint()
    model(*texts()).sum().backward()
    TargetEncoder(model).update(0.5)
    assert model.fingerprint() == first == encoder(**settings).fingerprint()

    for name, parameter in model.online_parameters().items():
        with torch.no_grad():
            parameter.view(-1)[-1] += 1e-3
        changed = model.fingerprint()
        assert changed != first, name
        first = changed


def test_two_random_bases_have_two_fingerprints() -> None:
    # With LoRA the base is in no parameter list, yet another base gives other latents.
    torch.manual_seed(1)
    other = TextEncoder(EncoderConfig(vocab_size=600, **LORA))  # type: ignore[arg-type]
    other.load_state_dict({name: p for name, p in encoder(**LORA).state_dict().items() if ".online." in name}, strict=False)

    assert other.fingerprint() != encoder(**LORA).fingerprint()


def test_a_local_folder_is_a_base(model_folder: Path) -> None:
    model = encoder(base=str(model_folder), **LORA)

    assert model.latent_dim == 64
    assert model(*texts(257)).shape == (len(LENGTHS), 64)
    assert model(*texts(257)).dtype == torch.float32


def test_random_weights_take_only_the_shape_of_a_folder(model_folder: Path) -> None:
    saved, random_ = encoder(base=str(model_folder)), encoder(base=str(model_folder), random_weights=True)

    assert [p.shape for p in saved.parameters()] == [p.shape for p in random_.parameters()]
    assert not torch.equal(saved(*texts(257)), random_(*texts(257)))


def test_nf4_base_is_frozen_and_its_adapter_trains(model_folder: Path) -> None:
    pytest.importorskip("bitsandbytes")
    plain = encoder(base=str(model_folder), **LORA)
    model = encoder(base=str(model_folder), quantization="nf4", **LORA)
    token_N, length_U = texts(257)

    close = torch.cosine_similarity(model(token_N, length_U), plain(token_N, length_U))
    assert trainable(model) == set(model.online_parameters())
    assert bool((close > 0.9).all())
    model(token_N, length_U).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for name, p in model.online_parameters().items() if "lora_B" in name)


def test_an_unknown_name_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match=r"neither a local folder.*--model\.encoder.*go online"):
        encoder(base="/no/such/folder")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a local folder with a model nor reachable"):
        encoder(base=str(tmp_path))


def test_lora_targets_that_the_model_lacks_are_refused() -> None:
    with pytest.raises(InputError, match=r"lora_targets.*no such layer"):
        encoder(adaptation="lora", lora_targets=["c_attn"])


def test_a_quantised_base_cannot_train_in_full() -> None:
    with pytest.raises(InputError, match="nf4 freezes the base"):
        encoder(quantization="nf4", adaptation="full")


def test_nf4_of_a_model_from_scratch_is_refused() -> None:
    # Random weights are built, not loaded, so nothing would quantise them: silently ignoring the setting would mislead.
    with pytest.raises(InputError, match="nf4"):
        encoder(quantization="nf4", **LORA)


SMALL = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (MistralConfig(num_hidden_layers=1, sliding_window=8, **SMALL), "sliding_window of 8 tokens"),
        (Qwen3Config(num_hidden_layers=2, layer_types=["full_attention", "sliding_attention"], **SMALL), "layers of sliding_attention"),
        (Gemma2Config(num_hidden_layers=1, sliding_window=None, layer_types=["full_attention"], **SMALL), "caps its attention logits"),
        (
            GptOssConfig(num_hidden_layers=1, sliding_window=None, layer_types=["full_attention"], num_local_experts=2, **SMALL),
            "attention sinks",
        ),
        (
            GPTNeoConfig(vocab_size=64, hidden_size=32, num_layers=1, num_heads=2, attention_types=[[["global"], 1]]),
            "its attention cannot be replaced",
        ),
    ],
    ids=["window", "windowed layer", "softcap", "sinks", "no attention function"],
)
def test_attention_that_packing_would_get_wrong_is_refused(tmp_path: Path, config: PreTrainedConfig, reason: str) -> None:
    config.save_pretrained(tmp_path)

    with pytest.raises(InputError, match=rf"cannot run packed.*{reason}.*--model\.encoder\.base"):
        encoder(base=str(tmp_path), random_weights=True)
