"""Small networks that read the hours of a stay one after the other and give a logit at each: LSTM, TCN, GRU-D."""

# Shapes: B stays, T hours, V variables, W hidden features.

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu
from typing_extensions import override

Kind = Literal["lstm", "tcn", "gru_d"]
KINDS: tuple[Kind, ...] = ("lstm", "tcn", "gru_d")


class SequenceNetwork(nn.Module):
    """What the three have in common: the logit of an hour depends on that hour and earlier ones only."""

    def forward(self, value_BTV: Tensor, known_BTV: Tensor, since_BTV: Tensor, static_BC: Tensor) -> Tensor:
        """Logits, ``[B, T]``.

        Args:
            value_BTV: Standardised values, the last one known; 0, the training mean, before the first.
            known_BTV: 1 where a value was measured in that hour, else 0.
            since_BTV: Days since the last measurement before that hour, or since the stay began.
            static_BC: Standardised age and sex.
        """
        raise NotImplementedError


class LSTMNetwork(SequenceNetwork):
    """A long short-term memory network of one layer on values, measurement flags and static columns.

    Args:
        variables: V.
        static: Static columns.
        width: Hidden features, W.
    """

    def __init__(self, variables: int, static: int, width: int = 64) -> None:
        super().__init__()
        self.input = nn.Linear(2 * variables + static, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.output = nn.Linear(width, 1)

    @override
    def forward(self, value_BTV: Tensor, known_BTV: Tensor, since_BTV: Tensor, static_BC: Tensor) -> Tensor:
        hidden_BTW, _ = self.lstm(relu(self.input(_joined(value_BTV, known_BTV, static_BC))))
        logit_BT1: Tensor = self.output(hidden_BTW)
        return logit_BT1[..., 0]


class TCNNetwork(SequenceNetwork):
    """A temporal convolutional network (Bai et al. 2018): residual blocks of causal convolutions, each looking twice as far back.

    Args:
        variables: V.
        static: Static columns.
        width: Hidden features, W.
        blocks: With 5 and a kernel of 3, an hour sees the 124 before it.
        kernel: Hours that a convolution looks at.
    """

    def __init__(self, variables: int, static: int, width: int = 64, blocks: int = 5, kernel: int = 3) -> None:
        super().__init__()
        self.input = nn.Linear(2 * variables + static, width)
        self.first = nn.ModuleList(nn.Conv1d(width, width, kernel, dilation=2**k) for k in range(blocks))
        self.second = nn.ModuleList(nn.Conv1d(width, width, kernel, dilation=2**k) for k in range(blocks))
        self.output = nn.Linear(width, 1)

    @override
    def forward(self, value_BTV: Tensor, known_BTV: Tensor, since_BTV: Tensor, static_BC: Tensor) -> Tensor:
        x_BWT = self.input(_joined(value_BTV, known_BTV, static_BC)).transpose(1, 2)
        for first, second in zip(self.first, self.second, strict=True):
            x_BWT = relu(x_BWT + relu(_causal(second, relu(_causal(first, x_BWT)))))
        logit_BT1: Tensor = self.output(x_BWT.transpose(1, 2))
        return logit_BT1[..., 0]


class GRUDNetwork(SequenceNetwork):
    """GRU-D (Che et al. 2018): what was not measured decays towards the mean, and so does the hidden state, at rates that are learned.

    Args:
        variables: V.
        static: Static columns.
        width: Hidden features, W.
    """

    def __init__(self, variables: int, static: int, width: int = 64) -> None:
        super().__init__()
        self.value_decay = nn.Parameter(torch.full((variables,), 0.05))
        self.value_offset = nn.Parameter(torch.zeros(variables))
        self.hidden_decay = nn.Linear(variables, width)
        # What has just been measured makes nothing decay; what was measured a day ago in all variables makes half decay, however many.
        nn.init.uniform_(self.hidden_decay.weight, 0.0, 2 * math.log(2) / variables)
        nn.init.zeros_(self.hidden_decay.bias)
        self.cell = nn.GRUCell(2 * variables + static, width)
        self.output = nn.Linear(width, 1)
        self.width = width

    @override
    def forward(self, value_BTV: Tensor, known_BTV: Tensor, since_BTV: Tensor, static_BC: Tensor) -> Tensor:
        # The mean is 0: values are standardised.
        kept_BTV = torch.exp(-relu(self.value_decay * since_BTV + self.value_offset))
        input_BTI = _joined(torch.where(known_BTV > 0, value_BTV, kept_BTV * value_BTV), known_BTV, static_BC)
        kept_BTW = torch.exp(-relu(self.hidden_decay(since_BTV)))
        hidden_BW = value_BTV.new_zeros(len(value_BTV), self.width)
        logits: list[Tensor] = []
        for input_BI, kept_BW in zip(input_BTI.unbind(1), kept_BTW.unbind(1), strict=True):
            hidden_BW = self.cell(input_BI, kept_BW * hidden_BW)
            logits.append(self.output(hidden_BW)[:, 0])
        return torch.stack(logits, dim=1)


def build_network(kind: Kind, variables: int, static: int) -> SequenceNetwork:
    """One of the three."""
    networks: dict[Kind, Any] = {"lstm": LSTMNetwork, "tcn": TCNNetwork, "gru_d": GRUDNetwork}
    network: SequenceNetwork = networks[kind](variables, static)
    return network


def _joined(value_BTV: Tensor, known_BTV: Tensor, static_BC: Tensor) -> Tensor:
    static_BTC = static_BC[:, None].expand(-1, value_BTV.shape[1], -1)
    return torch.cat([value_BTV, known_BTV, static_BTC], dim=-1)


def _causal(convolution: nn.Module, x_BWT: Tensor) -> Tensor:
    assert isinstance(convolution, nn.Conv1d)
    back = (convolution.kernel_size[0] - 1) * convolution.dilation[0]
    seen_BWT: Tensor = convolution(pad(x_BWT, (back, 0)))
    return seen_BWT
