"""All tables of a chunk: from its people and the course of their stays to members of the gzip files."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from data_pipelines.synthetic.bedside import observe
from data_pipelines.synthetic.chartevents import chartevents
from data_pipelines.synthetic.chunks import Chunk
from data_pipelines.synthetic.inputevents import inputevents
from data_pipelines.synthetic.labevents import labevents
from data_pipelines.synthetic.microbiologyevents import microbiologyevents
from data_pipelines.synthetic.outputevents import outputevents
from data_pipelines.synthetic.people import admit
from data_pipelines.synthetic.physiology import run_course
from data_pipelines.synthetic.prescriptions import prescriptions
from data_pipelines.synthetic.procedureevents import procedureevents
from data_pipelines.synthetic.registries import admissions, icustays, patients
from data_pipelines.synthetic.tables import member


@dataclass(frozen=True)
class Members:
    """A chunk of the hospital, ready to be appended to its files.

    Attributes:
        stays: ICU stays in it.
        data: A gzip member a table.
        rows: Rows of each table.
    """

    stays: int
    data: dict[str, bytes]
    rows: dict[str, int]


def tables_of(chunk: Chunk) -> dict[str, Callable[[], pl.DataFrame]]:
    """What makes each table of a chunk; every table has a stream of chance of its own."""
    people = admit(chunk)
    course = run_course(chunk.rng("course"), people)
    bedside = observe(chunk.rng("bedside"), people, course)
    return {
        "hosp/patients": lambda: patients(chunk.rng("patients"), people),
        "hosp/admissions": lambda: admissions(chunk.rng("admissions"), people),
        "hosp/labevents": lambda: labevents(chunk.rng("labevents"), chunk, people, course, bedside),
        "hosp/microbiologyevents": lambda: microbiologyevents(chunk.rng("microbiologyevents"), chunk, people, course),
        "hosp/prescriptions": lambda: prescriptions(chunk.rng("prescriptions"), chunk, people, course),
        "icu/icustays": lambda: icustays(people),
        "icu/chartevents": lambda: chartevents(chunk.rng("chartevents"), people, course, bedside),
        "icu/inputevents": lambda: inputevents(chunk.rng("inputevents"), chunk, people, course, bedside),
        "icu/outputevents": lambda: outputevents(chunk.rng("outputevents"), people, course, bedside),
        "icu/procedureevents": lambda: procedureevents(chunk.rng("procedureevents"), chunk, people, course, bedside),
    }


def build(chunk: Chunk) -> Members:
    """Make a chunk, one table after the other, so that only one is in memory as rows."""
    data: dict[str, bytes] = {}
    rows: dict[str, int] = {}
    for table, make in tables_of(chunk).items():
        frame = make()
        data[table], rows[table] = member(table, frame), len(frame)
    return Members(chunk.stays, data, rows)
