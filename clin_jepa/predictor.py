"""LatentTrajectoryPredictor: a block-causal Transformer that rolls the latents of a stay forward, given the treatments."""

# Shapes: B windows, T hours, D latent features, W width, S = 1 + 2T sequence positions, H heads, F features of a head.

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from clin_jepa.errors import InputError


@dataclass(frozen=True)
class PredictorConfig:
    """Size of the predictor; the defaults are the published ones (92.5M parameters at 4096 latent features).

    Args:
        layers: Transformer blocks.
        width: Features of the residual stream.
        heads: Attention heads.
        feed_forward: Features inside each feed-forward layer.
        dropout: Dropout on the residual branches.
        attention_dropout: Dropout on attention weights.
        max_hours: Most hours in a sequence; the learned positions end there.
        residual: Whether the output is added to the state it starts from.
    """

    layers: int = 6
    width: int = 1024
    heads: int = 8
    feed_forward: int = 4096
    dropout: float = 0.15
    attention_dropout: float = 0.10
    max_hours: int = 72
    residual: bool = False

    def validate(self) -> None:
        """Refuse sizes that do not fit together.

        Raises:
            InputError: If the width is no multiple of the heads, or a size is below 1.
        """
        if min(self.layers, self.width, self.heads, self.feed_forward, self.max_hours) < 1 or self.width % self.heads:
            raise InputError(f"--model.predictor {self}: sizes must be at least 1 and width a multiple of heads")


# Keys and values of one layer, [B, H, S, F] each; empty before its first hours.
LayerCache = list[Tensor]


class LatentTrajectoryPredictor(nn.Module):
    """Predicts the next hour's latent from all hours and treatments so far.

    The sequence is ``[static, s1, a1, s2, a2, ...]``. Position ``static`` sees itself; hour k sees ``static``, all earlier hours, and
    its own state and action both ways. The output at ``s_k`` is the latent of hour k+1, given the treatments up to and with hour k.

    Args:
        latent_dim: Features of a latent, D.
        config: Sizes.

    Raises:
        InputError: If the sizes do not fit together.
    """

    def __init__(self, latent_dim: int, config: PredictorConfig) -> None:
        super().__init__()
        config.validate()
        self.config = config
        self.static_input = nn.Linear(latent_dim, config.width)
        self.state_input = nn.Linear(latent_dim, config.width)
        self.action_input = nn.Linear(latent_dim, config.width)
        self.positions = nn.Parameter(torch.zeros(1 + 2 * config.max_hours, config.width))
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, latent_dim)
        nn.init.normal_(self.positions, std=0.02)

    def forward(self, static_BD: Tensor, state_BTD: Tensor, action_BTD: Tensor) -> Tensor:
        """Teacher-forced predictions of the next hour, at every hour.

        Args:
            static_BD: Latent of the static text, ``[B, D]``.
            state_BTD: Latents of the states, ``[B, T, D]``; padding may only be on the right.
            action_BTD: Latents of the actions, ``[B, T, D]``.

        Returns:
            ``[B, T, D]``: at hour k the prediction of hour k+1.

        Raises:
            InputError: If the sequence is longer than the learned positions.
        """
        x_BSW = self._embed(static_BD, state_BTD, action_BTD)
        mask_SS = block_causal_mask(state_BTD.shape[1], x_BSW.device)
        for block in self.blocks:
            x_BSW = block(x_BSW, mask_SS)
        return self._read(x_BSW[:, 1::2], state_BTD)

    def rollout(self, static_BD: Tensor, state_BCD: Tensor, action_BKD: Tensor) -> Tensor:
        """Roll forward from the true first hours, each step consuming the step before; keys and values are kept, not recomputed.

        Args:
            static_BD: Latent of the static text, ``[B, D]``.
            state_BCD: True latents of the first C hours, ``[B, C, D]``.
            action_BKD: Latents of the actions of hours 1 to C+R-1, ``[B, C+R-1, D]``; the actions of the predicted hours are the
                scenario.

        Returns:
            ``[B, R, D]``: predictions of hours C+1 to C+R.

        Raises:
            ValueError: If there are fewer actions than context hours.
            InputError: If the sequence is longer than the learned positions.
        """
        context, steps = state_BCD.shape[1], action_BKD.shape[1]
        if steps < context:
            raise ValueError(f"the rollout has {context} context hours but actions for {steps}")
        x_BSW = self._embed(static_BD, state_BCD, action_BKD[:, :context])
        mask_SS = block_causal_mask(context, x_BSW.device)
        caches: list[LayerCache] = [[] for _ in self.blocks]
        for block, cache in zip(self.blocks, caches, strict=True):
            x_BSW = block(x_BSW, mask_SS, cache)
        state_BD = self._read(x_BSW[:, -2], state_BCD[:, -1])
        predictions = [state_BD]
        for hour in range(context, steps):
            pair_B2W = self._embed_hours(state_BD[:, None], action_BKD[:, hour : hour + 1], first_hour=hour)
            for block, cache in zip(self.blocks, caches, strict=True):
                pair_B2W = block(pair_B2W, None, cache)
            state_BD = self._read(pair_B2W[:, 0], state_BD)
            predictions.append(state_BD)
        return torch.stack(predictions, dim=1)

    def _embed(self, static_BD: Tensor, state_BTD: Tensor, action_BTD: Tensor) -> Tensor:
        static_B1W = (self.static_input(static_BD) + self.positions[0])[:, None]
        return torch.cat([static_B1W, self._embed_hours(state_BTD, action_BTD, first_hour=0)], dim=1)

    def _embed_hours(self, state_BTD: Tensor, action_BTD: Tensor, first_hour: int) -> Tensor:
        hours = state_BTD.shape[1]
        if first_hour + hours > self.config.max_hours:
            raise InputError(
                f"a sequence of {first_hour + hours} hours is longer than the predictor's {self.config.max_hours}: "
                "raise --model.predictor.max_hours before training, or shorten the windows"
            )
        pairs_BT2W = torch.stack([self.state_input(state_BTD), self.action_input(action_BTD)], dim=2)
        positions = self.positions[1 + 2 * first_hour : 1 + 2 * (first_hour + hours)]
        return pairs_BT2W.flatten(1, 2) + positions

    def _read(self, x_W: Tensor, state_D: Tensor) -> Tensor:
        prediction: Tensor = self.output(self.norm(x_W))
        return state_D + prediction if self.config.residual else prediction


def block_causal_mask(hours: int, device: torch.device | None = None) -> Tensor:
    """Which position may look at which, ``[1 + 2 * hours, 1 + 2 * hours]`` bool: its own hour, both ways, and all before.

    >>> block_causal_mask(2).int().tolist()
    [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]]
    """
    hour_S = (torch.arange(1 + 2 * hours, device=device) + 1) // 2
    return hour_S[:, None] >= hour_S[None, :]


class _Block(nn.Module):
    """Pre-norm attention and feed-forward, each on a residual branch."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.heads, self.attention_dropout = config.heads, config.attention_dropout
        self.attention_norm = nn.LayerNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.attention_output = nn.Linear(config.width, config.width)
        self.feed_forward_norm = nn.LayerNorm(config.width)
        self.expand = nn.Linear(config.width, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BSW: Tensor, mask_SS: Tensor | None, cache: LayerCache | None = None) -> Tensor:
        """The layer's output, ``[B, S, W]``; what it looks at is added to the cache, and what is there already is looked at too."""
        batch, length, width = x_BSW.shape
        qkv = self.query_key_value(self.attention_norm(x_BSW)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        if cache:
            key, value = torch.cat([cache[0], key], dim=2), torch.cat([cache[1], value], dim=2)
        if cache is not None:
            cache[:] = [key, value]
        dropout = self.attention_dropout if self.training else 0.0
        seen = scaled_dot_product_attention(query, key, value, attn_mask=mask_SS, dropout_p=dropout)
        x_BSW = x_BSW + self.dropout(self.attention_output(seen.transpose(1, 2).reshape(batch, length, width)))
        result_BSW: Tensor = x_BSW + self.dropout(self.contract(gelu(self.expand(self.feed_forward_norm(x_BSW)))))
        return result_BSW
