"""The yardstick of encoding: padded batches of texts through an ordinary Hugging Face causal language model."""

# Shapes: U texts, L tokens of the longest text of a batch, D latent features.

import copy

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from clin_jepa.batch import TrajectoryBatch

# Texts of one forward pass, in the order in which the windows name them.
TEXTS_AT_ONCE = 64


class PaddedEncoder(nn.Module):
    """The hidden state at each text's last token, texts padded on the right to the longest of their batch.

    Args:
        config: Of the language model.
        state: Its weights, by their names in the language model.
    """

    def __init__(self, config: PreTrainedConfig, state: dict[str, Tensor]) -> None:
        super().__init__()
        # A copy: the attention is set in the configuration, which the other model goes by as well.
        self.lm = AutoModelForCausalLM.from_config(copy.deepcopy(config), attn_implementation="sdpa")
        self.lm.load_state_dict(state)

    def forward(self, texts: list[Tensor]) -> Tensor:
        """Latents of texts, ``[U, D]``; each text is its token ids, ``[L_u]`` int64."""
        batches = [texts[first : first + TEXTS_AT_ONCE] for first in range(0, len(texts), TEXTS_AT_ONCE)]
        return torch.cat([self._encode(batch) for batch in batches])

    def _encode(self, texts: list[Tensor]) -> Tensor:
        tokens_UL = nn.utils.rnn.pad_sequence(texts, batch_first=True)
        length_U = torch.tensor([len(text) for text in texts])
        mask_UL = torch.arange(tokens_UL.shape[1]) < length_U[:, None]
        hidden_ULD = self.lm.model(input_ids=tokens_UL, attention_mask=mask_UL.long(), use_cache=False).last_hidden_state
        latents: Tensor = hidden_ULD[torch.arange(len(texts)), length_U - 1].float()
        return latents


def texts_of_windows(batch: TrajectoryBatch) -> list[Tensor]:
    """Every text of every window, as often as it occurs: static, then states, then actions."""
    place_N = torch.cat([batch.static_B, batch.state_BT[batch.mask_BT], batch.action_BT[batch.mask_BT]])
    texts = batch.token_N.split(batch.length_U.tolist())
    return [texts[place] for place in place_N.tolist()]


def useful_share(texts: list[Tensor]) -> float:
    """Share of the positions of the padded batches that hold a token."""
    lengths = [len(text) for text in texts]
    batches = [lengths[first : first + TEXTS_AT_ONCE] for first in range(0, len(lengths), TEXTS_AT_ONCE)]
    return sum(lengths) / sum(max(batch) * len(batch) for batch in batches)
