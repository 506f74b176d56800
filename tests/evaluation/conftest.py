"""A small evaluated run: errors of six forecasters on windows of unequal stays."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clin_jepa.evaluation import model_names
from clin_jepa.evaluation.collapse import collapse_measures, collapse_report, singular_values
from clin_jepa.evaluation.drift import drift_curves, drift_report
from clin_jepa.evaluation.windows import EvaluationWindows, choose_windows
from tests.evaluation import labelled_stays
from tests.training_runs import Run


@pytest.fixture(scope="session")
def labelled_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on `labelled_stays`."""
    return labelled_stays.labelled_run(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="session")
def windows() -> EvaluationWindows:
    hours = np.random.default_rng(0).integers(60, 160, size=40)
    return choose_windows(hours)


@pytest.fixture(scope="session")
def errors_by_model(windows: EvaluationWindows) -> dict[str, Tensor]:
    """Error curves ``[N, 48]``: the model starts far below the baselines and drifts towards the mean."""
    torch.manual_seed(0)
    hour = torch.arange(1, 49)
    level = 1.0 + 0.2 * torch.randn(windows.stay_index_N.max() + 1)[windows.stay_index_N, None]
    shapes = {
        model_names.TRUE_ACTIONS: 0.62 + 0.18 * (1 - (-hour / 15).exp()),
        model_names.LAST_ACTION: 0.62 + 0.20 * (1 - (-hour / 15).exp()),
        model_names.NO_ACTION: 0.64 + 0.22 * (1 - (-hour / 15).exp()),
        model_names.COPY_FORWARD: 0.80 + 0.18 * (1 - (-hour / 10).exp()),
        model_names.TRAINING_MEAN: torch.ones(48),
        model_names.LINEAR: 0.9 + 0.05 * hour,
    }
    return {name: 0.08 * level * shape * (1 + 0.05 * torch.randn(len(windows), 48)) for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def metrics(errors_by_model: dict[str, Tensor], windows: EvaluationWindows) -> dict[str, Any]:
    torch.manual_seed(0)
    stays = torch.arange(20).repeat_interleave(30)
    scales = {"sft": 1.0, "predictor_warmup": 1.0, "joint_refinement": 0.2, "ema_alignment": 0.2, "hard_sync": 0.2}
    spectrum = torch.linspace(1, 0.05, 32)
    history = [
        {"phase": phase, "step": 100 * step, "measures": collapse_measures(scale * (torch.randn(600, 32) * spectrum + 1), stays)}
        for step, (phase, scale) in enumerate(scales.items())
    ]
    return {
        "schema_version": 1,
        "dataset": {
            "source": "meds",
            "source_version": "MIMIC-IV demo 2.2",
            "time_policy": "charttime",
            "splits": {
                "train": {"stays": 88, "windows": 312, "hours": 9120},
                "tuning": {"stays": 19, "windows": 60, "hours": 1840},
                "held_out": {"stays": 19, "windows": 64, "hours": 1911},
            },
        },
        "encoder": {"preset": "tiny", "latent_dim": 128, "parameters": 2_400_000, "fingerprint": "5f2e8c1ab34d90e7"},
        "run": {
            "name": "demo",
            "checkpoint": "checkpoints/phase5.ckpt",
            "split": "held_out",
            "versions": {"clin_jepa": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
            "settings": {"model": {"predictor": {"layers": 4, "width": 256}}, "seed": 0},
        },
        "drift": drift_report(errors_by_model, windows, mean_absolute_deviation=0.08),
        "collapse": collapse_report(history, "predictor_warmup"),
    }


@pytest.fixture(scope="session")
def curves(errors_by_model: dict[str, Tensor], windows: EvaluationWindows) -> dict[str, Any]:
    torch.manual_seed(0)
    clouds = {"predictor_warmup": torch.linspace(1, 0.05, 32), "hard_sync": torch.linspace(1, 0.0, 32) ** 2}
    return {
        "drift": drift_curves(errors_by_model, windows, mean_absolute_deviation=0.08),
        "singular_values": {phase: singular_values(torch.randn(600, 32) * scale).tolist() for phase, scale in clouds.items()},
    }
