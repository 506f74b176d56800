"""The hidden course of an ICU stay: hourly severity of seven organs, and the treatments that answer it and act back on it.

A stay has a general severity that reverts to a falling level where the patient recovers and to a rising one where the patient dies,
with rare sudden turns. Each organ follows it with a predisposition and a drift of its own. All stays of a chunk take the hour together:
the loop below runs over hours, never over stays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_pipelines.synthetic.arrays import Flags, Floats, Ints
from data_pipelines.synthetic.people import People

ORGANS = ("circulation", "respiration", "kidney", "liver", "coagulation", "brain")
CIRCULATION, RESPIRATION, KIDNEY, LIVER, COAGULATION, BRAIN = range(6)

# Slow quantities that drift towards a target: the share of the gap closed in an hour, the hourly disturbance, and how much patients differ
# in their target (log scale where noted).
_SLOW = {
    "map_drift": (0.10, 1.8, 0.00),
    "heart_drift": (0.08, 2.0, 0.00),
    "temperature": (0.15, 0.13, 0.20),
    "paco2": (0.10, 1.1, 3.50),
    "bicarbonate": (0.05, 0.30, 1.80),
    "lactate": (0.12, 0.05, 0.20),  # log
    "sodium": (0.03, 0.35, 3.50),
    "potassium": (0.08, 0.07, 0.25),
    "glucose": (0.08, 0.06, 0.20),  # log
    "hemoglobin": (0.015, 0.07, 1.40),
    "platelets": (0.012, 0.015, 0.40),  # log
    "bilirubin": (0.015, 0.015, 0.35),  # log
    "inr": (0.03, 0.012, 0.08),  # log
    "wbc": (0.03, 0.03, 0.30),  # log
}
_RECORDED = (
    *ORGANS,
    *_SLOW,
    "severity",
    "infection",
    "mbp",
    "norepinephrine_equivalent",
    "pf_ratio",
    "pao2",
    "fio2",
    "ventilated",
    "hours_ventilated",
    "noninvasive",
    "creatinine",
    "bun",
    "crrt",
    "dialysis",
    "arterial_line",
    "central_line",
)


@dataclass(frozen=True)
class Patients:
    """What does not change during a stay; a value a stay.

    Attributes:
        predisposition: Of each organ, ``[6, stays]``.
        infection_hour: When an infection begins, in hours since ICU admission; infinite where none does.
        antibiotic_hour: When it is first treated.
        pneumonia: Whether the lung is its source.
    """

    weight: Floats
    height: Floats
    predisposition: Floats
    map_level: Floats
    heart_level: Floats
    creatinine: Floats
    dialysis_dependent: Flags
    infection_hour: Floats
    antibiotic_hour: Floats
    pneumonia: Flags
    planned_ventilation: Flags


@dataclass(frozen=True)
class Course:
    """Hourly state of all stays of a chunk, one hour after the other, stay by stay.

    Attributes:
        stay: Stay of each hour.
        hour: Hours since ICU admission.
        time: Start of the hour by the clock: the whole hour before it, seconds since 1970.
        state: Quantities by name, a value an hour.
        patients: What does not change during a stay.
    """

    stay: Ints
    hour: Ints
    time: Ints
    state: dict[str, Floats]
    patients: Patients

    def starts(self, flag: Flags) -> Flags:
        """Hours at which something begins."""
        return flag & ~self.one_hour_before(flag)

    def ends(self, flag: Flags) -> Flags:
        """Hours at which something is no more, though it was the hour before."""
        return ~flag & self.one_hour_before(flag)

    def one_hour_before(self, flag: Flags) -> Flags:
        """The flag one hour earlier; false in the first hour of a stay."""
        return np.concatenate(([False], flag[:-1])) & (self.hour > 0)


def draw_patients(rng: np.random.Generator, people: People) -> Patients:
    """Draw what does not change during the stays of a chunk."""
    n = len(people.stay_id)
    acuity = people.stay_acuity
    female = people.female[people.stay_patient]
    predisposition = 0.75 * rng.standard_normal((len(ORGANS), n))
    predisposition[LIVER] += np.where(rng.random(n) < 0.07, 2.0, -0.3)
    predisposition[BRAIN] += np.where(people.stay_neuro, 1.1, -0.2)
    esrd = rng.random(n) < 0.04
    kidney = np.exp(-0.12 + 0.25 * rng.standard_normal(n) + 0.006 * (people.age[people.stay_patient] - 65))
    infected = rng.random(n) < 1 / (1 + np.exp(-(0.75 + 0.45 * acuity - 1.2 * people.stay_surgical)))
    onset = np.where(rng.random(n) < 0.72, -6 + 12 * rng.random(n), rng.exponential(60, n))
    onset = np.where(infected, onset, np.inf)
    return Patients(
        weight=np.clip(np.where(female, 74, 87) * np.exp(0.24 * rng.standard_normal(n)), 35, 220).astype(np.float32),
        height=np.where(female, 162 + 7 * rng.standard_normal(n), 176 + 8 * rng.standard_normal(n)).astype(np.float32),
        predisposition=predisposition.astype(np.float32),
        map_level=(83 + 7 * rng.standard_normal(n)).astype(np.float32),
        heart_level=(78 + 9 * rng.standard_normal(n)).astype(np.float32),
        creatinine=np.where(esrd, 3.2 + 2.5 * rng.random(n), kidney).astype(np.float32),
        dialysis_dependent=esrd,
        infection_hour=onset.astype(np.float32),
        antibiotic_hour=(np.maximum(onset, 0) + rng.exponential(4, n)).astype(np.float32),
        pneumonia=rng.random(n) < 0.45,
        planned_ventilation=people.stay_surgical & (rng.random(n) < 0.75),
    )


def run_course(rng: np.random.Generator, people: People) -> Course:
    """Let all stays of a chunk take their course, hour by hour."""
    patients = draw_patients(rng, people)
    hours = people.stay_hours
    order = np.argsort(-hours, kind="stable")
    longest = int(hours[order[0]])
    active = np.searchsorted(-hours[order], -np.arange(longest), side="left")
    bedside = _Bedside(rng, people, patients, order, longest)
    for hour in range(longest):
        bedside.take_hour(hour, int(active[hour]))
    there = np.arange(longest)[None, :] < hours[:, None]
    back = np.argsort(order, kind="stable")
    stay, hour_of_stay = np.nonzero(there)
    state = {name: np.ascontiguousarray(values[:, back].T[there]) for name, values in bedside.record.items()}
    clock = people.stay_start // 3600 * 3600
    return Course(stay, hour_of_stay, clock[stay] + hour_of_stay * 3600, state, patients)


class _Bedside:
    """The state of the stays at one hour, the longest stays first, so that those still there are always the first ``m``."""

    def __init__(self, rng: np.random.Generator, people: People, patients: Patients, order: Ints, longest: int) -> None:
        n = len(order)
        self.hours = people.stay_hours[order].astype(np.float32)
        self.acuity = people.stay_acuity[order].astype(np.float32)
        self.dies = people.stay_dies[order]
        self.dies_later = people.stay_dies_later[order]
        self.surgical = people.stay_surgical[order]
        self.predisposition = patients.predisposition[:, order]
        self.map_level, self.heart_level = patients.map_level[order], patients.heart_level[order]
        self.creatinine_level, self.dependent = patients.creatinine[order], patients.dialysis_dependent[order]
        self.onset, self.antibiotic = patients.infection_hour[order], patients.antibiotic_hour[order]
        self.pneumonia = patients.pneumonia[order]

        self.noise = rng.standard_normal((longest, len(ORGANS) + len(_SLOW) + 4, n), dtype=np.float32)
        self.luck = rng.random((longest, 6, n), dtype=np.float32)
        self.turns = np.where(
            rng.random((longest, n), dtype=np.float32) < 0.003, rng.exponential(0.7, (longest, n)).astype(np.float32), np.float32(0)
        )
        self.record: dict[str, Floats] = {name: np.zeros((longest, n), dtype=np.float32) for name in _RECORDED}

        self.severity = (0.85 * self.acuity + 0.35 * rng.standard_normal(n) + 0.2 + 0.8 * self.dies).astype(np.float32)
        self.drift = np.zeros((len(ORGANS), n), dtype=np.float32)
        self.infection = np.where(self.onset < 0, 0.5, 0).astype(np.float32)
        spread = np.array([spread for _, _, spread in _SLOW.values()], dtype=np.float32)
        self.own_level = spread[:, None] * rng.standard_normal((len(_SLOW), n), dtype=np.float32)
        self.slow = self._slow_targets(n, self._organs(n), np.zeros(n, dtype=np.float32))
        self.pressor = np.zeros(n, dtype=np.float32)
        self.fio2 = np.full(n, 0.3, dtype=np.float32)
        self.pao2 = np.full(n, 90, dtype=np.float32)
        self.ventilated = patients.planned_ventilation[order].copy()
        self.noninvasive = np.zeros(n, dtype=np.bool_)
        self.hours_ventilated = np.zeros(n, dtype=np.float32)
        self.creatinine = self.creatinine_level * np.where(self.dependent, 1, np.exp(0.25 * np.maximum(self._organs(n)[KIDNEY] - 0.5, 0)))
        self.bun = 16 * self.creatinine
        self.crrt = np.zeros(n, dtype=np.bool_)
        self.session = np.zeros(n, dtype=np.float32)
        self.since_dialysis = np.where(self.dependent, 40 * rng.random(n), 48).astype(np.float32)
        self.arterial_hours = np.where(self.surgical, 30, 0).astype(np.float32)
        self.central_hours = np.where(self.surgical, 40, 0).astype(np.float32)

    def take_hour(self, hour: int, m: int) -> None:
        """Advance the first ``m`` stays by an hour and record it."""
        self._worsen_or_recover(hour, m)
        organs = self._organs(m)
        self._drift_slowly(hour, m, organs)
        self._breathe(hour, m, organs)
        self._circulate(hour, m, organs)
        self._filter(hour, m, organs)
        self._place_lines(hour, m, organs)
        now = {
            **dict(zip(ORGANS, organs, strict=True)),
            **dict(zip(_SLOW, self.slow[:, :m], strict=True)),
            "severity": self.severity[:m],
            "infection": self.infection[:m],
            "dialysis": self.session[:m] > 0,
            "arterial_line": self.arterial_hours[:m] > 0,
            "central_line": self.central_hours[:m] > 0,
        }
        for name, values in now.items():
            self.record[name][hour, :m] = values
        for name in ("ventilated", "hours_ventilated", "noninvasive", "fio2", "pao2", "creatinine", "bun", "crrt"):
            self.record[name][hour, :m] = getattr(self, name)[:m]

    def _worsen_or_recover(self, hour: int, m: int) -> None:
        gone = hour / self.hours[:m]
        level = (0.85 * self.acuity[:m] + 0.2) * np.float32(np.exp(-hour / 90)) - 0.3 * gone
        level = level + np.where(self.dies[:m], 0.9 + 2.2 * gone**3, 0) + np.where(self.dies_later[:m], 0.5 + 0.4 * gone, 0)
        noise = self.noise[hour, :, :m]
        self.severity[:m] += 0.05 * (level - self.severity[:m]) + 0.08 * noise[-1] + self.turns[hour, :m]
        self.drift[:, :m] += -0.02 * self.drift[:, :m] + 0.07 * noise[: len(ORGANS)]
        treated = hour > self.antibiotic[:m] + 10
        growing = (hour >= self.onset[:m]) & ~treated
        self.infection[:m] += np.where(growing, 0.12 * (1 - self.infection[:m]), -0.025 * self.infection[:m])

    def _organs(self, m: int) -> Floats:
        organs = self.severity[:m] + self.predisposition[:, :m] + self.drift[:, :m]
        infection = self.infection[:m]
        organs[CIRCULATION] += 0.8 * infection
        organs[RESPIRATION] += np.where(self.pneumonia[:m], 0.9, 0.2) * infection
        organs[KIDNEY] += 0.4 * infection
        organs[COAGULATION] += 0.4 * infection
        return organs

    def _slow_targets(self, m: int, organs: Floats, bicarbonate_lost: Floats) -> Floats:
        above = np.maximum(organs, 0)
        infection = self.infection[:m]
        zero = np.zeros(m, dtype=np.float32)
        targets = (
            zero,
            zero,
            36.75 + 1.3 * infection - 0.15 * above[CIRCULATION],
            40 + 1.5 * above[RESPIRATION],
            25 - 1.1 * above[CIRCULATION] - 1.0 * above[KIDNEY] - bicarbonate_lost,
            np.log(1.15) + 0.42 * above[CIRCULATION] + 0.1 * above[LIVER],
            zero + 138.5,
            4.05 + 0.16 * above[KIDNEY],
            np.log(128) + 0.06 * above[CIRCULATION],
            10.6 - 0.35 * above[COAGULATION],
            np.log(225) - 0.30 * above[COAGULATION],
            np.log(0.6) + 0.50 * np.maximum(organs[LIVER] - 0.3, 0),
            np.log(1.15) + 0.13 * above[LIVER] + 0.05 * above[COAGULATION],
            np.log(9.0) + 0.45 * infection + 0.05 * above[CIRCULATION],
        )
        return np.stack(targets).astype(np.float32) + self.own_level[:, :m]

    def _drift_slowly(self, hour: int, m: int, organs: Floats) -> None:
        rates, jitter = _SLOW_RATES[:, None], _SLOW_JITTER[:, None]
        targets = self._slow_targets(m, organs, np.where(self.crrt[:m], -3, 0).astype(np.float32))
        noise = self.noise[hour, len(ORGANS) : len(ORGANS) + len(_SLOW), :m]
        self.slow[:, :m] += rates * (targets - self.slow[:, :m]) + jitter * noise

    def _breathe(self, hour: int, m: int, organs: Floats) -> None:
        luck = self.luck[hour, :, :m]
        lung, brain = organs[RESPIRATION], organs[BRAIN]
        ventilated, fio2 = self.ventilated[:m], self.fio2[:m]
        pf = 400 * np.exp(-0.33 * np.maximum(lung, -0.5) + 0.06 * self.noise[hour, -4, :m]) * np.where(ventilated, 1.15, 1)
        pao2 = np.clip(pf * fio2, 35, 450)
        # A hypoxic or failing patient is intubated; oxygen follows the arterial oxygen pressure.
        failing = (fio2 > 0.6) | (lung > 2.1) | (brain > 2.1)
        intubate = ~ventilated & failing & (luck[0] < 0.25)
        patience = np.where(self.surgical[:m], 0.11, 0.022)
        wean = ventilated & (self.hours_ventilated[:m] >= 5) & (lung < 1.25) & (brain < 1.5) & (fio2 <= 0.5)
        extubate = wean & (luck[0] < patience)
        self.noninvasive[:m] = ~ventilated & np.where(self.noninvasive[:m], luck[1] < 0.92, (pf < 240) & (luck[1] < 0.012))
        ventilated = (ventilated | intubate) & ~extubate
        low, high = pao2 < 68, pao2 > 105
        fio2 = fio2 + np.where(low, 0.07, np.where(high & (luck[2] < 0.5), -0.04, 0))
        fio2 = np.where(intubate, np.maximum(fio2, 0.6), fio2)
        self.fio2[:m] = np.clip(fio2, np.where(ventilated, 0.4, 0.21), 1)
        self.pao2[:m] = pao2
        self.hours_ventilated[:m] = np.where(ventilated, self.hours_ventilated[:m] + 1, 0)
        self.ventilated[:m] = ventilated
        self.record["pf_ratio"][hour, :m] = pf

    def _circulate(self, hour: int, m: int, organs: Floats) -> None:
        luck = self.luck[hour, :, :m]
        pressor = self.pressor[:m]
        heart = organs[CIRCULATION]
        native = self.map_level[:m] - 7.6 * np.maximum(heart, -1.2) - 5.5 * self.ventilated[:m] + self.slow[0, :m]
        mbp = np.clip(native + 42 * pressor / (pressor + 0.35) + 2.5 * self.noise[hour, -3, :m], 28, 150)
        self.record["mbp"][hour, :m] = mbp
        self.record["norepinephrine_equivalent"][hour, :m] = pressor
        # What is seen in this hour changes the dose of the next one.
        given = pressor > 0
        start = ~given & (mbp < 62) & (luck[3] < 0.6)
        step = np.clip(0.014 * (67 - mbp), -0.06, 0.12) * (luck[4] < 0.65)
        pressor = np.where(given, np.clip(pressor + step, 0, 2.5), np.where(start, 0.08, 0))
        self.pressor[:m] = np.where(pressor < 0.02, 0, pressor)

    def _filter(self, hour: int, m: int, organs: Floats) -> None:
        luck = self.luck[hour, 5, :m]
        kidney = organs[KIDNEY]
        level = self.creatinine_level[:m] * np.where(self.dependent[:m], 1.6, np.exp(0.85 * np.maximum(kidney - 0.7, 0)))
        creatinine = self.creatinine[:m]
        cleared = 0.05 * self.crrt[:m] + 0.16 * (self.session[:m] > 0)
        creatinine = creatinine + 0.028 * (level - creatinine) - cleared * np.maximum(creatinine - 0.6, 0)
        bun = self.bun[:m] + 0.025 * (17 * level - self.bun[:m]) - cleared * np.maximum(self.bun[:m] - 8, 0)
        failing = ~self.dependent[:m] & (creatinine > 2.5 * self.creatinine_level[:m]) & (creatinine > 2.2)
        shock = (self.pressor[:m] > 0.05) | (organs[CIRCULATION] > 1.8)
        crrt = self.crrt[:m]
        self.crrt[:m] = np.where(crrt, luck > np.where(kidney < 1.2, 0.04, 0.008), (failing | self.dependent[:m]) & shock & (luck < 0.013))
        due = self.since_dialysis[:m] >= 44
        start = due & ~self.crrt[:m] & ~shock & (self.session[:m] <= 0) & (self.dependent[:m] | failing) & (luck < 0.06)
        self.session[:m] = np.where(start, 4, np.maximum(self.session[:m] - 1, 0))
        self.since_dialysis[:m] = np.where(start, 0, self.since_dialysis[:m] + 1)
        self.creatinine[:m], self.bun[:m] = creatinine, bun

    def _place_lines(self, hour: int, m: int, organs: Floats) -> None:
        luck = self.luck[hour, 1, :m]
        sick = (self.pressor[:m] > 0) | (self.ventilated[:m] & (organs[RESPIRATION] > 1.0))
        arterial = sick & (luck < 0.3)
        self.arterial_hours[:m] = np.where(arterial, 20, np.maximum(self.arterial_hours[:m] - 1, 0))
        central = ((self.pressor[:m] > 0.06) | self.crrt[:m]) & (luck < 0.4)
        self.central_hours[:m] = np.where(central, 40, np.maximum(self.central_hours[:m] - 1, 0))


_SLOW_RATES: NDArray[np.float32] = np.array([rate for rate, _, _ in _SLOW.values()], dtype=np.float32)
_SLOW_JITTER: NDArray[np.float32] = np.array([jitter for _, jitter, _ in _SLOW.values()], dtype=np.float32)
