"""Nothing looks ahead: scores, grid and texts up to hour t are the same whatever happens after the end of hour t."""

import copy
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Stay, Ward, ward

N_STAYS, CUTS_PER_STAY = 10, 4

READINGS = {
    "mbp": (50, 100), "heart_rate": (50, 140), "spo2": (85, 100), "platelets": (10, 300), "bilirubin_total": (0.3, 14), "inr": (0.9, 4),
    "creatinine": (0.5, 6), "gcs_eye": (1, 4), "gcs_verbal": (1, 5), "gcs_motor": (1, 6), "urine_output": (0, 80), "irrigant_in": (0, 50),
    "weight": (50, 90), "po2_arterial": (50, 200), "fio2_gas": (21, 100), "lactate": (0.5, 6),
}  # fmt: skip
SETTINGS = {"fio2": (21, 100), "peep": (5, 15), "crrt_blood_flow": (100, 200)}
RATES = {"norepinephrine": (0.01, 0.3), "dopamine": (1, 20), "propofol": (10, 50), "dobutamine": (1, 10)}
INTERVALS = ["crrt", "hemodialysis", "invasive_ventilation"]
WORDS = {"oxygen_device": ["Endotracheal tube", "Nasal cannula"], "ventilator_mode": ["CMV/ASSIST", "NIV", "Standby"]}


def happen(stay: Stay, n: int, first: float, last: float, chance: random.Random) -> None:
    """Random events between two hours; a fifth of them at the very beginning of an hour."""
    for _ in range(n):
        hour = chance.uniform(first, last)
        if chance.random() < 0.2 and round(hour) >= first:
            hour = round(hour)
        kind = chance.random()
        if kind < 0.7:
            variable = chance.choice(sorted(READINGS))
            stay.read(hour, variable, round(chance.uniform(*READINGS[variable]), 1 if variable in ("creatinine", "inr") else 0))
        elif kind < 0.75:
            stay.read(hour, "gcs_intubated", "intubated")
        elif kind < 0.8:
            variable = chance.choice(sorted(SETTINGS))
            stay.give(hour, variable, round(chance.uniform(*SETTINGS[variable])))
        elif kind < 0.88:
            variable = chance.choice(sorted(RATES))
            stay.give(hour, variable, round(chance.uniform(*RATES[variable]), 2), until=hour + chance.uniform(0.1, 12))
        elif kind < 0.92:
            stay.give(hour, chance.choice(INTERVALS), until=hour + chance.uniform(0.1, 12))
        elif kind < 0.98:
            variable = chance.choice(sorted(WORDS))
            stay.give(hour, variable, chance.choice(WORDS[variable]))
        else:
            stay.give(hour, "vancomycin").infected([hour], [hour - chance.uniform(0, 10)])


def until(stay: Stay, end: float) -> Stay:
    """What of a stay happened before an hour; what goes on there ends there."""
    seen = copy.deepcopy(stay)
    seen.readings = [r for r in seen.readings if r["known"] < end]
    seen.actions = [{**a, "until": min(a["until"], end)} for a in seen.actions if a["hour"] < end]
    seen.antibiotics = [hour for hour in seen.antibiotics if hour < end]
    seen.cultures = [culture for culture in seen.cultures if (culture[0] or 0) < end]
    return seen


@pytest.fixture(scope="module")
def twins() -> Iterator[tuple[Ward, list[tuple[str, str, int]]]]:
    """Stays, their twins whose future is another, and the last hour that they share."""
    chance = random.Random(7)
    stays: dict[str, Stay] = {}
    pairs = []
    for number in range(N_STAYS):
        length = chance.randint(30, 80)
        stay = Stay(length, admitted=24 * 30 + chance.uniform(0, 24)).read(-chance.uniform(1, 100), "creatinine", 1.0)
        happen(stay, 150, 0, length, chance)
        stays[f"{number}"] = stay
        for t in chance.sample(range(length - 1), CUTS_PER_STAY):
            removed = until(stay, t + 1)
            altered = copy.deepcopy(removed)
            altered.read(t + 1 + SECOND, "gcs_eye", 1).read(t + 1, "creatinine", 9).read(t + 1 + SECOND, "mbp", 30)
            happen(altered, 60, t + 1, length, chance)
            altered.death, altered.died_in_hospital = length, True
            for name, twin in ((f"{number} removed after {t}", removed), (f"{number} altered after {t}", altered)):
                stays[name] = twin
                pairs.append((f"{number}", name, t))
    with ward(stays) as run:
        yield run, pairs


RELATIONS = {
    "sofa": "hour, sofa, respiration, coagulation, liver, circulation, brain, kidney",
    "kdigo": "hour, kdigo_stage",
    "meld": "hour, meld",
    "gcs": "hour, second, gcs",
    "blood_gas": "hour, second, po2, fio2, pao2_fio2",
    "urine": "hour, ml, ml_24, covered_24, weight, rate_6, rate_12, rate_24",
    "invasive_ventilation": "hour",
    "renal_replacement": "hour",
    "hourly_values": "hour, variable, mean, last, min, max, n",
    "hours": "hour, state_text, action_text, n_observations, n_actions",
    "circulatory_failure_status": "hour, is_event",
    "respiratory_failure_status": "hour, is_event",
}


def rows_by_stay(run: Ward, relation: str) -> dict[int, list[tuple[Any, ...]]]:
    """Rows of each stay, in order; the hour comes first."""
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for stay_id, *row in run.database.execute(f"SELECT stay_id, {RELATIONS[relation]} FROM {relation} ORDER BY ALL"):
        found[stay_id].append(tuple(row))
    return found


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_past_does_not_know_the_future(twins: tuple[Ward, list[tuple[str, str, int]]], relation: str) -> None:
    run, pairs = twins
    rows = rows_by_stay(run, relation)
    for name, twin, t in pairs:
        past, past_of_twin = ([row for row in rows[run.ids[one]] if row[0] <= t] for one in (name, twin))
        assert past == past_of_twin, twin


def test_the_futures_differ(twins: tuple[Ward, list[tuple[str, str, int]]]) -> None:
    """Else the test above would prove nothing."""
    run, pairs = twins
    rows = rows_by_stay(run, "hours")
    for name, twin, t in pairs:
        future, future_of_twin = ([row for row in rows[run.ids[one]] if row[0] > t] for one in (name, twin))
        assert future != future_of_twin, twin
