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


class KeyValues:
    """Keys and values that one layer has seen so far, ``[B, H, S, F]`` each.

    Args:
        room: Positions to make room for at the first use, so that later ones are written in place; without gradient only. By default
            every addition makes new tensors, through which gradient flows.
    """

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.length = 0
        self._key: Tensor | None = None
        self._value: Tensor | None = None

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of further positions, ``[B, H, S', F]``.

        Returns:
            All keys and all values, the new ones last.
        """
        before, self.length = self.length, self.length + key.shape[2]
        if self.room:
            if self._key is None or self._value is None:
                shape = (*key.shape[:2], self.room, key.shape[3])
                self._key, self._value = key.new_empty(shape), value.new_empty(shape)
            self._key[:, :, before : self.length] = key
            self._value[:, :, before : self.length] = value
            return self._key[:, :, : self.length], self._value[:, :, : self.length]
        if self._key is not None and self._value is not None:
            key, value = torch.cat([self._key, key], dim=2), torch.cat([self._value, value], dim=2)
        self._key, self._value = key, value
        return key, value


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
        return self.forward_with_hidden(static_BD, state_BTD, action_BTD)[0]

    def forward_with_hidden(self, static_BD: Tensor, state_BTD: Tensor, action_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, and `hidden`, of one pass: ``[B, T, D]`` and ``[B, T, W]``."""
        hidden_BTW = self._hidden(static_BD, state_BTD, action_BTD)
        return self._read(hidden_BTW, state_BTD), hidden_BTW

    def hidden(self, static_BD: Tensor, state_BTD: Tensor, action_BTD: Tensor) -> Tensor:
        """The normalised hidden state behind each hour's prediction, ``[B, T, W]``: what the predictor has made of the hours so far.

        Args:
            static_BD: As in `forward`.
            state_BTD: As in `forward`.
            action_BTD: As in `forward`.
        """
        return self._hidden(static_BD, state_BTD, action_BTD)

    def _hidden(self, static_BD: Tensor, state_BTD: Tensor, action_BTD: Tensor) -> Tensor:
        # Apart from `hidden`, which a sharded predictor wraps: within another wrapped method it would give the weights back too early.
        x_BSW = self._embed(static_BD, state_BTD, action_BTD)
        mask_SS = block_causal_mask(state_BTD.shape[1], x_BSW.device)
        for block in self.blocks:
            x_BSW = block(x_BSW, mask_SS)
        hidden_BTW: Tensor = self.norm(x_BSW[:, 1::2])
        return hidden_BTW

    def forward_with_rollouts(
        self, static_BD: Tensor, state_BTD: Tensor, action_BTD: Tensor, start_B: Tensor, horizon: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Teacher-forced predictions at every hour, and a rollout from one hour of each window that consumes its own predictions.

        The first step of the rollout is the teacher-forced prediction at the start; each further one adds one hour to the keys and values
        of the hours up to the start, which the teacher-forced pass has computed already. Gradient flows through all of it. Without
        dropout this equals a pass over the whole sequence for each step, in which the predictions stand in for the states.

        Args:
            static_BD: Latent of the static text, ``[B, D]``.
            state_BTD: Latents of the states, ``[B, T, D]``; padding may only be on the right.
            action_BTD: Latents of the actions, ``[B, T, D]``.
            start_B: Last true hour of each rollout, ``[B]`` int64, in ``[0, T)``.
            horizon: Steps of the rollouts, R; a step beyond the last hour of the window is taken at that hour.

        Returns:
            ``[B, T, D]``, as `forward` gives it, ``[B, R, D]``: predictions of hours ``start_B + 1`` to ``start_B + R``, and
            ``[B, T, W]``, as `hidden` gives it.

        Raises:
            InputError: If the sequence is longer than the learned positions.
        """
        x_BSW = self._embed(static_BD, state_BTD, action_BTD)
        hours = state_BTD.shape[1]
        mask_SS = block_causal_mask(hours, x_BSW.device)
        seen = [KeyValues() for _ in self.blocks]
        for block, keys in zip(self.blocks, seen, strict=True):
            x_BSW = block(x_BSW, mask_SS, keys)
        hidden_BTW = self.norm(x_BSW[:, 1::2])
        forced_BTD = self._read(hidden_BTW, state_BTD)
        row_B = torch.arange(len(start_B), device=start_B.device)
        rolled = [forced_BTD[row_B, start_B]]
        mask_BS = _hour_of_position(hours, start_B.device) <= start_B[:, None] + 1
        for step in range(1, horizon):
            hour_B = (start_B + step).clamp(max=hours - 1)
            pair_B2D = torch.stack([self.state_input(rolled[-1]), self.action_input(action_BTD[row_B, hour_B])], dim=1)
            pair_B2W = pair_B2D + self.positions[torch.stack([2 * hour_B + 1, 2 * hour_B + 2], dim=1)]
            mask_BS = torch.cat([mask_BS, mask_BS.new_ones(len(mask_BS), 2)], dim=1)
            mask_B12S = mask_BS[:, None, None].expand(-1, -1, 2, -1)
            for block, keys in zip(self.blocks, seen, strict=True):
                pair_B2W = block(pair_B2W, mask_B12S, keys)
            rolled.append(self._read(self.norm(pair_B2W[:, 0]), rolled[-1]))
        return forced_BTD, torch.stack(rolled, dim=1), hidden_BTW

    @torch.no_grad()
    def rollout(self, static_BD: Tensor, state_BCD: Tensor, action_BKD: Tensor) -> Tensor:
        """Roll forward from the true first hours, each step consuming the step before; keys and values are kept, not recomputed.

        For forecasts: without gradient.

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
        seen = [KeyValues(room=2 * steps + 1) for _ in self.blocks]
        for block, keys in zip(self.blocks, seen, strict=True):
            x_BSW = block(x_BSW, mask_SS, keys)
        state_BD = self._read(self.norm(x_BSW[:, -2]), state_BCD[:, -1])
        predictions = [state_BD]
        for hour in range(context, steps):
            pair_B2W = self._embed_hours(state_BD[:, None], action_BKD[:, hour : hour + 1], first_hour=hour)
            for block, keys in zip(self.blocks, seen, strict=True):
                pair_B2W = block(pair_B2W, None, keys)
            state_BD = self._read(self.norm(pair_B2W[:, 0]), state_BD)
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

    def _read(self, hidden_W: Tensor, state_D: Tensor) -> Tensor:
        prediction: Tensor = self.output(hidden_W)
        return state_D + prediction if self.config.residual else prediction


def block_causal_mask(hours: int, device: torch.device | None = None) -> Tensor:
    """Which position may look at which, ``[1 + 2 * hours, 1 + 2 * hours]`` bool: its own hour, both ways, and all before.

    >>> block_causal_mask(2).int().tolist()
    [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]]
    """
    hour_S = _hour_of_position(hours, device)
    return hour_S[:, None] >= hour_S[None, :]


def _hour_of_position(hours: int, device: torch.device | None = None) -> Tensor:
    """Number of the hour at each position of a sequence, ``[1 + 2 * hours]`` int64: 0 for the static text, then from 1."""
    return (torch.arange(1 + 2 * hours, device=device) + 1) // 2


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

    def forward(self, x_BSW: Tensor, mask: Tensor | None, seen: KeyValues | None = None) -> Tensor:
        """The layer's output, ``[B, S, W]``; its keys and values are added to those seen before, and all of them are looked at."""
        batch, length, width = x_BSW.shape
        qkv = self.query_key_value(self.attention_norm(x_BSW)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        if seen is not None:
            key, value = seen.extend(key, value)
        dropout = self.attention_dropout if self.training else 0.0
        read = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        x_BSW = x_BSW + self.dropout(self.attention_output(read.transpose(1, 2).reshape(batch, length, width)))
        result_BSW: Tensor = x_BSW + self.dropout(self.contract(gelu(self.expand(self.feed_forward_norm(x_BSW)))))
        return result_BSW
