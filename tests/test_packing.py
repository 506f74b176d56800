"""Packed texts have the latents and gradients that they have one at a time, and cost no padding."""

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Qwen3Config

from clin_jepa import packing
from clin_jepa.encoder import TextEncoder
from clin_jepa.language_model import EncoderConfig
from clin_jepa.packing import Packing, packed_attention, plan_packs

LENGTHS = [7, 1, 30, 2, 2, 19, 1, 64, 31, 7, 3, 100]


def encoder(**settings: object) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(EncoderConfig(vocab_size=600, **settings))  # type: ignore[arg-type]


def texts(lengths: list[int] = LENGTHS, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(600, (sum(lengths),), generator=generator), torch.tensor(lengths)


def one_at_a_time(model: TextEncoder, token_N: Tensor, length_U: Tensor) -> Tensor:
    return torch.cat([model(tokens, torch.tensor([len(tokens)])) for tokens in token_N.split(length_U.tolist())])


@pytest.mark.parametrize("tokens_per_pack", [1, 40, 128, 16384])
def test_packed_latents_equal_one_text_at_a_time(tokens_per_pack: int) -> None:
    model = encoder(tokens_per_pack=tokens_per_pack)
    token_N, length_U = texts()

    torch.testing.assert_close(model(token_N, length_U), one_at_a_time(encoder(), token_N, length_U), atol=1e-5, rtol=0)


def test_order_of_the_texts_does_not_matter() -> None:
    model, (token_N, length_U) = encoder(), texts()
    order = torch.randperm(len(length_U), generator=torch.Generator().manual_seed(3))
    pieces = token_N.split(length_U.tolist())

    shuffled = model(torch.cat([pieces[k] for k in order]), length_U[order])

    torch.testing.assert_close(shuffled, model(token_N, length_U)[order], atol=1e-5, rtol=0)


def test_texts_of_one_token_equal_the_plain_forward() -> None:
    model = encoder()
    token_N, length_U = texts([1, 1, 1])

    torch.testing.assert_close(model(token_N, length_U), plain_latents(model, token_N, length_U), atol=1e-5, rtol=0)


def plain_latents(model: TextEncoder, token_N: Tensor, length_U: Tensor) -> Tensor:
    """Latents by transformers' own eager attention, with the same weights, text by text."""
    config = Qwen3Config(**{**model.lm.config.to_dict(), "attn_implementation": None})
    plain = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    plain.load_state_dict(model.causal_lm.state_dict())
    pieces = token_N.split(length_U.tolist())
    return torch.stack([plain.get_decoder()(input_ids=piece[None]).last_hidden_state[0, -1] for piece in pieces])


@pytest.mark.parametrize("tokens_per_pack", [40, 16384])
def test_packed_latents_equal_the_plain_eager_forward(tokens_per_pack: int) -> None:
    model, (token_N, length_U) = encoder(tokens_per_pack=tokens_per_pack), texts()

    torch.testing.assert_close(model(token_N, length_U), plain_latents(model, token_N, length_U), atol=1e-5, rtol=0)


def test_the_tiny_encoder_shares_key_heads() -> None:
    # Grouped queries are what the comparisons above would miss in a model without them.
    config = encoder().lm.config
    assert config.num_attention_heads > config.num_key_value_heads


def gradients(model: TextEncoder, latent_UD: Tensor) -> dict[str, Tensor]:
    weight_UD = torch.linspace(-1, 1, latent_UD.numel()).reshape(latent_UD.shape)
    (latent_UD * weight_UD).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("settings", [{}, {"activation_checkpointing": True}, {"tokens_per_pack": 40}], ids=str)
def test_packed_gradients_equal_one_text_at_a_time(settings: dict[str, object]) -> None:
    packed, single, (token_N, length_U) = encoder(**settings), encoder(), texts()

    found = gradients(packed, packed(token_N, length_U))

    expected = gradients(single, one_at_a_time(single, token_N, length_U))
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(gradient, expected[name], atol=1e-5 * max(scale, 1.0), rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_linear_layers_see_real_tokens_only() -> None:
    model, (token_N, length_U) = encoder(tokens_per_pack=128), texts()
    seen = 0

    def count(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        nonlocal seen
        seen += arguments[0].shape[:-1].numel()

    model.causal_lm.get_decoder().layers[0].mlp.gate_proj.register_forward_pre_hook(count)
    model(token_N, length_U)

    assert seen == sum(LENGTHS)


@pytest.mark.parametrize("tokens_per_pack", [1, 10, 50, 10_000])
def test_packs_hold_each_text_once_within_the_budget(tokens_per_pack: int) -> None:
    length_U = torch.tensor(LENGTHS)
    packs = plan_packs(length_U, tokens_per_pack)

    assert sorted(torch.cat(packs).tolist()) == list(range(len(LENGTHS)))
    assert all(int(length_U[pack].sum()) <= tokens_per_pack or len(pack) == 1 for pack in packs)


def test_a_text_does_not_see_its_neighbour_in_the_pack() -> None:
    model, (token_N, length_U) = encoder(), texts([5, 5, 5])
    changed = token_N.clone()
    changed[:5] = (changed[:5] + 1) % 600

    before, after = model(token_N, length_U), model(changed, length_U)

    assert not torch.equal(before[0], after[0])
    torch.testing.assert_close(after[1:], before[1:], atol=0, rtol=0)


def test_buckets_are_made_once_for_all_layers_and_only_where_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = packing._buckets
    monkeypatch.setattr(packing, "_buckets", lambda *arguments: made.append(arguments) or make(*arguments))

    Packing(torch.tensor([2, 3]), torch.device("cpu"))
    assert made == []  # flash attention needs none

    encoder()(*texts())  # three layers, one pack
    assert len(made) == 1


@pytest.mark.parametrize(
    ("autocast", "expected"), [(None, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.float16, torch.float16)], ids=str
)
def test_attention_computes_in_autocast_s_half_precision(
    monkeypatch: pytest.MonkeyPatch, autocast: torch.dtype | None, expected: torch.dtype
) -> None:
    # On a 4-bit base the projections give float32, which flash attention does not take.
    seen = set()
    attention = packing.scaled_dot_product_attention

    def watched(*tensors: Tensor, **options: object) -> Tensor:
        seen.update(tensor.dtype for tensor in tensors)
        return attention(*tensors, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(packing, "scaled_dot_product_attention", watched)
    query, key, value = (torch.randn(1, heads, 5, 8) for heads in (4, 2, 2))
    with torch.autocast("cpu", autocast, enabled=autocast is not None):
        out, _ = packed_attention(nn.Module(), query, key, value, None, Packing(torch.tensor([2, 3]), torch.device("cpu")))

    assert seen == {expected} == {out.dtype}


def test_a_half_precision_encoder_gives_the_same_latents_with_and_without_the_trainer_s_autocast() -> None:
    # Training runs under autocast and evaluation does not; their latents share a cache.
    model, (token_N, length_U) = encoder(dtype="bfloat16", adaptation="lora"), texts()
    with torch.no_grad():
        for parameter in model.online_parameters().values():
            parameter.normal_(std=0.1)
        without = model(token_N, length_U)
        with torch.autocast("cpu", torch.bfloat16):
            within = model(token_N, length_U)

    assert torch.equal(without, within)


def test_a_float32_encoder_follows_the_trainer_s_autocast() -> None:
    model, (token_N, length_U) = encoder(), texts()
    exact = model(token_N, length_U)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(token_N, length_U)

    assert not torch.equal(exact, half)
    torch.testing.assert_close(half, exact, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("shares_key_heads", [True, False])
def test_flash_attention_is_asked_for_what_the_buckets_compute(shares_key_heads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a torch that shares key heads itself, and of one that does not: no GPU is here, so a stand-in attends text by text."""

    def attend(
        query: Tensor, key: Tensor, value: Tensor, starts: Tensor, *_: object, scale: float, window_size: object, **shared: bool
    ) -> Tensor:
        assert window_size == (-1, 0)
        assert shared == ({"enable_gqa": True} if shares_key_heads else {})
        cuts = starts.diff().tolist()
        pieces = zip(*(heads.transpose(0, 1).split(cuts, dim=1) for heads in (query, key, value)), strict=True)
        out = [nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, **shared) for q, k, v in pieces]
        return torch.cat(out, dim=1).transpose(0, 1)

    monkeypatch.setattr(packing, "varlen_attn", attend)
    monkeypatch.setattr(packing, "_SHARES_KEY_HEADS", shares_key_heads)
    packed = Packing(torch.tensor(sorted(LENGTHS)), torch.device("cpu"))
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, sum(LENGTHS), 8) for heads in (4, 2, 2))
    tokens = [heads[0].transpose(0, 1) for heads in (query, key, value)]

    found = packing._flash_attention(packed, *tokens, scaling=0.3)
    torch.testing.assert_close(found, packing._bucketed_attention(packed.buckets, query, key, value, 0.3))
