"""Stays with numbers, treatments, SOFA scores and labels of two tasks: enough of everything for every figure of an evaluation."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clin_jepa.evaluation import decoded_forecasts, risk_models, sequence_baselines, tabular_baselines
from clin_jepa.evaluation.probe import ProbeConfig
from tests.evaluation.written_store import WrittenStay, write_store
from tests.training_runs import Run, curriculum

HOURS = 30
# The last hour that a model may see where a stay is asked once.
ASKED_AT = 23
STAY_TASK, HOURLY_TASK = "hospital_mortality", "decompensation"
LABELLED_HOURS = (5, 12, ASKED_AT - 1, ASKED_AT, ASKED_AT + 1, HOURS - 2)
_SPLITS = {"train": 48, "tuning": 16, "held_out": 12}


def labelled_stays() -> list[WrittenStay]:
    """Every third patient is ill: a fast heart, often a vasopressor, a SOFA score that rises, and mostly an event at every hour."""
    random = np.random.default_rng(0)
    splits = [split for split, count in _SPLITS.items() for _ in range(count)]
    return [_stay(number, split, random) for number, split in enumerate(splits, 1)]


def _stay(number: int, split: str, random: np.random.Generator) -> WrittenStay:
    ill = number % 3 == 0
    measured = random.random(HOURS) < 0.8
    heart_rate = {hour: float(round(random.normal(110 if ill else 75, 8))) for hour in range(HOURS) if measured[hour]}
    lactate = {hour: round(random.normal(3 if ill else 1, 0.3), 1) for hour in range(number % 4, HOURS, 6)}
    sofa = {hour: float(2 + (hour // 2 + number) % 2 + 3 * (ill and hour > 14)) for hour in range(HOURS)}
    treated = (*range(5, 10), *range(16, 20)) if ill and number % 2 else ()
    actions = dict.fromkeys(treated, f"norepinephrine: 0.{number % 5 + 1} mcg/kg/min")
    event = ill != (number % 7 == 0 or number % 11 == 0)
    labels = {STAY_TASK: {ASKED_AT: event}, HOURLY_TASK: dict.fromkeys(LABELLED_HOURS, event)}
    values = {"heart_rate": heart_rate, "lactate": lactate, "sofa": sofa}
    return WrittenStay(number, HOURS, split, values, actions, labels=labels, age=50 + 7 * number % 40, sex="MF"[number % 2])


def labelled_run(folder: Path) -> Run:
    """A finished run on them, whose windows are whole stays."""
    write_store(folder / "store", labelled_stays())
    run = Run(folder / "store", folder / "run")
    assert run.fit(curriculum(), over={"data": {"windowing": {"hours": HOURS}}}) == 0
    return run


def train_little(patch: pytest.MonkeyPatch) -> None:
    """Probes and baselines that are fitted in a moment: of rows, counts and what depends on what, much training says no more."""
    for module in (risk_models, decoded_forecasts):
        patch.setattr(module, "ProbeConfig", partial(ProbeConfig, epochs=3))
    patch.setattr(sequence_baselines, "_EPOCHS", 3)
    patch.setattr(tabular_baselines, "_TREES", 3)
