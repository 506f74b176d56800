"""The last block of a language model, of which a latent needs the last token alone: its feed-forward layer meets no other."""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from clin_jepa.packing import Packing

# Whose blocks are: x + attention(norm(x)), then x + feed-forward(norm(x)), and nothing else.
_PLAIN_BLOCKS = ("llama", "mistral", "qwen2", "qwen3")


class LastTokenBlock(nn.Module):
    """Mixed into a block's own class: the same block, which keeps only the last token of each text where the packing says so.

    Every token is still a key and a value; what lies behind attention is computed for the texts' last tokens. The numbers are those of
    the whole block, up to rounding.
    """

    def forward(self, hidden_states: Tensor, *arguments: Any, packing: Packing | None = None, **options: Any) -> Any:
        """``[1, N, D]`` to ``[1, N, D]``, or ``[1, U, D]`` where only last tokens are wanted."""
        if packing is None or not packing.last_tokens_only:
            return super().forward(hidden_states, *arguments, packing=packing, **options)
        block: Any = self
        attended, _ = block.self_attn(hidden_states=block.input_layernorm(hidden_states), packing=packing, **options)
        last_1UD = (hidden_states + attended).index_select(1, packing.last_token_U)
        return last_1UD + block.mlp(block.post_attention_layernorm(last_1UD))


def keep_last_tokens_in_last_block(model: PreTrainedModel) -> None:
    """Give a model's last block the class that can; a model whose blocks are of another form is left as it is.

    Args:
        model: A causal language model, before adapters are added; its weights and their names do not change.
    """
    if model.config.get_text_config().model_type not in _PLAIN_BLOCKS:
        return
    block = model.get_decoder().layers[-1]
    block.__class__ = type(f"LastToken{type(block).__name__}", (LastTokenBlock, type(block)), {})


def keeps_last_tokens(model: Any) -> bool:
    """Whether a model's last block gives last tokens only where that is asked for."""
    return isinstance(model.get_decoder().layers[-1], LastTokenBlock)
