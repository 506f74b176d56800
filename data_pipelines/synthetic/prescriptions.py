"""hosp/prescriptions: the drugs of each admission, and those antibiotics that the ICU gives."""

from functools import cache

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import DAY, HOUR, Ints, Numbers, expand, pick
from data_pipelines.synthetic.catalogue import read_frame, read_items
from data_pipelines.synthetic.chunks import Chunk
from data_pipelines.synthetic.infections import regimens
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course
from data_pipelines.synthetic.tables import frame_of, times, words

# Rows of an admission of six days, with and without ICU stay: brings the rows to v3.1's 20.3 million.
_IN_ICU, _ELSEWHERE = 62.0, 42.0
_PROVIDERS: list[str | None] = [f"P{i * 7919 % 90_000 + 10_000}" for i in range(1500)]
# Infused antibiotics (inputevents) whose prescription has a name of its own; others are prescribed under their label.
_PRESCRIBED_AS = {
    225798: "Vancomycin",
    225884: "MetRONIDAZOLE (FLagyl)",
    225851: "CefePIME",
    225893: "Piperacillin-Tazobactam",
    225850: "CefazoLIN",
    225883: "Meropenem",
    225855: "CeftriaXONE",
    225859: "Ciprofloxacin IV",
    225879: "Levofloxacin",
    225845: "Azithromycin",
    225869: "Fluconazole",
    225899: "Sulfameth/Trimethoprim DS",
}


@cache
def _drugs() -> tuple[pl.DataFrame, Numbers, Numbers, Ints]:
    """The drugs, antibiotics of the ICU behind them; weights with and without antibiotics; place of each infused antibiotic."""
    frame = read_frame("prescribed_drugs")
    weight = frame["weight"].to_numpy()
    names = frame["drug"].to_list()
    items = read_items("given_items")
    place = np.full(len(items), -1)
    added: list[str] = []
    for k in np.flatnonzero(items.frame["form"].to_numpy() == "antibiotic"):
        name = _PRESCRIBED_AS.get(int(items.itemid[k]))
        if name is None:
            place[k] = len(names) + len(added)
            added.append(items.strings("label")[k])
        else:
            place[k] = names.index(name)
    more = pl.DataFrame({"drug": added}).with_columns(drug_type=pl.lit("MAIN"), route=pl.lit("IV"), dose_unit_rx=pl.lit("mg"))
    without = np.where(frame["antibiotic"].to_numpy() == 1, 0, weight)
    return pl.concat([frame, more], how="diagonal"), weight, without, place


def prescriptions(rng: np.random.Generator, chunk: Chunk, people: People, course: Course) -> pl.DataFrame:
    """Rows of a chunk, sorted by patient and start."""
    frame, weight, without_antibiotics, place = _drugs()
    length = np.maximum(people.admission_end - people.admission_start, 4 * HOUR)
    often = np.where(people.admission_icu, _IN_ICU, _ELSEWHERE) * (length / DAY / 6) ** 0.55
    admission, _ = expand(rng.poisson(often * rng.gamma(4, 0.25, len(often))))
    drug = np.where(people.admission_icu[admission], pick(rng, without_antibiotics, len(admission)), pick(rng, weight, len(admission)))
    start = people.admission_start[admission] + (rng.random(len(admission)) ** 1.7 * length[admission]).astype(np.int64)
    stop = start + (rng.exponential(2.2, len(admission)) * DAY).astype(np.int64)

    plan = regimens(people, course)
    admission = np.concatenate((admission, people.stay_admission[plan.stay]))
    drug = np.concatenate((drug, place[plan.item]))
    begin = people.stay_start[plan.stay]
    start = np.concatenate((start, begin + ((plan.first - 1) * HOUR).astype(np.int64)))
    stop = np.concatenate((stop, begin + (plan.last * HOUR).astype(np.int64)))
    kept = start < people.admission_end[admission]
    admission, drug, start, stop = admission[kept], drug[kept], start[kept], stop[kept]
    order = np.lexsort((start, admission))
    admission, drug, start, stop = admission[order], drug[order], start[order] // HOUR * HOUR, stop[order] // HOUR * HOUR
    stop = np.maximum(np.minimum(stop, people.admission_end[admission] // HOUR * HOUR), start)
    return _rows(rng, chunk, people, frame, admission, drug, start, stop)


def _rows(
    rng: np.random.Generator, chunk: Chunk, people: People, frame: pl.DataFrame, admission: Ints, drug: Ints, start: Ints, stop: Ints
) -> pl.DataFrame:
    is_base = (frame["drug_type"] == "BASE").to_numpy()[drug]
    # A base fluid belongs to the pharmacy's entry of the drug before it.
    number = np.cumsum(~is_base)
    subject = people.subject_id[people.admission_patient[admission]]
    first = np.searchsorted(subject, subject, side="left")
    sequence = np.arange(len(subject)) - first + 1
    catalogue = frame.drop("antibiotic", "weight")
    rows = frame_of(
        {
            "subject_id": subject,
            "hadm_id": people.admission_id[admission],
            "pharmacy_id": chunk.scattered_ids(int(number.max(initial=0)) + 1, block=1 << 17)[number],
            "poe_seq": sequence,
            "order_provider_id": words(_PROVIDERS, rng.integers(0, len(_PROVIDERS), len(drug))),
            "starttime": times(start),
            "stoptime": times(stop),
        }
    ).with_columns(pl.format("{}-{}", "subject_id", "poe_seq").alias("poe_id"))
    return rows.hstack(catalogue[drug])
