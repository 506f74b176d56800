"""icu/outputevents: urine as the kidney makes it since the last charting, and drains."""

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import Ints, Numbers
from data_pipelines.synthetic.bedside import Bedside
from data_pipelines.synthetic.catalogue import read_items
from data_pipelines.synthetic.occurrences import caregiver, moments, occurrences, stored_after
from data_pipelines.synthetic.oddities import with_implausible
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course
from data_pipelines.synthetic.tables import figures, frame_of, times

# Brings the rows a stay to v3.1's 57.
_FACTOR = 0.9
_STORE_MINUTES = 25


def outputevents(rng: np.random.Generator, people: People, course: Course, bedside: Bedside) -> pl.DataFrame:
    """Rows of a chunk, sorted by stay and hour."""
    items = read_items("output_items")
    item, hour = occurrences(rng, people, course, bedside, items, _FACTOR)
    time = moments(rng, people, course, items.group[item], hour)
    stored = stored_after(rng, items.group[item], hour, time, len(course.stay), _STORE_MINUTES)
    place = rng.random(len(item)) ** 1.6
    value = np.round(items.low[item] + (items.high - items.low)[item] * place)
    urine = np.array([quantity == "urine" for quantity in items.strings("quantity")])[item]
    value[urine] = _urine_since(bedside, course, hour[urine])
    value = with_implausible(rng, value)
    order = np.argsort(hour, kind="stable")
    item, hour, time, stored, value = item[order], hour[order], time[order], stored[order], value[order]
    stay = course.stay[hour]
    return frame_of(
        {
            "subject_id": people.subject_id[people.stay_patient][stay],
            "hadm_id": people.admission_id[people.stay_admission][stay],
            "stay_id": people.stay_id[stay],
            "caregiver_id": caregiver(people, stay, time),
            "charttime": times(time),
            "storetime": times(stored),
            "itemid": items.itemid[item],
            "value": figures(value),
            "valueuom": "ml",
        }
    )


def _urine_since(bedside: Bedside, course: Course, hour: Ints) -> Numbers:
    """Urine made since the row of the same stay before it, at most twelve hours' worth."""
    order = np.argsort(hour, kind="stable")
    made = np.cumsum(bedside.quantity["urine"].astype(np.float64))
    at = hour[order]
    before = np.concatenate(([-1], at[:-1]))
    first = np.concatenate(([True], course.stay[at[1:]] != course.stay[at[:-1]]))[: len(at)]
    since = np.where(first, at - np.minimum(course.hour[at] + 1, 4), np.maximum(before, at - 12))
    volume = made[at] - np.where(since < 0, 0, made[since])
    values = np.empty(len(at))
    values[order] = np.round(np.maximum(volume, 0) / 5) * 5
    return values
