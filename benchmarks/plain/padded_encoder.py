"""The yardstick of encoding: a window's texts as padded batches through an ordinary Hugging Face causal language model."""

# Shapes: U texts, L tokens of the longest text of a batch, D latent features.

import copy

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from clin_jepa.batch import TrajectoryBatch

Texts = list[Tensor]


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

    def forward(self, batches: list[Texts]) -> Tensor:
        """Latents of all texts of some batches, ``[U, D]``; each text is its token ids, ``[L_u]`` int64."""
        return torch.cat([self._encode(texts) for texts in batches])

    def _encode(self, texts: list[Tensor]) -> Tensor:
        tokens_UL = nn.utils.rnn.pad_sequence(texts, batch_first=True)
        length_U = torch.tensor([len(text) for text in texts])
        mask_UL = torch.arange(tokens_UL.shape[1]) < length_U[:, None]
        hidden_ULD = self.lm.model(input_ids=tokens_UL, attention_mask=mask_UL.long(), use_cache=False).last_hidden_state
        latents: Tensor = hidden_ULD[torch.arange(len(texts)), length_U - 1].float()
        return latents


def places_of_windows(batch: TrajectoryBatch) -> list[Tensor]:
    """Numbers of the texts of each window, as often as they occur: three batches a window - the static text, states, actions.

    States are three times as long as actions: padded together, they would be the worst case of padding.
    """
    windows = zip(batch.static_B, batch.state_BT, batch.action_BT, batch.mask_BT, strict=True)
    return [part for static, state_T, action_T, mask_T in windows for part in (static[None], state_T[mask_T], action_T[mask_T])]


def texts_of_windows(batch: TrajectoryBatch) -> list[Texts]:
    """The batches of `places_of_windows` as texts."""
    texts = batch.token_N.split(batch.length_U.tolist())
    return [[texts[place] for place in places.tolist()] for places in places_of_windows(batch)]


def whole_windows(batches: list[Texts]) -> list[Texts]:
    """The three batches of each window as one."""
    return [[*static, *states, *actions] for static, states, actions in zip(batches[::3], batches[1::3], batches[2::3], strict=True)]


def useful_share(batches: list[Texts]) -> float:
    """Share of the positions of the padded batches that hold a token."""
    lengths = [[len(text) for text in texts] for texts in batches]
    return sum(map(sum, lengths)) / sum(max(batch) * len(batch) for batch in lengths)
