"""Packed attention: many texts in one row, each attending to itself only, with next to no padding.

The texts of a pack lie one after the other on the sequence axis, sorted by length, so that every linear layer sees real tokens only.
Attention runs per text: as variable-length flash attention on a CUDA device in half precision, elsewhere as a few causal
`scaled_dot_product_attention` calls over texts of about equal length. Registered with transformers under the name `PACKED`.
"""

# Shapes: N tokens of a pack, U texts of a pack, H heads, F features of a head.

from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, PreTrainedConfig, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from clin_jepa.errors import InputError

PACKED = "clinjepa_packed"

# Texts share a bucket while the longest is at most this much longer than the shortest: padding inside attention stays small, and it
# touches no linear layer.
_BUCKET_GROWTH = 1.03
_BUCKET_SLACK = 1

_HALF = (torch.float16, torch.bfloat16)
# torch 2.11 does not let query heads share a key head.
_SHARES_KEY_HEADS = "enable_gqa" in signature(varlen_attn).parameters


@dataclass(frozen=True)
class Buckets:
    """A pack laid out as rectangles: texts of about equal length next to each other, each padded to the longest of its rectangle.

    Args:
        shapes: Texts, and tokens of the longest, of each rectangle.
        padded_P: For each position of all rectangles, one after the other, the token that lies there, ``[P]`` int64; a text's last token
            where there is padding.
        kept_N: Position of each token, ``[N]`` int64.
    """

    shapes: tuple[tuple[int, int], ...]
    padded_P: Tensor
    kept_N: Tensor

    @property
    def sizes(self) -> list[int]:
        """Positions of each rectangle."""
        return [texts * longest for texts, longest in self.shapes]


@dataclass(frozen=True)
class Packing:
    """Where each text of a pack lies.

    Args:
        length_U: Tokens of each text, ascending, on the CPU.
        device: Where the pack is.
        last_tokens_only: Whether only the hidden state of each text's last token is wanted, as for latents.
    """

    length_U: Tensor
    device: torch.device
    last_tokens_only: bool = False
    offset_U: Tensor = field(init=False)

    def __post_init__(self) -> None:
        zero = torch.zeros(1, dtype=torch.int64)
        object.__setattr__(self, "offset_U", torch.cat([zero, self.length_U.cumsum(0)]).to(self.device, torch.int32))

    @cached_property
    def buckets(self) -> Buckets:
        """The pack as rectangles: made by the first layer that needs them, shared by all others."""
        return _buckets(self.length_U, self.device)

    @property
    def positions(self) -> int:
        """Positions that the bucketed attention computes, padding included; linear layers compute the tokens alone."""
        return sum(self.buckets.sizes)

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return int(self.length_U[-1])

    @property
    def last_token_U(self) -> Tensor:
        """Position of each text's last token in the pack, ``[U]`` int64."""
        return self.offset_U[1:].long() - 1

    @property
    def position_N(self) -> Tensor:
        """Position of each token in its own text, ``[N]`` int64."""
        starts = (self.length_U.cumsum(0) - self.length_U).repeat_interleave(self.length_U)
        return (torch.arange(int(self.length_U.sum())) - starts).to(self.device)


def plan_packs(length_U: Tensor, tokens_per_pack: int) -> list[Tensor]:
    """Cut texts into packs: sorted by length (ties by number), at most ``tokens_per_pack`` tokens each, at least one text.

    >>> [pack.tolist() for pack in plan_packs(torch.tensor([3, 1, 2, 9]), tokens_per_pack=6)]
    [[1, 2, 0], [3]]
    """
    order = torch.sort(length_U, stable=True).indices
    packs: list[Tensor] = []
    first, used = 0, 0
    for place, length in enumerate(length_U[order].tolist()):
        if place > first and used + length > tokens_per_pack:
            packs.append(order[first:place])
            first, used = place, 0
        used += length
    packs.append(order[first:])
    return packs


def check_packable(config: PreTrainedConfig) -> None:
    """Refuse a language model whose attention is more than causal softmax attention over a whole text: packed, its latents would be wrong.

    Args:
        config: The model's configuration.

    Raises:
        InputError: If its attention does not go through transformers' attention functions, slides over a window, or caps its logits.
    """
    model_class = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    text = config.get_text_config()
    window = getattr(text, "sliding_window", None)
    other_layers = set(getattr(text, "layer_types", None) or ()) - {"full_attention"}
    if model_class is not None and not model_class._supports_attention_backend:
        raise _not_packable(config, "its attention cannot be replaced")
    if other_layers:
        raise _not_packable(config, f"it has layers of {' and '.join(sorted(other_layers))}")
    if window is not None:
        raise _not_packable(config, f"it attends within a sliding_window of {window} tokens")
    if getattr(text, "attn_logit_softcapping", None) is not None:
        raise _not_packable(config, "it caps its attention logits")


def check_no_sinks(model: PreTrainedModel) -> None:
    """Refuse a language model with attention sinks, which its configuration does not tell; otherwise as `check_packable`."""
    if any(name.endswith(".sinks") for name, _ in model.named_parameters()):
        raise _not_packable(model.config, "it has attention sinks")


def _not_packable(config: PreTrainedConfig, reason: str) -> InputError:
    return InputError(
        f"a {config.model_type} model cannot run packed ({reason}): give one with plain causal attention with --model.encoder.base, "
        "such as a Qwen3"
    )


def _buckets(length_U: Tensor, device: torch.device) -> Buckets:
    lengths = length_U.tolist()
    shapes: list[tuple[int, int]] = []
    first = 0
    while first < len(lengths):
        most = int(lengths[first] * _BUCKET_GROWTH) + _BUCKET_SLACK
        last = first
        while last < len(lengths) and lengths[last] <= most:
            last += 1
        shapes.append((last - first, lengths[last - 1]))
        first = last
    texts, longest = torch.tensor(shapes).unbind(dim=1)
    room_U = longest.repeat_interleave(texts)
    own_P = torch.arange(len(length_U)).repeat_interleave(room_U)
    place_P = torch.arange(len(own_P)) - (room_U.cumsum(0) - room_U)[own_P]
    is_token_P = place_P < length_U[own_P]
    padded_P = (length_U.cumsum(0) - length_U)[own_P] + torch.minimum(place_P, length_U[own_P] - 1)
    return Buckets(tuple(shapes), padded_P.to(device), is_token_P.nonzero().squeeze(1).to(device))


def packed_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, packing: Packing, **options: Any
) -> tuple[Tensor, None]:
    """Causal attention within each text of a pack; the signature is that of transformers' attention functions.

    Args:
        module: The attention layer; its ``num_key_value_groups`` says how many query heads share a key head.
        query: ``[1, H, N, F]``.
        key: ``[1, H_kv, N, F]``.
        value: ``[1, H_kv, N, F]``.
        attention_mask: Unused: the packing says which tokens belong together.
        packing: Where each text lies.
        options: ``scaling`` (float) is used; dropout is not, an encoder of latents has none. Models to which others (``sliding_window``,
            ``softcap``, ``s_aux``) mean something are refused by `check_packable` and `check_no_sinks`.

    Returns:
        ``[1, N, H, F]``, and None for the weights.
    """
    scaling = options.get("scaling")
    query, key, value = _in_half_precision(query, key, value)
    if query.is_cuda and query.dtype in _HALF:
        query, key, value = (heads[0].transpose(0, 1) for heads in (query, key, value))
        return _flash_attention(packing, query, key, value, scaling).unsqueeze(0), None
    return _bucketed_attention(packing.buckets, query, key, value, scaling).unsqueeze(0), None


def _flash_attention(packing: Packing, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
    """Variable-length flash attention over tokens, ``[N, H, F]`` or ``[N, H_kv, F]`` each."""
    offsets = (packing.offset_U, packing.offset_U, packing.longest, packing.longest)
    groups = query.shape[1] // key.shape[1]
    if groups > 1 and not _SHARES_KEY_HEADS:
        key, value = (heads.repeat_interleave(groups, dim=1) for heads in (key, value))
    shared: dict[str, Any] = {"enable_gqa": groups > 1} if _SHARES_KEY_HEADS else {}
    out: Any = varlen_attn(query, key, value, *offsets, scale=scaling, window_size=(-1, 0), **shared)
    return cast(Tensor, out)


def _in_half_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in autocast's number format where that is a half one, else as they are.

    On a 4-bit base the projections give float32, and `varlen_attn` is no operation that autocast casts for.
    """
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind) or torch.get_autocast_dtype(kind) not in _HALF:
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(kind)) for tensor in tensors)


def _bucketed_attention(buckets: Buckets, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
    """Causal attention rectangle by rectangle, ``[N, H, F]``.

    The pack is laid out, cut and put together in one operation each, so that the backward pass, too, moves every number a few times and not
    once for each rectangle.
    """
    groups = query.shape[1] // key.shape[1]
    laid_out = [torch.split(x_1HNF[0].transpose(0, 1).index_select(0, buckets.padded_P), buckets.sizes) for x_1HNF in (query, key, value)]
    pieces: list[Tensor] = []
    for (texts, longest), *rows in zip(buckets.shapes, *laid_out, strict=True):
        q, k, v = (row.view(texts, longest, *row.shape[1:]).transpose(1, 2) for row in rows)
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        out = scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling)
        pieces.append(out.transpose(1, 2).reshape(texts * longest, *out.shape[1:2], out.shape[-1]))
    return torch.cat(pieces).index_select(0, buckets.kept_N)


# No mask is registered under this name, so transformers makes none, and does not ask the device whether the row is packed.
ALL_ATTENTION_FUNCTIONS.register(PACKED, packed_attention)
