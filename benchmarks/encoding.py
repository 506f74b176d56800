"""Encoding: packed and each text once, against padded batches of every text of every window."""

from typing import Any

import torch

from benchmarks.material import Material
from benchmarks.plain.padded_encoder import PaddedEncoder, texts_of_windows, useful_share
from benchmarks.timing import compare

_BATCHES = 1


def measure_encoding(material: Material) -> dict[str, Any]:
    """Forward, and forward with backward, of whole batches of windows; both give the same latents."""
    module = material.module()
    encoder = module.encoder
    plain = PaddedEncoder(encoder.causal_lm.config, encoder.causal_lm.state_dict())
    batches = material.batches(_BATCHES)
    texts = [texts_of_windows(batch) for batch in batches]
    hours = sum(int(batch.mask_BT.sum()) for batch in batches)
    difference = _largest_difference(encoder, plain, batches[0], texts[0])
    work = {"patient_hours": float(hours), "tokens": float(sum(len(text) for window in texts for text in window))}

    @torch.no_grad()
    def packed() -> None:
        for batch in batches:
            encoder(batch.token_N, batch.length_U)

    @torch.no_grad()
    def padded() -> None:
        for window in texts:
            plain(window)

    def packed_with_backward() -> None:
        encoder(batches[0].token_N, batches[0].length_U).square().mean().backward()

    def padded_with_backward() -> None:
        plain(texts[0]).square().mean().backward()

    of_one = {name: amount * len(texts[0]) / sum(map(len, texts)) for name, amount in work.items()}
    return {
        "rows": [
            compare("encode, forward", packed, padded, work).row(),
            compare("encode, forward and backward", packed_with_backward, padded_with_backward, of_one).row(),
        ],
        "largest_difference_of_a_latent": difference,
        "useful_share": round(encoder.useful_share(batches[0].length_U), 4),
        "plain_useful_share": round(useful_share([text for window in texts for text in window]), 4),
        "unique_share": round(sum(len(batch.text_id_U) for batch in batches) / sum(map(len, texts)), 4),
    }


@torch.no_grad()
def _largest_difference(encoder: Any, plain: PaddedEncoder, batch: Any, texts: list[torch.Tensor]) -> float:
    latent_UD = encoder(batch.token_N, batch.length_U)
    place_N = torch.cat([batch.static_B, batch.state_BT[batch.mask_BT], batch.action_BT[batch.mask_BT]])
    return float((latent_UD[place_N] - plain(texts)).abs().max())
