"""icu/procedureevents: ventilation, lines and renal replacement as the course of the stay has them, and single procedures."""

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import HOUR, Flags, Ints, pick
from data_pipelines.synthetic.bedside import Bedside
from data_pipelines.synthetic.catalogue import Items, read_items
from data_pipelines.synthetic.chunks import Chunk
from data_pipelines.synthetic.infections import suspected
from data_pipelines.synthetic.occurrences import caregiver, moments, occurrences
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course
from data_pipelines.synthetic.tables import figures, frame_of, times, words

# Brings the rows a stay to v3.1's 8.6.
_FACTOR = 0.8
_MINUTES_OF = {"min": 1, "hour": 60, "day": 1440, "None": 1}

_Part = tuple[Ints, Ints, Ints, Ints]


def procedureevents(rng: np.random.Generator, chunk: Chunk, people: People, course: Course, bedside: Bedside) -> pl.DataFrame:
    """Rows of a chunk, sorted by stay and start."""
    items = read_items("procedure_items")
    form = items.frame["form"].to_numpy()
    by_state = np.flatnonzero(np.isin(form, ["state", "start", "end"]))
    parts = [_by_state(rng, people, course, items, int(k), bedside.when[items.when[k]], str(form[k])) for k in by_state]
    parts.append(_now_and_then(rng, people, course, bedside, items, np.isin(form, ["task", "line"])))
    parts.extend(_cultures(rng, people, course, items, int(k)) for k in np.flatnonzero(form == "culture"))
    item, stay, start, end = (np.concatenate([part[i] for part in parts]) for i in range(4))
    order = np.lexsort((start, stay))
    return _rows(rng, chunk, people, course, items, item[order], stay[order], start[order], end[order])


def _by_state(rng: np.random.Generator, people: People, course: Course, items: Items, k: int, flag: Flags, form: str) -> _Part:
    """Intervals in which something holds, or the moment at which it begins or ends."""
    begin = np.flatnonzero(course.starts(flag))
    run = np.cumsum(course.starts(flag)) - 1
    length = np.bincount(run[flag], minlength=len(begin)) if len(begin) else np.zeros(0, dtype=np.int64)
    stay = course.stay[begin]
    low, high = people.stay_start[stay] // 60 * 60, np.maximum(people.stay_end, people.stay_start + 120)[stay] // 60 * 60
    minute = 60 * rng.integers(0, 60, len(begin))
    start = np.clip(course.time[begin] + minute, low, high - 60)
    end = np.clip(course.time[begin] + length * HOUR + 60 * rng.integers(0, 60, len(begin)), start + 60, np.maximum(high, start + 60))
    kept = rng.random(len(begin)) < items.share[k]
    if form == "start":
        kept &= course.hour[begin] > 0
        end = start + 60
    if form == "end":
        kept &= end < high - 60
        start, end = end, end + 60
    return np.full(int(kept.sum()), k), stay[kept], start[kept], end[kept]


def _now_and_then(rng: np.random.Generator, people: People, course: Course, bedside: Bedside, items: Items, which: Flags) -> _Part:
    chosen = np.flatnonzero(which)
    item, hour = occurrences(rng, people, course, bedside, items.only(which), _FACTOR)
    start = moments(rng, people, course, items.group[chosen][item], hour)
    item, stay = chosen[item], course.stay[hour]
    hours = items.numbers("hours")[item]
    lasting = hours >= 1
    length = np.where(lasting, hours * HOUR * np.exp(0.7 * rng.standard_normal(len(item))), 60)
    end = np.maximum(start + 60, np.minimum(start + length.astype(np.int64) // 60 * 60, people.stay_end[stay] // 60 * 60))
    return item, stay, start, end


def _cultures(rng: np.random.Generator, people: People, course: Course, items: Items, k: int) -> _Part:
    taken = np.flatnonzero(suspected(people, course) & (rng.random(len(people.stay_id)) < items.share[k]))
    start = people.stay_start[taken] + (np.maximum(course.patients.antibiotic_hour[taken] - 0.7, 0.1) * HOUR).astype(np.int64)
    start = np.minimum(start, people.stay_end[taken] - 120) // 60 * 60
    return np.full(len(taken), k), taken, start, start + 60


def _rows(
    rng: np.random.Generator, chunk: Chunk, people: People, course: Course, items: Items, item: Ints, stay: Ints, start: Ints, end: Ints
) -> pl.DataFrame:
    orders = chunk.scattered_ids(len(item), leading=1, block=1 << 14)
    minutes = (end - start) / 60
    unit = np.array([_MINUTES_OF.get(unit, 1) for unit in items.strings("valueuom")])[item]
    value = np.round(minutes / unit, 6)
    return frame_of(
        {
            "subject_id": people.subject_id[people.stay_patient][stay],
            "hadm_id": people.admission_id[people.stay_admission][stay],
            "stay_id": people.stay_id[stay],
            "caregiver_id": caregiver(people, stay, start),
            "starttime": times(start),
            "endtime": times(end),
            "storetime": times(end + 60 * rng.integers(1, 90, len(end))),
            "itemid": items.itemid[item],
            "value": figures(value),
            "valueuom": items.frame["valueuom"].gather(item),
            "location": _locations(rng, items, item),
            "locationcategory": items.frame["locationcategory"].gather(item),
            "orderid": orders,
            "linkorderid": orders,
            "ordercategoryname": items.frame["ordercategoryname"].gather(item),
            "ordercategorydescription": items.frame["ordercategorydescription"].gather(item),
            "patientweight": figures(np.round(course.patients.weight[stay], 1).astype(np.float64)),
            "isopenbag": (minutes > 60).astype(np.int64),
            "continueinnextdept": 0,
            "statusdescription": words(["FinishedRunning", "Stopped"], pick(rng, [0.98, 0.02], len(item))),
            "ORIGINALAMOUNT": figures(value),
            "ORIGINALRATE": 1,
        }
    )


def _locations(rng: np.random.Generator, items: Items, item: Ints) -> pl.Series:
    places = [text.split("|") if text else [] for text in items.strings("locations")]
    vocabulary: list[str | None] = [place for entries in places for place in entries]
    count = np.array([len(entries) for entries in places])
    begin = np.cumsum(count) - count
    choice = begin[item] + (rng.random(len(item)) * np.maximum(count[item], 1)).astype(np.int64)
    return words(vocabulary, np.where(count[item] > 0, choice, -1))
