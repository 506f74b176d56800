"""icu/chartevents: vital signs, settings and findings from the course of the stay, and the nursing items around them."""

from functools import cache

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import Floats, Ints, Numbers, expand
from data_pipelines.synthetic.bedside import Bedside
from data_pipelines.synthetic.catalogue import Items, read_items
from data_pipelines.synthetic.occurrences import caregiver, moments, occurrences, stored_after
from data_pipelines.synthetic.oddities import some_twice, with_implausible
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course
from data_pipelines.synthetic.tables import figures, frame_of, times, words
from data_pipelines.synthetic.wording import WORDED

# Brings the rows a stay to v3.1's 4,584: the catalogue leaves the demo's rarest items out, so the others are a little more frequent.
_ROUNDS_FACTOR = 1.11
_STORE_MINUTES = 28
_HABITS = 97
_WARNINGS = 0.004
# How much two readings of the same hour differ.
_JITTER = {"heart_rate": 2, "sbp": 4, "dbp": 3, "mbp": 3, "respiratory_rate": 1.2, "spo2": 0.6, "cvp": 1, "pap_mean": 1, "tidal_volume": 20}


@cache
def charted_items() -> Items:
    """The items of chartevents; those of the admission form have their rate per stay."""
    items = read_items("charted_items")
    frame = items.frame.with_columns(
        pl.when(pl.col("pattern") == "admission").then(pl.lit("first_hours")).otherwise(pl.col("when")).alias("when")
    )
    return Items(frame, items.itemid, tuple(frame["when"]), items.share, items.per_day, items.group, items.low, items.high)


@cache
def _vocabulary() -> tuple[list[str | None], Numbers, dict[str, int], Ints, Ints]:
    """All words, their numbers, where each worded quantity begins, and where each item's words begin and how many there are."""
    vocabulary: list[str | None] = []
    numbers: list[float] = []
    begin_of_quantity: dict[str, int] = {}
    for quantity, worded in WORDED.items():
        begin_of_quantity[quantity] = len(vocabulary)
        vocabulary += [word for word, _ in worded]
        numbers += [np.nan if number is None else number for _, number in worded]
    begin, count = [], []
    for text in charted_items().strings("words"):
        entries = [entry.partition("@") for entry in text.split("|")] if text else []
        begin.append(len(vocabulary))
        count.append(len(entries))
        vocabulary += [word for word, _, _ in entries]
        numbers += [float(number) if number else np.nan for _, _, number in entries]
    return vocabulary, np.array(numbers), begin_of_quantity, np.array(begin), np.array(count)


def chartevents(rng: np.random.Generator, people: People, course: Course, bedside: Bedside) -> pl.DataFrame:
    """Rows of a chunk, sorted by stay and hour."""
    items = charted_items()
    rounds = items.frame["pattern"].to_numpy() == "rounds"
    item, hour = occurrences(rng, people, course, bedside, items, np.where(rounds, _ROUNDS_FACTOR, 1), rounds)
    time = moments(rng, people, course, items.group[item], hour)
    stored = stored_after(rng, items.group[item], hour, time, len(course.stay), _STORE_MINUTES)
    value = with_implausible(rng, _measured(rng, people, bedside, course, items, item, hour))
    row, word = _each_word(rng, items, item, _worded(rng, bedside, course, items, item, hour))
    vocabulary, word_number, _, _, _ = _vocabulary()
    value = np.where(word >= 0, word_number[word], value[row])

    order = some_twice(rng, np.argsort(hour[row], kind="stable"))
    row, word, number = row[order], word[order], figures(value[order])
    item, hour, time = item[row], hour[row], time[row]
    stay = course.stay[hour]
    units = sorted(set(items.strings("valueuom")) - {""})
    unit = np.array([units.index(unit) if unit else -1 for unit in items.strings("valueuom")])
    return frame_of(
        {
            "subject_id": people.subject_id[people.stay_patient][stay],
            "hadm_id": people.admission_id[people.stay_admission][stay],
            "stay_id": people.stay_id[stay],
            "caregiver_id": caregiver(people, stay, time),
            "charttime": times(time),
            "storetime": times(stored[row]),
            "itemid": items.itemid[item],
            "value": words(vocabulary, word).zip_with(pl.Series(word >= 0), number),
            "valuenum": number,
            "valueuom": words([*units], unit[item]),
            "warning": (rng.random(len(row), dtype=np.float32) < _WARNINGS).astype(np.int64),
        }
    )


def _each_word(rng: np.random.Generator, items: Items, item: Ints, word: Ints) -> tuple[Ints, Ints]:
    """Repeat a moment for each of the words that hold at it, as often as the catalogue says and as there are words.

    Returns:
        Index of the moment of each row, and its word.
    """
    _, _, _, begin, count = _vocabulary()
    several = (items.numbers("values")[item] + rng.random(len(item))).astype(np.int64)
    row, nth = expand(np.minimum(several, np.maximum(count, 1)[item]))
    first, of = begin[item[row]], np.maximum(count, 1)[item[row]]
    return row, np.where(nth > 0, first + (word[row] - first + nth) % of, word[row])


def _slices(item: Ints, n_items: int) -> Ints:
    """Where the moments of each item begin; they are sorted by item."""
    return np.searchsorted(item, np.arange(n_items + 1))


def _worded(rng: np.random.Generator, bedside: Bedside, course: Course, items: Items, item: Ints, hour: Ints) -> Ints:
    """Index of the word of each moment, -1 where it has none."""
    _, _, begin_of_quantity, begin, count = _vocabulary()
    # A stay keeps to its usual word; common words come first.
    usual = rng.random((int(course.stay.max()) + 1, _HABITS), dtype=np.float32)[course.stay[hour], item % _HABITS]
    luck = np.where(rng.random(len(item), dtype=np.float32) < 0.7, usual, rng.random(len(item), dtype=np.float32))
    word = np.where(count[item] > 0, begin[item] + (luck**1.8 * count[item]).astype(np.int64), -1)
    bounds = _slices(item, len(items))
    for k, quantity in enumerate(items.strings("quantity")):
        if quantity in begin_of_quantity:
            rows = slice(bounds[k], bounds[k + 1])
            word[rows] = begin_of_quantity[quantity] + bedside.quantity[quantity][hour[rows]].astype(np.int64)
    return word


def _measured(rng: np.random.Generator, people: People, bedside: Bedside, course: Course, items: Items, item: Ints, hour: Ints) -> Numbers:
    """The number of each moment: the quantity of its hour, or one in the item's usual range near what the stay is used to."""
    habit = rng.standard_normal((len(people.stay_id), _HABITS), dtype=np.float32)[course.stay[hour], item % _HABITS]
    place: Floats = np.clip(0.5 + 0.25 * habit + 0.15 * rng.standard_normal(len(item), dtype=np.float32), 0, 1)
    value = items.low[item] + (items.high - items.low)[item] * place
    bounds = _slices(item, len(items))
    for k, quantity in enumerate(items.strings("quantity")):
        rows = slice(bounds[k], bounds[k + 1])
        if quantity:
            value[rows] = bedside.quantity[quantity][hour[rows]]
        if jitter := _JITTER.get(quantity):
            value[rows] += jitter * rng.standard_normal(bounds[k + 1] - bounds[k], dtype=np.float32)
        if quantity == "spo2":
            value[rows] = np.minimum(value[rows], 100)
    scale = 10.0 ** np.nan_to_num(items.numbers("decimals"))[item]
    return np.asarray(np.round(value * scale) / scale)
