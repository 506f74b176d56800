"""Encoding: packed and each text once, against padded batches of every text of every window."""

from typing import Any

import torch

from benchmarks.material import Material
from benchmarks.plain.padded_encoder import PaddedEncoder, Texts, places_of_windows, texts_of_windows, useful_share, whole_windows
from benchmarks.timing import compare
from clin_jepa.encoder import TextEncoder

_BATCHES = 4


def measure_encoding(material: Material) -> dict[str, Any]:
    """Forward, and forward with backward, of batches of eight windows; both ways give the same latents."""
    module = material.module()
    encoder = module.encoder
    plain = PaddedEncoder(encoder.causal_lm.config, encoder.causal_lm.state_dict())
    batches = material.batches(_BATCHES)
    apart = [texts_of_windows(batch) for batch in batches]
    together = [whole_windows(texts) for texts in apart]
    named = sum(len(texts) for texts in _all(apart))
    work = {
        "patient_hours": float(sum(int(batch.mask_BT.sum()) for batch in batches)),
        "tokens": float(sum(len(text) for texts in _all(apart) for text in texts)),
    }

    @torch.no_grad()
    def packed() -> None:
        for batch in batches:
            encoder(batch.token_N, batch.length_U)

    @torch.no_grad()
    def padded(given: list[list[Texts]]) -> None:
        for texts in given:
            plain(texts)

    def packed_with_backward() -> None:
        for batch in batches:
            encoder(batch.token_N, batch.length_U).square().mean().backward()

    def padded_with_backward(given: list[list[Texts]]) -> None:
        for texts in given:
            plain(texts).square().mean().backward()

    return {
        "rows": [
            compare("encode, forward; plain pads states and actions apart", packed, lambda: padded(apart), work).row(),
            compare("encode, forward; plain pads a window's texts together", packed, lambda: padded(together), work).row(),
            compare("encode, forward and backward; apart", packed_with_backward, lambda: padded_with_backward(apart), work).row(),
            compare("encode, forward and backward; together", packed_with_backward, lambda: padded_with_backward(together), work).row(),
        ],
        "largest_difference_of_a_latent": _largest_difference(material, encoder, plain),
        "useful_share": [round(encoder.useful_share(batch.length_U), 4) for batch in batches],
        "plain_useful_share": {"apart": round(useful_share(_all(apart)), 4), "together": round(useful_share(_all(together)), 4)},
        "unique_share": round(sum(len(batch.text_id_U) for batch in batches) / named, 4),
        "tokens_per_patient_hour": round(work["tokens"] / work["patient_hours"], 1),
    }


def _all(batches: list[list[Texts]]) -> list[Texts]:
    return [texts for batch in batches for texts in batch]


@torch.no_grad()
def _largest_difference(material: Material, encoder: TextEncoder, plain: PaddedEncoder) -> float:
    (batch,) = material.batches(1)
    places = torch.cat(places_of_windows(batch))
    return float((encoder(batch.token_N, batch.length_U)[places] - plain(texts_of_windows(batch))).abs().max())
