"""When blood and urine are taken: in the ICU by the patient's state, on the ward every morning, and at visits between admissions."""

from dataclasses import dataclass

import numpy as np

from data_pipelines.synthetic.arrays import DAY, HOUR, MISSING, Flags, Ints, expand
from data_pipelines.synthetic.bedside import Bedside
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course

PANELS = ("chemistry", "blood_count", "differential", "coagulation", "liver", "blood_gas", "cardiac", "urine", "sundry")
_CHEMISTRY, _GAS, _SUNDRY = 0, 5, 8
# How often a draw holds each panel. The rates per ICU day of the demo: chemistry 1.9, blood count 1.6, coagulation 1.2, gases 2.9.
_IN_ICU = (0.96, 0.82, 0.09, 0.58, 0.26, 0, 0.11, 0.07, 0)
_ON_WARD = (0.93, 0.86, 0.12, 0.35, 0.25, 0.02, 0.05, 0.06, 0)
_AT_VISIT = (0.66, 0.62, 0.36, 0.16, 0.33, 0.005, 0.02, 0.16, 0)
_DRAWS_A_DAY = 1.9
_MORNING = 0.75
_WARD_MORNINGS = 0.78
# Visits a patient: brings the rows to v3.1's 158 million, most of which lie outside ICU stays.
_VISITS = 9.4
_YEARS_AROUND = 4


@dataclass(frozen=True)
class Draws:
    """Specimens taken at one moment of one patient.

    Attributes:
        patient: Patient of each draw.
        admission: Admission, or -1 at a visit.
        time: Seconds since 1970.
        hour: Index of the hour of an ICU stay, or -1 elsewhere.
        arterial: Whether a blood gas of it is arterial.
        panels: What is measured, ``[draws, panels]``.
    """

    patient: Ints
    admission: Ints
    time: Ints
    hour: Ints
    arterial: Flags
    panels: Flags


def draw_specimens(rng: np.random.Generator, people: People, course: Course, bedside: Bedside) -> Draws:
    """All draws of a chunk, sorted by patient and time."""
    parts = [_in_icu(rng, people, course, bedside), _on_ward(rng, people), _at_visits(rng, people)]
    patient, admission, time, hour = (np.concatenate([part[i] for part in parts]) for i in range(4))
    arterial = np.concatenate([part[4] for part in parts])
    panels = np.concatenate([part[5] for part in parts])
    panels[:, _SUNDRY] = panels[:, _CHEMISTRY]
    kept = panels.any(axis=1)
    order = np.flatnonzero(kept)[np.lexsort((time[kept], patient[kept]))]
    return Draws(patient[order], admission[order], time[order], hour[order], arterial[order], panels[order])


_Part = tuple[Ints, Ints, Ints, Ints, Flags, Flags]


def _in_icu(rng: np.random.Generator, people: People, course: Course, bedside: Bedside) -> _Part:
    n = len(course.stay)
    attention = np.clip(0.8 + 0.35 * course.state["severity"], 0.4, 2.5)
    elsewhen = (_DRAWS_A_DAY - _MORNING) / 23
    often = np.where(course.time // HOUR % 24 == 4, _MORNING, elsewhen * attention)
    routine = rng.random(n) < np.where(course.hour == 0, _MORNING, often)
    line, tube = bedside.when["arterial_line"], bedside.when["ventilated"]
    gas = rng.random(n) < attention * np.where(line, 0.22, np.where(tube, 0.06, 0.014))
    hour = np.flatnonzero(routine | gas)
    panels = (rng.random((len(hour), len(PANELS))) < np.array(_IN_ICU)) & routine[hour, None]
    panels[:, _GAS] |= gas[hour]
    stay = course.stay[hour]
    time = course.time[hour] + 60 * rng.integers(0, 60, len(hour))
    time = np.clip(time, people.stay_start[stay] // 60 * 60 + 60, np.maximum(people.stay_end, people.stay_start + 120)[stay] // 60 * 60)
    arterial = rng.random(len(hour)) < np.where(line, 0.94, 0.25)[hour]
    return people.stay_patient[stay], people.stay_admission[stay], time, hour, arterial, panels


def _on_ward(rng: np.random.Generator, people: People) -> _Part:
    mornings = (people.admission_end // DAY - people.admission_start // DAY).astype(np.int64)
    admission, day = expand(1 + mornings)
    at_six = (people.admission_start[admission] // DAY + day) * DAY + 6 * HOUR
    time = np.where(day == 0, people.admission_start[admission] + 30 * 60, at_six) + 60 * rng.integers(-50, 50, len(day))
    kept = (time <= people.admission_end[admission]) & (rng.random(len(day)) < _WARD_MORNINGS) & ~_during_icu(people, admission, time)
    admission, time = admission[kept], time[kept]
    return _elsewhere(rng, people.admission_patient[admission], admission, time, _ON_WARD)


def _at_visits(rng: np.random.Generator, people: People) -> _Part:
    n = len(people.subject_id)
    often = rng.gamma(0.6, _VISITS / 0.6, n) * np.where(people.dod == MISSING, 1, 0.8)
    patient, _ = expand(np.minimum(rng.poisson(often), 400))
    # Visits lie around the patient's admissions; a patient without any has the anchor year.
    begin = (people.anchor_year - 1970) * (DAY * 1461 // 4)
    np.minimum.at(begin, people.admission_patient, people.admission_start - 2 * 365 * DAY)
    end = begin + _YEARS_AROUND * 365 * DAY
    np.maximum.at(end, people.admission_patient, people.admission_end)
    end = np.where(people.dod == MISSING, end, np.maximum(np.minimum(end, people.dod), begin + DAY))
    day = begin[patient] + (rng.random(len(patient)) * (end - begin)[patient]).astype(np.int64)
    time = day // DAY * DAY + 60 * rng.integers(7 * 60, 18 * 60, len(patient))
    return _elsewhere(rng, patient, np.full(len(patient), -1), time, _AT_VISIT)


def _elsewhere(rng: np.random.Generator, patient: Ints, admission: Ints, time: Ints, often: tuple[float, ...]) -> _Part:
    n = len(patient)
    panels: Flags = rng.random((n, len(PANELS))) < np.array(often)
    return patient, admission, time // 60 * 60, np.full(n, -1), rng.random(n) < 0.5, panels


def _during_icu(people: People, admission: Ints, time: Ints) -> Flags:
    """Whether a time in an admission lies within one of its ICU stays."""
    span = np.int64(1) << 40
    starts = people.stay_admission * span + people.stay_start
    order = np.argsort(starts, kind="stable")
    before = np.searchsorted(starts[order], admission * span + time, side="right") - 1
    stay = order[np.maximum(before, 0)]
    return np.asarray((before >= 0) & (people.stay_admission[stay] == admission) & (time <= people.stay_end[stay]))
