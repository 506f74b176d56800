"""What a probe reads of a frozen model: latents of a stay's hours, and the predictor's hidden state."""

# Shapes: H hours of all stays, B windows, T hours of a window, D latent features, W width of the predictor, N rows, F features.

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.task_rows import TaskRows
from clin_jepa.module import ClinJEPA

Floats = NDArray[np.float32]

_WINDOWS_AT_ONCE = 32


def hidden_states(module: ClinJEPA, data: TrajectoryDataModule, latents: StoreLatents, file: Path) -> Floats:
    """The predictor's hidden state at every hour of every stay, which has seen the hours up to and with it.

    A stay longer than a training window is read in windows that overlap, and each hour is taken from the first window that holds it, so
    that it has all but the shortest history that the predictor was trained with.

    Args:
        module: The frozen model.
        data: The store.
        latents: Latents of its texts.
        file: Where the states are kept on disk while they are used; it has no name then, so that a process that is killed leaves nothing.

    Returns:
        ``[H, W]`` float32, memory-mapped, in the order of the store's hours.
    """
    tokens, device = data.tokens, module.predictor.positions.device
    first_S = np.asarray(tokens.first_row_S)
    length, stride = data.windowing.hours, min(data.windowing.stride, data.windowing.hours)
    found: Floats = np.memmap(file, dtype=np.float32, mode="w+", shape=(int(first_S[-1]), module.predictor_config.width))
    file.unlink()
    windows = [
        (stay, start, min(length, hours - start))
        for stay, hours in enumerate(np.diff(first_S).tolist())
        for start in range(0, max(hours - length, 0) + stride, stride)
        if start == 0 or start + length - stride < hours
    ]
    windows.sort(key=lambda window: window[2])
    for begin in tqdm(range(0, len(windows), _WINDOWS_AT_ONCE), desc="hidden states", unit="batch"):
        batch = windows[begin : begin + _WINDOWS_AT_ONCE]
        longest = batch[-1][2]
        stay_B, start_B, hours_B = (np.array(column) for column in zip(*batch, strict=True))
        row_BT = (first_S[stay_B] + start_B)[:, None] + np.minimum(np.arange(longest), hours_B[:, None] - 1)
        state_BTD, action_BTD = (latents.of_texts(ids[row_BT]).to(device) for ids in (tokens.state_H, tokens.action_H))
        static_BD = latents.of_texts(tokens.static_S[stay_B]).to(device)
        with torch.no_grad():
            hidden_BTW = module.predictor.hidden(static_BD, state_BTD, action_BTD).float().cpu().numpy()
        for hidden_TW, row_T, (_, start, hours) in zip(hidden_BTW, row_BT, batch, strict=True):
            fresh = 0 if start == 0 else length - stride
            found[row_T[fresh:hours]] = hidden_TW[fresh:hours]
    return found


def hourly_features(data: TrajectoryDataModule, latents: StoreLatents, hidden_HW: Floats | None, rows: TaskRows) -> Floats:
    """Latent of the hour and the predictor's hidden state there, ``[N, D + W]``; without hidden states ``[N, D]``."""
    row_N = np.asarray(data.tokens.first_row_S)[rows.stay_N] + rows.hour_N
    state_ND: Floats = latents.of_texts(data.tokens.state_H[row_N]).numpy()
    return state_ND if hidden_HW is None else np.concatenate([state_ND, hidden_HW[row_N]], axis=1)


def stay_features(data: TrajectoryDataModule, latents: StoreLatents, hidden_HW: Floats | None, rows: TaskRows) -> Floats:
    """What the hours up to and with a row's were like: mean, deviation and last of latents and hidden states, static latent.

    Returns:
        ``[N, 4 D + 3 W]``; without hidden states ``[N, 4 D]``.
    """

    def described(state_TD: Tensor, hidden_TW: Tensor | None, static_D: Tensor) -> Tensor:
        hidden = () if hidden_TW is None else _mean_deviation_last(hidden_TW)
        return torch.cat([*_mean_deviation_last(state_TD), *hidden, static_D])

    return _of_stays(data, latents, hidden_HW, rows, described)


def reported_stay_features(data: TrajectoryDataModule, latents: StoreLatents, hidden_HW: Floats | None, rows: TaskRows) -> Floats:
    """As reported for the published model: mean, last and largest latent of these hours, and the static latent, ``[N, 4 D]``."""

    def described(state_TD: Tensor, hidden_TW: Tensor | None, static_D: Tensor) -> Tensor:
        return torch.cat([state_TD.mean(dim=0), state_TD[-1], state_TD.amax(dim=0), static_D])

    return _of_stays(data, latents, hidden_HW, rows, described)


def _mean_deviation_last(value_TF: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return value_TF.mean(dim=0), value_TF.std(dim=0, correction=0), value_TF[-1]


def _of_stays(
    data: TrajectoryDataModule,
    latents: StoreLatents,
    hidden_HW: Floats | None,
    rows: TaskRows,
    described: Callable[[Tensor, Tensor | None, Tensor], Tensor],
) -> Floats:
    tokens = data.tokens
    found: list[Floats] = []
    for stay, hour in tqdm(list(zip(rows.stay_N.tolist(), rows.hour_N.tolist(), strict=True)), desc="features of stays", unit="stay"):
        first = int(tokens.first_row_S[stay])
        state_TD = latents.of_texts(tokens.state_H[first : first + hour + 1])
        hidden_TW = None if hidden_HW is None else torch.from_numpy(np.array(hidden_HW[first : first + hour + 1]))
        found.append(described(state_TD, hidden_TW, latents.of_texts(tokens.static_S[stay : stay + 1])[0]).numpy())
    return np.stack(found)
