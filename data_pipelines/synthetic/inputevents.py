"""icu/inputevents: infusions with their rate changes and carriers, boluses, fluids, blood, nutrition and antibiotics."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import HOUR, Flags, Floats, Ints, Numbers, first_of_group
from data_pipelines.synthetic.bedside import Bedside
from data_pipelines.synthetic.catalogue import Items, read_items
from data_pipelines.synthetic.chunks import Chunk
from data_pipelines.synthetic.infections import antibiotic_doses
from data_pipelines.synthetic.occurrences import caregiver, moments, occurrences
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course
from data_pipelines.synthetic.tables import figures, frame_of, times, words

# Brings the rows a stay to v3.1's 116.
_DOSE_FACTOR = 0.72
_DRIP_FACTOR = 0.6
_STATUS: list[str | None] = ["FinishedRunning", "ChangeDose/Rate", "Stopped", "Paused"]
_FINISHED, _CHANGED, _STOPPED, _PAUSED = range(4)
_CARRIED_ML = 100
_DOSE_LENGTH = 60
_ORDERS = 1 << 17
# Amount in an hour at a rate of 1, in the amount's unit: a factor, and whether the rate is by weight.
_PER_HOUR = {
    ("mg", "mcg/kg/min"): (0.06, True),
    ("mg", "mcg/min"): (0.06, False),
    ("mg", "ng/kg/min"): (0.00006, True),
    ("mg", "mcg/hour"): (0.001, False),
    ("mg", "mg/kg/hour"): (1.0, True),
    ("mg", "mg/min"): (60.0, False),
    ("mcg", "mcg/kg/hour"): (1.0, True),
    ("grams", "grams/min"): (60.0, False),
}


@dataclass(frozen=True)
class _Given:
    """Rows in the making; a value a row.

    Attributes:
        item: Index into the catalogue.
        stay: Stay.
        start: Start, seconds since 1970.
        end: End.
        rate: Rate in the item's unit, NaN for what has none.
        amount: Amount in the item's unit.
        order: Number of the order within the chunk; rows of a mixture share it.
        first_order: Order with which the infusion began.
        status: Index of its status.
        mixed: Whether the row is the fluid that carries a drug.
    """

    item: Ints
    stay: Ints
    start: Ints
    end: Ints
    rate: Numbers
    amount: Numbers
    order: Ints
    first_order: Ints
    status: Ints
    mixed: Flags


@cache
def _forms() -> dict[str, Ints]:
    form = read_items("given_items").frame["form"].to_numpy()
    return {str(name): np.flatnonzero(form == name) for name in np.unique(form)}


def inputevents(rng: np.random.Generator, chunk: Chunk, people: People, course: Course, bedside: Bedside) -> pl.DataFrame:
    """Rows of a chunk, sorted by stay and start."""
    items = read_items("given_items")
    parts = [_drips(rng, people, course, bedside, items), _single(rng, people, course, bedside, items), _antibiotics(rng, people, course)]
    given = _joined(parts)
    given = _with_carriers(rng, items, given)
    order = np.lexsort((given.start, given.stay))
    given = _Given(*(getattr(given, name)[order] for name in _Given.__dataclass_fields__))
    return _rows(rng, chunk, people, course, items, given)


def _drips(rng: np.random.Generator, people: People, course: Course, bedside: Bedside, items: Items) -> _Given:
    """Infusions: those that the course of the stay decides, and those that are hung now and then for as long as their reason holds."""
    forms = _forms()
    quantities = items.strings("quantity")
    parts = [_segments(rng, people, course, items, int(k), bedside.drip[quantities[k]], False) for k in forms["state"]]
    minutes = items.numbers("minutes")
    for k in forms["drip"]:
        running = bedside.when[items.when[k]] & (rng.random(len(people.stay_id)) < items.share[k])[course.stay]
        if not running.any():
            continue
        parts.append(_segments(rng, people, course, items, int(k), _hung(rng, course, items, int(k), running, minutes[k] / 60), True))
    return _joined(parts)


def _hung(rng: np.random.Generator, course: Course, items: Items, k: int, running: Flags, hours: float) -> Floats:
    """Rate of an infusion by the hour: it runs for part of the time and changes after some hours."""
    n = len(course.stay)
    fresh = course.starts(running) | (rng.random(n) < 1 / max(hours, 1))
    last = np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
    level = items.low[k] + (items.high[k] - items.low[k]) * rng.random(n)[last] ** 1.5
    # As many rows a day as the catalogue says: the infusion hangs for the share of the time that this takes.
    share = np.clip(_DRIP_FACTOR * items.per_day[k] * max(hours, 1) / 24, 0.04, 1)
    hangs = rng.random(n)[last] < share
    step = items.high[k] / 40
    return np.where(running & hangs, np.maximum(np.round(level / step) * step, step), 0).astype(np.float32)


def _segments(rng: np.random.Generator, people: People, course: Course, items: Items, k: int, rate: Floats, ends_by_itself: bool) -> _Given:
    """Cut an hourly rate into rows of constant rate."""
    n = len(rate)
    stay_start = course.hour == 0
    changes = np.concatenate(([True], rate[1:] != rate[:-1])) | stay_start
    begin = np.flatnonzero(changes)
    end = np.append(begin[1:], n)
    runs = rate[begin] > 0
    follows = np.append(runs[1:] & ~stay_start[begin[1:]], [False]) if len(begin) > 1 else np.zeros(len(begin), dtype=np.bool_)
    after_another = np.concatenate(([False], runs[:-1])) & ~stay_start[begin]
    begin, end, follows, after_another = begin[runs], end[runs], follows[runs], after_another[runs]
    # A row starts at the minute of its first hour at which the one before it ended.
    minute = rng.integers(0, 60, n + 1) * 60
    stay = course.stay[begin]
    low, high = people.stay_start[stay], np.maximum(people.stay_end, people.stay_start + 120)[stay] // 60 * 60
    start = course.time[begin] + minute[begin]
    stop = course.time[begin] + (end - begin) * HOUR + minute[end]
    start = np.clip(start, -(-low // 60) * 60, high - 60)
    stop = np.clip(stop, start + 60, np.maximum(high, start + 60))
    numbers = np.arange(len(begin))
    run = np.cumsum(~after_another)
    luck = rng.random(len(begin))
    status = np.where(follows, _CHANGED, np.where(luck < 0.12, _STOPPED, np.where(luck < 0.2, _PAUSED, _FINISHED)))
    noisy = rate[begin] * (1 + 0.002 * rng.standard_normal(len(begin))) if not ends_by_itself else rate[begin].astype(np.float64)
    amount = _amount(people, course, items, k, stay, noisy, (stop - start) / HOUR)
    none = np.zeros(len(begin), dtype=np.bool_)
    return _Given(np.full(len(begin), k), stay, start, stop, noisy, amount, numbers, numbers[first_of_group(run)], status, none)


def _amount(people: People, course: Course, items: Items, k: int, stay: Ints, rate: Numbers, hours: Numbers) -> Numbers:
    factor, by_weight = _PER_HOUR.get((items.strings("amountuom")[k], items.strings("rateuom")[k]), (1.0, False))
    return np.asarray(rate * hours * factor * (course.patients.weight[stay] if by_weight else 1))


def _single(rng: np.random.Generator, people: People, course: Course, bedside: Bedside, items: Items) -> _Given:
    """Boluses, additives and volumes that run in once."""
    forms = _forms()
    chosen = np.sort(np.concatenate([forms["dose"], forms["additive"], forms["volume"]]))
    which = np.isin(np.arange(len(items)), chosen)
    item, hour = occurrences(rng, people, course, bedside, items.only(which), _DOSE_FACTOR)
    time = moments(rng, people, course, items.group[chosen][item], hour)
    item, stay = chosen[item], course.stay[hour]
    low, high = items.low[item], items.high[item]
    amount = low + (high - low) * rng.random(len(item))
    step = np.where(high >= 100, 10, np.where(high >= 10, 5, np.where(high >= 2, 0.5, 0.05)))
    amount = np.where(low == high, low, np.maximum(np.round(amount / step) * step, step))
    minutes = np.maximum(items.numbers("minutes")[item], 1)
    runs_in = np.isin(item, forms["volume"])
    numbers = np.arange(len(item))
    rate = np.where(runs_in, amount / minutes * 60, np.nan)
    finished, none = np.full(len(item), _FINISHED), np.zeros(len(item), dtype=np.bool_)
    return _Given(item, stay, time, time + 60 * minutes.astype(np.int64), rate, amount, numbers, numbers, finished, none)


def _antibiotics(rng: np.random.Generator, people: People, course: Course) -> _Given:
    doses = antibiotic_doses(rng, people, course)
    n = len(doses.item)
    return _Given(
        item=doses.item,
        stay=doses.stay,
        start=doses.time,
        end=doses.time + _DOSE_LENGTH,
        rate=np.full(n, np.nan),
        amount=np.ones(n),
        order=np.arange(n),
        first_order=np.arange(n),
        status=np.full(n, _FINISHED),
        mixed=np.zeros(n, dtype=np.bool_),
    )


def _joined(parts: list[_Given]) -> _Given:
    """Rows of all parts, their orders numbered on."""
    sizes = np.cumsum([0, *(int(part.order.max(initial=-1)) + 1 for part in parts[:-1])])
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _Given.__dataclass_fields__}
    offset = np.repeat(sizes, [len(part.item) for part in parts])
    columns["order"] = columns["order"] + offset
    columns["first_order"] = columns["first_order"] + offset
    return _Given(**columns)


@cache
def _carriers() -> Ints:
    """Index of the fluid that carries each item, -1 where none does."""
    items = read_items("given_items")
    place = {int(itemid): k for k, itemid in enumerate(items.itemid)}
    return np.array([-1 if np.isnan(carrier) else place[int(carrier)] for carrier in items.numbers("carrier")])


def _with_carriers(rng: np.random.Generator, items: Items, given: _Given) -> _Given:
    """Add the fluid that carries a drug, as a row of the same order and times."""
    carrier = _carriers()[given.item]
    rows = np.flatnonzero(carrier >= 0)
    hours = (given.end - given.start)[rows] / HOUR
    at_once = np.isnan(given.rate[rows]) & (hours < 0.1)
    volume = np.where(at_once, _CARRIED_ML, np.maximum(5, np.round(hours * 12 * (0.5 + rng.random(len(rows))))))
    carried = _Given(
        item=carrier[rows],
        stay=given.stay[rows],
        start=given.start[rows],
        end=given.end[rows],
        rate=np.where(at_once, np.nan, volume / np.maximum(hours, 1 / 60)),
        amount=volume,
        order=given.order[rows],
        first_order=given.first_order[rows],
        status=given.status[rows],
        mixed=np.ones(len(rows), dtype=np.bool_),
    )
    # The row of the fluid is filed under the order category of the drug that it carries.
    both = {name: np.concatenate([getattr(given, name), getattr(carried, name)]) for name in _Given.__dataclass_fields__}
    return _Given(**both)


def _rows(rng: np.random.Generator, chunk: Chunk, people: People, course: Course, items: Items, given: _Given) -> pl.DataFrame:
    order_ids = chunk.scattered_ids(int(given.order.max(initial=0)) + 1, block=_ORDERS)
    stay, item, mixed, drug = given.stay, given.item, given.mixed, _drug_of(given)
    amount, rate = np.round(given.amount, 6), np.round(given.rate, 6)
    in_ml = np.where(_milliliters()[item], np.round(amount), np.nan)
    total = np.where(mixed | (_carriers()[item] >= 0), np.maximum(_CARRIED_ML, np.nan_to_num(in_ml)), in_ml)
    return frame_of(
        {
            "subject_id": people.subject_id[people.stay_patient][stay],
            "hadm_id": people.admission_id[people.stay_admission][stay],
            "stay_id": people.stay_id[stay],
            "caregiver_id": caregiver(people, stay, given.start),
            "starttime": times(given.start),
            "endtime": times(given.end),
            "storetime": times(given.start + 60 * rng.integers(0, 120, len(item))),
            "itemid": items.itemid[item],
            "amount": figures(amount),
            "amountuom": items.frame["amountuom"].gather(item),
            "rate": figures(rate),
            "rateuom": _rate_units(items, item, mixed, rate),
            "orderid": order_ids[given.order],
            "linkorderid": order_ids[given.first_order],
            "ordercategoryname": items.frame["ordercategoryname"].gather(drug),
            "secondaryordercategoryname": items.frame["secondaryordercategoryname"].gather(drug),
            "ordercomponenttypedescription": _components(items, item, mixed, drug),
            "ordercategorydescription": items.frame["ordercategorydescription"].gather(drug),
            "patientweight": figures(np.round(course.patients.weight[stay], 1).astype(np.float64)),
            "totalamount": figures(total),
            "totalamountuom": words(["ml"], np.where(np.isnan(total), -1, 0)),
            "isopenbag": 0,
            "continueinnextdept": 0,
            "statusdescription": words(_STATUS, given.status),
            "originalamount": figures(np.where(given.status == _CHANGED, np.round(amount * 2.5, 6), amount)),
            "originalrate": figures(np.where(np.isnan(rate), 1, np.round(rate, 2))),
        }
    )


def _rate_units(items: Items, item: Ints, mixed: Flags, rate: Numbers) -> pl.Series:
    """A carrying fluid runs in mL/hour, a drug in its own unit; what has no rate has no unit."""
    units = sorted(set(items.strings("rateuom")) - {""})
    own = np.array([units.index(unit) if unit else -1 for unit in items.strings("rateuom")])[item]
    return words([*units], np.where(np.isnan(rate), -1, np.where(mixed, units.index("mL/hour"), own)))


def _components(items: Items, item: Ints, mixed: Flags, drug: Ints) -> pl.Series:
    """The bag into which an additive goes is the main part of its order; any other carrying fluid is a mixed solution."""
    names = ["Mixed solution", *sorted(set(items.strings("ordercomponenttypedescription")))]
    own = np.array([names.index(name) for name in items.strings("ordercomponenttypedescription")])[item]
    into_bag = mixed & np.isin(drug, _forms()["additive"])
    return words([*names], np.where(into_bag, names.index("Main order parameter"), np.where(mixed, 0, own)))


def _drug_of(given: _Given) -> Ints:
    """The item of the order that each row belongs to: itself, or for a carrier the drug that it carries."""
    drug_of_order = np.zeros(int(given.order.max(initial=0)) + 1, dtype=np.int64)
    drug_of_order[given.order[~given.mixed]] = given.item[~given.mixed]
    return np.where(given.mixed, drug_of_order[given.order], given.item)


@cache
def _milliliters() -> Flags:
    return np.asarray(read_items("given_items").frame["amountuom"].to_numpy() == "ml")
