"""When the items of a table are recorded: at each hour by chance, as often as the catalogue says, in the stays that record them."""

import numpy as np

from data_pipelines.synthetic.arrays import HOUR, Flags, Floats, Ints, Numbers
from data_pipelines.synthetic.bedside import Bedside
from data_pipelines.synthetic.catalogue import Items
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course

_FIRST_HOURS = 3  # Length of the condition "first_hours"; what is recorded under it has its rate per stay.
_ROUND = 4  # Nursing rounds are every four hours.
_ON_THE_HOUR = 0.72
_OUTSIDE_STAY = 0.002


def occurrences(
    rng: np.random.Generator,
    people: People,
    course: Course,
    bedside: Bedside,
    items: Items,
    factor: float | Numbers = 1.0,
    rounds: Flags | None = None,
) -> tuple[Ints, Ints]:
    """Draw which items are recorded in which hours.

    Args:
        rng: Stream of chance.
        people: The stays.
        course: Their hours.
        bedside: The conditions that hold in each hour.
        items: What may be recorded.
        factor: How many times as often as the catalogue says, for all or for each of the items.
        rounds: Items that are mostly recorded at the nursing rounds; sicker patients have more in between.

    Returns:
        Index into ``items`` and index of the hour, sorted by item.
    """
    n_stays, n_groups = len(people.stay_id), int(items.group.max()) + 1
    recorded = rng.random((n_stays, n_groups))[:, items.group] < items.share  # [stays, items]
    at_first = np.array([when == "first_hours" for when in items.when])
    hourly = items.per_day * factor / np.where(at_first, _FIRST_HOURS, 24)
    on_round = np.where(hourly * _ROUND < 1, hourly * _ROUND * 0.85, 0.92) if rounds is not None else hourly
    off_round = (hourly * _ROUND - on_round) / (_ROUND - 1) if rounds is not None else hourly
    if rounds is not None:
        on_round, off_round = np.where(rounds, on_round, hourly), np.where(rounds, off_round, hourly)
    is_round = (course.time // HOUR) % _ROUND == 0
    attention = np.clip(1 + 0.15 * course.state["severity"], 0.7, 1.6)
    picked_items, picked_hours = [], []
    for block in np.array_split(np.arange(len(items)), -(-len(items) // 64)):
        chance = np.where(is_round, on_round[block, None], off_round[block, None] * attention).astype(np.float32)
        chance *= recorded.T[block][:, course.stay]
        chance *= np.stack([bedside.when[items.when[k]] for k in block])
        luck = rng.random(chance.shape, dtype=np.float32)
        times = (luck < chance).astype(np.int8) + (luck < chance - 1)
        item, hour = np.nonzero(times)
        often = times[item, hour]
        picked_items.append(np.repeat(block[item], often))
        picked_hours.append(np.repeat(hour, often))
    return np.concatenate(picked_items), np.concatenate(picked_hours)


def moments(rng: np.random.Generator, people: People, course: Course, group: Ints, hour: Ints) -> Ints:
    """Times of what is recorded: mostly on the hour, else at a minute that a group shares; within the stay but for a few.

    Args:
        rng: Stream of chance.
        people: The stays.
        course: Their hours.
        group: Category of what is recorded.
        hour: Index of its hour; where it is that of the entry before it, the same item is recorded once more, half an hour later.

    Returns:
        Seconds since 1970.
    """
    minute = rng.integers(1, 60, (int(group.max(initial=0)) + 1, len(course.stay)), dtype=np.int64)
    on_the_hour = rng.random(len(hour), dtype=np.float32) < _ON_THE_HOUR
    again = np.concatenate(([False], hour[1:] == hour[:-1]))[: len(hour)]
    time = course.time[hour] + HOUR + 60 * np.where(again, 30, np.where(on_the_hour, 0, minute[group, hour]))
    stay = course.stay[hour]
    start, end = people.stay_start[stay], np.maximum(people.stay_end, people.stay_start + 60)[stay]
    # The last hour of a stay ends with it: what would come later is recorded half way.
    time = np.where(time > end, np.maximum((course.time[hour] + end) // 2, course.time[hour]), time)
    time = np.where(time < start, start + 59, time)
    outside = rng.random(len(time), dtype=np.float32) < _OUTSIDE_STAY
    before = start - 60 * rng.integers(5, 90, len(time))
    after = end + 60 * rng.integers(1, 45, len(time))
    return np.asarray(np.where(outside, np.where(rng.random(len(time)) < 0.5, before, after), time) // 60 * 60)


def stored_after(rng: np.random.Generator, group: Ints, hour: Ints, time: Ints, n_hours: int, minutes: float) -> Ints:
    """When what was recorded was stored: some minutes later, the same for all of a group in an hour.

    Args:
        rng: Stream of chance.
        group: Category of what is recorded.
        hour: Index of its hour.
        time: When it was recorded.
        n_hours: Number of hours.
        minutes: Mean delay.

    Returns:
        Seconds since 1970, after ``time``.
    """
    delay: Floats = 1 + rng.exponential(minutes, (int(group.max(initial=0)) + 1, n_hours)).astype(np.float32)
    return time + 60 * delay[group, hour].astype(np.int64)


def caregiver(people: People, stay: Ints, time: Ints) -> Ints:
    """Who recorded it: one nurse a stay and twelve-hour shift."""
    return (people.stay_id[stay] * 31 + (time // (12 * HOUR)) * 7919) % 99_991
