"""hosp/labevents: panels of results, a specimen a panel; most lie outside ICU stays, as in MIMIC."""

from functools import cache

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import MISSING, Ints, Numbers
from data_pipelines.synthetic.bedside import Bedside
from data_pipelines.synthetic.catalogue import Items, read_items
from data_pipelines.synthetic.chunks import Chunk
from data_pipelines.synthetic.laboratory_baseline import baseline
from data_pipelines.synthetic.laboratory_draws import PANELS, Draws, draw_specimens
from data_pipelines.synthetic.oddities import some_twice, with_implausible
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course
from data_pipelines.synthetic.tables import figures, frame_of, ids, times, words
from data_pipelines.synthetic.wording import SPECIMENS

_SPECIMEN_TYPE = 52033
_STORE_MINUTES = 65
_UNREPORTED = ("ERROR", "HEMOLYZED", "UNABLE TO REPORT", ">100", "<1")
_UNREPORTED_SHARE = 0.0015
_PROVIDERS = 2000
_VENOUS = {"pao2": ("po2", 38.0, 8.0), "sao2": ("so2", 66.0, 9.0)}
_DEFICIT = {"ph": -0.035, "paco2": 6.0, "total_co2": 1.5}


@cache
def _vocabulary() -> tuple[list[str | None], Ints, Ints]:
    vocabulary: list[str | None] = [*SPECIMENS, *_UNREPORTED]
    begin, count = [], []
    for text in read_items("laboratory_items").strings("words"):
        entries = text.split("|") if text else []
        begin.append(len(vocabulary))
        count.append(len(entries))
        vocabulary += entries
    return vocabulary, np.array(begin), np.array(count)


def labevents(rng: np.random.Generator, chunk: Chunk, people: People, course: Course, bedside: Bedside) -> pl.DataFrame:
    """Rows of a chunk, sorted by patient and time."""
    items = read_items("laboratory_items")
    draws = draw_specimens(rng, people, course, bedside)
    draw, item = _results(rng, draws, items)
    value = _values(rng, people, bedside, draws, items, draw, item)
    word = _worded(rng, draws, items, draw, item, value)
    has_number = ~np.isnan(items.numbers("decimals"))
    value = with_implausible(rng, np.where((word < 0) & has_number[item], value, np.nan))

    order = some_twice(rng, np.argsort(draw, kind="stable"))
    draw, item, value, word = draw[order], item[order], value[order], word[order]
    low, high = items.numbers("ref_range_lower"), items.numbers("ref_range_upper")
    outside = (value < low[item]) | (value > high[item])
    elsewhere = draws.admission[draw] < 0
    number, vocabulary = figures(value), _vocabulary()[0]
    panel = _panel_of(items)[item]
    delay = 1 + np.exp(np.log(_STORE_MINUTES) + 0.8 * rng.standard_normal((len(draws.time), len(PANELS))))
    urgent = rng.random(len(draws.time)) < np.where(draws.hour >= 0, 0.6, 0.45)
    return frame_of(
        {
            "labevent_id": chunk.row_ids(len(draw)),
            "subject_id": people.subject_id[draws.patient[draw]],
            "hadm_id": ids(np.where(elsewhere, MISSING, people.admission_id[draws.admission[draw]])),
            "specimen_id": _specimen_ids(chunk, draw * len(PANELS) + panel),
            "itemid": items.itemid[item],
            "order_provider_id": _providers(np.where(elsewhere, draws.patient[draw] + chunk.index, -1)),
            "charttime": times(draws.time[draw]),
            "storetime": times(draws.time[draw] + 60 * delay[draw, panel].astype(np.int64)),
            "value": words(vocabulary, word).zip_with(pl.Series(word >= 0), number),
            "valuenum": number,
            "valueuom": _text(items, "valueuom", item),
            "ref_range_lower": figures(low).gather(item),
            "ref_range_upper": figures(high).gather(item),
            "flag": words(["abnormal"], np.where(outside, 0, -1)),
            "priority": words(["ROUTINE", "STAT"], urgent[draw].astype(np.int64)),
            "comments": words(["___"], np.where((word < 0) & np.isnan(value), 0, -1)),
        }
    )


def _results(rng: np.random.Generator, draws: Draws, items: Items) -> tuple[Ints, Ints]:
    """Draw and item of each result: a panel holds its items, each as often as the catalogue says."""
    in_icu, elsewhere = items.numbers("in_icu"), items.numbers("elsewhere")
    found_draws, found_items = [], []
    for panel, name in enumerate(PANELS):
        members = np.flatnonzero(items.frame["panel"].to_numpy() == name)
        taken = np.flatnonzero(draws.panels[:, panel])
        chance = np.where((draws.hour[taken] >= 0)[:, None], in_icu[members], elsewhere[members])
        at, which = np.nonzero(rng.random(chance.shape, dtype=np.float32) < chance)
        found_draws.append(taken[at])
        found_items.append(members[which])
    return np.concatenate(found_draws), np.concatenate(found_items)


def _values(rng: np.random.Generator, people: People, bedside: Bedside, draws: Draws, items: Items, draw: Ints, item: Ints) -> Numbers:
    """The number of each result, NaN for items that have none."""
    n_patients = len(people.subject_id)
    habit = rng.standard_normal((n_patients, len(items)), dtype=np.float32)[draws.patient[draw], item]
    place = np.clip(0.42 + 0.2 * habit + 0.12 * rng.standard_normal(len(item), dtype=np.float32), 0, 1)
    low, high = items.low[item], items.high[item]
    wide = (low > 0) & (high > 8 * low)
    value = np.where(wide, low * (high / np.where(wide, low, 1)) ** place, low + (high - low) * place)
    by_item = np.argsort(item, kind="stable")
    bounds = np.searchsorted(item[by_item], np.arange(len(items) + 1))
    for quantity, members in _quantity_members().items():
        of_draw = _of_draws(rng, quantity, people, bedside, draws)
        for k in members:
            rows = by_item[bounds[k] : bounds[k + 1]]
            value[rows] = of_draw[draw[rows]]
    scale = 10.0 ** np.nan_to_num(items.numbers("decimals"))[item]
    return np.asarray(np.round(value * scale) / scale)


@cache
def _quantity_members() -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for k, quantity in enumerate(read_items("laboratory_items").strings("quantity")):
        if quantity and quantity != "specimen":
            members.setdefault(quantity, []).append(k)
    return members


def _of_draws(rng: np.random.Generator, quantity: str, people: People, bedside: Bedside, draws: Draws) -> Numbers:
    """A quantity at every draw: of the hour in the ICU, of the patient's baseline elsewhere; venous gases differ from arterial ones."""
    value = baseline(rng, quantity, draws.patient, len(people.subject_id))
    in_icu = np.flatnonzero(draws.hour >= 0)
    known = {"po2": "pao2", "so2": "sao2"}.get(quantity, quantity)
    value[in_icu] = bedside.quantity[known][draws.hour[in_icu]]
    venous = ~draws.arterial
    for name, centre, spread in _VENOUS.values():
        if quantity == name:
            value = np.where(venous, np.clip(centre + spread * rng.standard_normal(len(value)), 12, 95), value)
    return value + _DEFICIT.get(quantity, 0.0) * venous


def _worded(rng: np.random.Generator, draws: Draws, items: Items, draw: Ints, item: Ints, value: Numbers) -> Ints:
    """Index of the word of each result; -1 where it is a number or nothing."""
    _, begin, count = _vocabulary()
    worded = rng.random(len(item), dtype=np.float32) < items.numbers("worded")[item]
    # Of a quantity it is the low values that are told as a word, such as "<0.01".
    of_quantity = np.array([bool(quantity) for quantity in items.strings("quantity")])
    below = value <= items.numbers("ref_range_upper")[item]
    worded = np.where(of_quantity[item], (items.numbers("worded")[item] > 0) & below, worded)
    several = np.maximum(count[item], 1)
    word = begin[item] + (rng.random(len(item)) ** 2 * several).astype(np.int64)
    word = np.where(worded & (count[item] > 0), word, -1)
    unreported = rng.random(len(item), dtype=np.float32) < _UNREPORTED_SHARE
    word = np.where(unreported, len(SPECIMENS) + rng.integers(0, len(_UNREPORTED), len(item)), word)
    specimen = np.where(draws.arterial, 0, 1 + (rng.random(len(draws.time)) ** 3 * (len(SPECIMENS) - 1)).astype(np.int64))
    return np.where(items.itemid[item] == _SPECIMEN_TYPE, specimen[draw], word)


def _panel_of(items: Items) -> Ints:
    return np.array([PANELS.index(panel) for panel in items.strings("panel")])


def _specimen_ids(chunk: Chunk, specimen: Ints) -> Ints:
    return (specimen + chunk.index * (1 << 18)) * 48_271 % 99_999_989


def _providers(provider: Ints) -> pl.Series:
    names: list[str | None] = [f"P{i * 7919 % 90_000 + 10_000}" for i in range(_PROVIDERS)]
    return words(names, np.where(provider < 0, -1, provider * 613 % _PROVIDERS))


def _text(items: Items, column: str, item: Ints) -> pl.Series:
    return items.frame[column].gather(item)
