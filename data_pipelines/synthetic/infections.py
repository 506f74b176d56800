"""Infections of a stay: when antibiotics are given and cultures taken, so that suspicion of infection can be found in the records."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from data_pipelines.synthetic.arrays import HOUR, Flags, Ints, Numbers, expand, pick
from data_pipelines.synthetic.catalogue import read_items
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course

_ANTIBIOTIC_DAYS = 6.0
_PROPHYLAXIS_HOURS = 24
_CEFAZOLIN = 225850


@dataclass(frozen=True)
class Doses:
    """Antibiotic doses: the item, the stay and the time of each."""

    item: Ints
    stay: Ints
    time: Ints


@dataclass(frozen=True)
class Regimens:
    """Courses of one antibiotic in one stay, with first and last hour since ICU admission."""

    item: Ints
    stay: Ints
    first: Numbers
    last: Numbers
    per_day: Numbers


@cache
def _antibiotic_weights() -> tuple[Ints, Numbers]:
    items = read_items("given_items")
    chosen = np.flatnonzero((items.frame["form"].to_numpy() == "antibiotic") & (items.itemid != _CEFAZOLIN))
    return chosen, items.share[chosen]


def suspected(people: People, course: Course) -> Flags:
    """Stays in which an infection shows and is treated before they end."""
    return course.patients.antibiotic_hour < people.stay_hours


def regimens(people: People, course: Course) -> Regimens:
    """Antibiotics of a chunk: one to three for each infection, cefazolin around operations.

    Chance hangs on the stays alone, so that prescriptions and infusions name the same drugs.
    """
    rng = np.random.default_rng(people.stay_id)
    items = read_items("given_items")
    chosen, weights = _antibiotic_weights()
    n = len(people.stay_id)
    several = 1 + (rng.random(n) < 0.6).astype(np.int64) + (rng.random(n) < 0.3)
    stay, _ = expand(np.where(suspected(people, course), several, 0))
    item = chosen[pick(rng, weights, len(stay))]
    first = course.patients.antibiotic_hour[stay] + rng.exponential(2, len(stay))
    last = first + 24 * rng.gamma(2, _ANTIBIOTIC_DAYS / 2, len(stay))
    surgical = np.flatnonzero(people.stay_surgical & (rng.random(n) < 0.6))
    cefazolin = int(np.flatnonzero(items.itemid == _CEFAZOLIN)[0])
    item = np.concatenate((item, np.full(len(surgical), cefazolin)))
    stay = np.concatenate((stay, surgical))
    first = np.concatenate((first, 6 * rng.random(len(surgical))))
    last = np.concatenate((last, np.full(len(surgical), _PROPHYLAXIS_HOURS)))
    return Regimens(item, stay, first, last, items.per_day[item])


def antibiotic_doses(rng: np.random.Generator, people: People, course: Course) -> Doses:
    """Doses given in the ICU."""
    plan = regimens(people, course)
    end = np.minimum(plan.last, people.stay_hours[plan.stay] - 0.5)
    number = np.where(end > plan.first, 1 + np.floor((end - plan.first) * plan.per_day / 24), 0).astype(np.int64)
    row, nth = expand(number)
    hour = plan.first[row] + nth * 24 / plan.per_day[row]
    time = people.stay_start[plan.stay[row]] + (hour * HOUR).astype(np.int64) + 60 * rng.integers(0, 25, len(row))
    return Doses(plan.item[row], plan.stay[row], time // 60 * 60)
