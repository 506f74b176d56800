"""Encoding: packed and each text once, against padded batches of every text of every window."""

from typing import Any

import torch

from benchmarks.material import Material
from benchmarks.plain.padded_encoder import PaddedEncoder, Texts, texts_of_windows, useful_share
from benchmarks.timing import compare
from clin_jepa.batch import TrajectoryBatch
from clin_jepa.encoder import TextEncoder

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
    work = {"patient_hours": float(hours), "tokens": float(sum(len(text) for windows in texts for window in windows for text in window))}

    @torch.no_grad()
    def packed() -> None:
        for batch in batches:
            encoder(batch.token_N, batch.length_U)

    @torch.no_grad()
    def padded() -> None:
        for windows in texts:
            plain(windows)

    def packed_with_backward() -> None:
        encoder(batches[0].token_N, batches[0].length_U).square().mean().backward()

    def padded_with_backward() -> None:
        plain(texts[0]).square().mean().backward()

    return {
        "rows": [
            compare("encode, forward", packed, padded, work).row(),
            compare("encode, forward and backward", packed_with_backward, padded_with_backward, work).row(),
        ],
        "largest_difference_of_a_latent": difference,
        "useful_share": round(encoder.useful_share(batches[0].length_U), 4),
        "plain_useful_share": round(useful_share([window for windows in texts for window in windows]), 4),
        "unique_share": round(
            sum(len(batch.text_id_U) for batch in batches) / sum(len(window) for windows in texts for window in windows), 4
        ),
    }


@torch.no_grad()
def _largest_difference(encoder: TextEncoder, plain: PaddedEncoder, batch: TrajectoryBatch, windows: list[Texts]) -> float:
    places = [
        torch.cat([static[None], state_T[mask_T], action_T[mask_T]])
        for static, state_T, action_T, mask_T in zip(batch.static_B, batch.state_BT, batch.action_BT, batch.mask_BT, strict=True)
    ]
    return float((encoder(batch.token_N, batch.length_U)[torch.cat(places)] - plain(windows)).abs().max())
