"""Forecasts in the units of the bedside: small decoders read a vital sign or a laboratory value out of a latent, true or rolled out.

A decoder is trained on latents of true hours in which the variable was measured, and then applied to the predictor's rollouts. Beside its
error stand those of the same decoder on the true latent of the hour (what the latent holds), of the last measured value, over which MASE
is taken, and of ridge regression on the numbers of the last 24 hours.
"""

# Shapes: N windows, H forecast hours, B windows at a time, V variables, D latent features, M measurements.

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import mse_loss
from tqdm import tqdm

from clin_jepa.data.datamodule import Split, TrajectoryDataModule
from clin_jepa.data.value_store import SHARE_OF_STAYS
from clin_jepa.evaluation.bootstrap import drawn_times, interval
from clin_jepa.evaluation.drift import HORIZONS, report_hours
from clin_jepa.evaluation.numeric_grid import NumericGrid, last_known, summaries
from clin_jepa.evaluation.probe import Probe, ProbeConfig, fit_probe
from clin_jepa.evaluation.rank_correlation import rank_correlations
from clin_jepa.evaluation.ridge_forecasts import RidgeForecasts
from clin_jepa.evaluation.rollout_errors import WindowBatches, roll_out, split_hours
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.weighted import number_or_none, quotient, weighted_mean
from clin_jepa.evaluation.windows import EvaluationWindows
from clin_jepa.module import ClinJEPA

# All are measured, and so in the state: the set inspired oxygen fraction is a treatment.
VARIABLES = (
    "heart_rate", "sbp", "dbp", "mbp", "respiratory_rate", "spo2", "temperature", "ph_arterial", "po2_arterial", "pco2_arterial",
    "fio2_gas", "lactate", "sodium", "potassium", "chloride", "bicarbonate", "bun", "creatinine", "glucose", "hemoglobin", "wbc",
    "platelets", "bilirubin_total", "inr", "gcs_total", "sofa", "urine_output",
)  # fmt: skip
# Fewer measurements of a split than these, and a variable has no decoder.
_FEWEST = {"train": 100, "tuning": 20}
_MOST_TRAINING_HOURS = 20_000

FIGURES = ("mae", "mae_true_latent", "mae_last_value", "mae_ridge", "mase", "mase_ridge", "spearman")
# A rank correlation of fewer hours says nothing.
_FEWEST_RANKED = 3
# Numbers of weights that are held at a time.
_VALUES = 1 << 24

Floats = NDArray[np.float64]


class Decoder:
    """Value of a variable from a latent.

    Args:
        probe: Trained on standardised values.
        mean: Of the training hours.
        std: Of the training hours.
    """

    def __init__(self, probe: Probe, mean: float, std: float) -> None:
        self.probe, self.mean, self.std = probe, mean, std

    def values(self, latent_MD: NDArray[np.float32]) -> Floats:
        """``[M]``, in the variable's own unit."""
        return self.mean + self.std * self.probe.values(latent_MD)


def fit_decoder(data: TrajectoryDataModule, latents: StoreLatents, grid: NumericGrid, column: int, seed: int) -> Decoder | None:
    """A decoder of one variable; None where too few hours of the training or tuning split have it.

    Args:
        data: The store.
        latents: Latents of its texts.
        grid: Its numbers.
        column: The variable's.
        seed: Of the hours taken and of the probe.
    """
    value_H = grid.value_HV[:, column]
    taken: dict[str, NDArray[np.int64]] = {}
    for split, fewest in _FEWEST.items():
        is_of_split_S = (data.store.stays["split"] == split).to_numpy()
        row_M = np.flatnonzero(np.isfinite(value_H) & np.repeat(is_of_split_S, np.diff(grid.first_S)))
        if len(row_M) < fewest:
            return None
        taken[split] = np.sort(np.random.default_rng(seed).permutation(row_M)[:_MOST_TRAINING_HOURS])
    mean, std = float(value_H[taken["train"]].mean()), max(float(value_H[taken["train"]].std()), 1e-6)
    scaled = {split: ((value_H[row_M] - mean) / std).astype(np.float32) for split, row_M in taken.items()}
    feature = {split: latents.of_texts(data.tokens.state_H[row_M]).numpy() for split, row_M in taken.items()}
    probe = fit_probe(feature["train"], scaled["train"], feature["tuning"], scaled["tuning"], seed, ProbeConfig(), loss=mse_loss)
    return Decoder(probe, mean, std)


def decoded_report(
    module: ClinJEPA,
    data: TrajectoryDataModule,
    latents: StoreLatents,
    grid: NumericGrid,
    split: Split,
    windows: EvaluationWindows,
    batch_size: int,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Decoded forecasts of the fixed windows under the true treatments.

    Args:
        module: The frozen model.
        data: The store.
        latents: Latents of its texts.
        grid: Its numbers.
        split: The split that the windows are of.
        windows: The fixed windows.
        batch_size: Windows at a time.
        draws: Bootstrap draws, by stay.
        seed: Of decoders and draws.

    Returns:
        By variable: ``horizons``, each of which stands for the hours since the one before it, since laboratory values are few in any one
        hour; and, a list over them each, ``n`` (hours of windows in which it was measured), ``mae``, ``mae_true_latent``,
        ``mae_last_value``, ``mae_ridge``, ``mase`` and ``mase_ridge`` (over the last measured value), ``spearman``, and ``ci95`` of each;
        or ``{"unavailable": why}``. A figure that is undefined is None.
    """
    report: dict[str, Any] = {}
    decoders: dict[int, Decoder] = {}
    for variable in tqdm(VARIABLES, desc="decoders", unit="variable"):
        if variable not in grid.variables:
            report[variable] = {"unavailable": f"not available: needs {variable} in {SHARE_OF_STAYS:.0%} of the training stays"}
            continue
        column = grid.variables.index(variable)
        decoder = fit_decoder(data, latents, grid, column, seed)
        if decoder is None:
            report[variable] = {"unavailable": f"fewer than {_FEWEST['train']} training or {_FEWEST['tuning']} tuning hours have it"}
            continue
        decoders[column] = decoder
    if not decoders:
        return report
    columns, of_split = list(decoders), split_hours(data, split)
    batches = WindowBatches(data, of_split, latents, windows, batch_size)
    truth_VNH, forecast_VNH, from_truth_VNH, copied_VN = _decoded(module, grid, batches, decoders)
    decoded = replace(grid, variables=tuple(grid.variables[column] for column in columns), value_HV=grid.value_HV[:, columns])
    ridge = RidgeForecasts(decoded, data.store.stays["split"].to_numpy().astype(str), windows.context_hours, seed)
    end_N = windows.start_N.astype(np.int64) + windows.context_hours - 1
    prepared_NC = ridge.prepared(summaries(decoded, of_split.stay_rows[windows.stay_index_N], end_N))
    hours = report_hours(HORIZONS, windows.horizon_hours)
    stays, stay_N = np.unique(windows.stay_index_N, return_inverse=True)
    weight_RN = np.concatenate([np.ones((1, len(stay_N))), drawn_times(len(stays), draws, seed).numpy()[:, stay_N]])
    for place, column in enumerate(tqdm(columns, desc="decoded forecasts", unit="variable")):
        figures, of_variable = [], ridge.of_variable(place)
        for first, last in zip([0, *hours[:-1]], hours, strict=True):
            truth_M, forecast_M, from_truth_M = (
                table_VNH[place, :, first:last].flatten() for table_VNH in (truth_VNH, forecast_VNH, from_truth_VNH)
            )
            ridge_N = of_variable.forecast(first, last, prepared_NC, copied_VN[place])
            copied_M, ridge_M = copied_VN[place].repeat(last - first), ridge_N.repeat(last - first)
            values = {"mae": forecast_M, "mae_true_latent": from_truth_M, "mae_last_value": copied_M, "mae_ridge": ridge_M}
            figures.append(_figures(truth_M, values, np.arange(len(windows)).repeat(last - first), weight_RN))
        entry: dict[str, Any] = {name: [each[name] for each in figures] for name in figures[0] if name != "ci95"}
        entry["ci95"] = {name: [each["ci95"][name] for each in figures] for name in FIGURES}
        report[grid.variables[column]] = {"horizons": hours, **entry}
    return report


def _decoded(
    module: ClinJEPA, grid: NumericGrid, batches: WindowBatches, decoders: dict[int, Decoder]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Measured, forecast and decoded-from-truth values, ``[V, N, H]`` each, and the last measured value, ``[V, N]``; NaN where none is."""
    columns, windows = list(decoders), batches.windows
    context, stay_rows_N = windows.context_hours, batches.hours.stay_rows[windows.stay_index_N]
    last_N = np.asarray(batches.data.tokens.first_row_S)[stay_rows_N] + windows.start_N + context - 1
    copied_VN = np.stack([last_known(grid, column, last_N, decoders[column].mean) for column in columns])
    parts: list[tuple[Floats, Floats, Floats]] = []
    for batch in batches:
        rolled_BHD = roll_out(module, batch.static_BD, batch.state_BLD[:, :context], batch.action_BLD)
        shape, width = rolled_BHD.shape[:2], rolled_BHD.shape[2]
        rolled_MD, true_MD = rolled_BHD.reshape(-1, width).numpy(), batch.state_BLD[:, context:].reshape(-1, width).numpy()
        found: list[list[Floats]] = [[], [], []]
        for column in columns:
            values = (grid.value_HV[batch.row_BL[:, context:], column], decoders[column].values(rolled_MD).reshape(shape),
                      decoders[column].values(true_MD).reshape(shape))  # fmt: skip
            for kept, value in zip(found, values, strict=True):
                kept.append(value.astype(np.float64))
        parts.append((np.stack(found[0]), np.stack(found[1]), np.stack(found[2])))
    truth, forecast, from_truth = (np.concatenate(list(column), axis=1) for column in zip(*parts, strict=True))
    return truth, forecast, from_truth, copied_VN


def _figures(truth_M: Floats, values: Mapping[str, Floats], window_M: NDArray[np.int64], weight_RN: Floats) -> dict[str, Any]:
    """Each of `FIGURES` over the hours in which the variable was measured, their number, and intervals.

    Args:
        truth_M: What was measured in each hour of the windows; NaN where nothing was.
        values: What is held against it, by the name of its error.
        window_M: Window of each hour.
        weight_RN: How often each window counts; once each in row 0, which is the figure itself.
    """
    known_M = np.isfinite(truth_M)
    truth_M, window_M = truth_M[known_M], window_M[known_M]
    values = {name: value_M[known_M] for name, value_M in values.items()}
    at_once = max(1, _VALUES // max(1, len(window_M)))
    parts = [_drawn(truth_M, values, weight_RN[first : first + at_once][:, window_M]) for first in range(0, len(weight_RN), at_once)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in FIGURES}
    return {
        "n": len(window_M),
        **{name: number_or_none(value_R[0]) for name, value_R in found.items()},
        "ci95": {name: interval(value_R[1:]) for name, value_R in found.items()},
    }


def _drawn(truth_M: Floats, values: Mapping[str, Floats], weight_RM: Floats) -> dict[str, Floats]:
    """Each of `FIGURES` in each draw, ``[R]``; NaN where it is undefined."""
    error_R = {name: weighted_mean(np.abs(value_M - truth_M), weight_RM) for name, value_M in values.items()}
    few = len(truth_M) < _FEWEST_RANKED
    rank_R = np.full(len(weight_RM), np.nan) if few else rank_correlations(values["mae"], truth_M, weight_RM)
    mase, mase_ridge = (quotient(error_R[name], error_R["mae_last_value"]) for name in ("mae", "mae_ridge"))
    return {**error_R, "mase": mase, "mase_ridge": mase_ridge, "spearman": rank_R}
