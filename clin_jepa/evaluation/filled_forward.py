"""Hours of stays with their last known values carried forward, as sequence models and distances read them."""

# Shapes: B stays, T hours, V variables.

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from clin_jepa.data.value_store import MOST_DEVIATIONS


@dataclass(frozen=True)
class FilledForward:
    """Hours of some stays.

    Args:
        value_BTV: Standardised, the last one known; 0, the training mean, before the first.
        known_BTV: 1 where a value was measured in that hour, else 0.
        since_BTV: Days since the last measurement before that hour, or since the stay began.
    """

    value_BTV: Tensor
    known_BTV: Tensor
    since_BTV: Tensor


def filled_forward(stays: Sequence[Tensor], mean_V: Tensor, std_V: Tensor) -> FilledForward:
    """Standardise, and carry each value forward until the next one.

    Args:
        stays: Hours of each stay from its first one on, ``[T, V]`` float32, NaN where nothing was measured; shorter ones are padded.
        mean_V: Of the training stays' measurements.
        std_V: Of the same; infinite where a variable does not vary, which gives 0.

    Returns:
        Values between -10 and 10.
    """
    value_BTV = pad_sequence(list(stays), batch_first=True, padding_value=float("nan"))
    known_BTV = value_BTV.isfinite()
    hour_T1 = torch.arange(value_BTV.shape[1])[:, None]
    newest_BTV = torch.where(known_BTV, hour_T1, -1).cummax(dim=1).values
    last_BTV = value_BTV.gather(1, newest_BTV.clamp(min=0))
    standard_BTV = ((last_BTV - mean_V) / std_V).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
    before_BTV = torch.cat([torch.full_like(newest_BTV[:, :1], -1), newest_BTV[:, :-1]], dim=1)
    since_BTV = (hour_T1 - before_BTV.clamp(min=0)).float() / 24
    return FilledForward(torch.where(newest_BTV >= 0, standard_BTV, 0.0), known_BTV.float(), since_BTV)
