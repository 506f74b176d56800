"""Latents of a store's texts, and of texts that are not in it, under a frozen encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from clin_jepa.data.latent_cache import LatentCache
from clin_jepa.data.token_store import TokenStore
from clin_jepa.module import ClinJEPA

# Texts asked of the cache at a time.
_TEXTS_AT_ONCE = 4096


class StoreLatents:
    """Latents by the number of a text, through the run's latent cache.

    Args:
        module: The frozen model.
        tokens: The store's tokens.
        tokenizer: The tokenizer they were made with.
        folder: Where the run keeps latents.
    """

    def __init__(self, module: ClinJEPA, tokens: TokenStore, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
        self.module, self.tokens, self.tokenizer = module, tokens, tokenizer
        dtype = "float32" if module.latent_cache == "none" else module.latent_cache
        self.cache = LatentCache(folder, tokens, module.encoder.fingerprint(), module.encoder.latent_dim, dtype)

    def of_texts(self, text_ids: NDArray[np.int64], progress: str | None = None) -> Tensor:
        """Latents of texts of the store, ``[..., D]`` float32 on the CPU, in the shape of ``text_ids``."""
        unique, place = np.unique(text_ids, return_inverse=True)
        blocks = range(0, len(unique), _TEXTS_AT_ONCE)
        latents = [
            self.cache.latents(torch.from_numpy(unique[first : first + _TEXTS_AT_ONCE]), self.module.encoder)
            for first in tqdm(blocks, desc=progress, unit="block", disable=progress is None)
        ]
        return self.module.normalized(torch.cat(latents))[torch.from_numpy(place.reshape(text_ids.shape))]

    def of_new_texts(self, texts: Sequence[str]) -> Tensor:
        """Latents of any texts, ``[len(texts), D]`` float32 on the CPU; equal texts are encoded once."""
        unique = sorted(set(texts))
        longest = int(self.tokens.about["max_tokens"])
        rows = self.tokenizer(unique, add_special_tokens=False)["input_ids"]
        rows = [[*row[: longest - 1], self.tokenizer.eos_token_id] for row in rows]
        with torch.no_grad():
            latent_UD = self.module.encoder(
                torch.tensor([token for row in rows for token in row]), torch.tensor([len(row) for row in rows])
            ).cpu()
        place = {text: number for number, text in enumerate(unique)}
        return self.module.normalized(latent_UD)[[place[text] for text in texts]]
