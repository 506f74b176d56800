"""hosp/microbiologyevents: cultures around infections, screens at ICU admission, and what is sent from wards and visits."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import DAY, HOUR, MISSING, Flags, Ints, expand, pick
from data_pipelines.synthetic.chunks import Chunk
from data_pipelines.synthetic.infections import suspected
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course
from data_pipelines.synthetic.tables import frame_of, ids, times, words


@dataclass(frozen=True)
class _Test:
    specimen_id: int
    specimen: str
    test_id: int
    test: str
    weight: float
    positive: float
    negative: str


_TESTS = (
    _Test(70079, "URINE", 90039, "URINE CULTURE", 0.34, 0.3, "NO GROWTH.  "),
    _Test(70012, "BLOOD CULTURE", 90201, "Blood Culture, Routine", 0.30, 0.12, "NO GROWTH.  "),
    _Test(70062, "SPUTUM", 90055, "RESPIRATORY CULTURE", 0.08, 0.5, "Commensal Respiratory Flora Absent.  "),
    _Test(70091, "MRSA SCREEN", 90189, "MRSA SCREEN", 0.08, 0.08, "No MRSA isolated.  "),
    _Test(70070, "SWAB", 90046, "WOUND CULTURE", 0.06, 0.5, "NO GROWTH.  "),
    _Test(70064, "STOOL", 90221, "C. difficile PCR", 0.06, 0.12, "NEGATIVE.  "),
    _Test(70053, "PERITONEAL FLUID", 90268, "FLUID CULTURE", 0.04, 0.2, "NO GROWTH.  "),
    _Test(70021, "BRONCHOALVEOLAR LAVAGE", 90055, "RESPIRATORY CULTURE", 0.04, 0.5, "Commensal Respiratory Flora Absent.  "),
)
_URINE, _BLOOD, _SPUTUM, _MRSA, _SWAB, _STOOL = range(6)
_GRAM_NEGATIVE = (90012, 90008, 90017, 90013, 90028, 90029, 90019, 90026, 90018)
_GRAM_POSITIVE = (90012, 90015, 90016, 90006, 90007, 90025, 90011)
_ENTEROCOCCAL = (90004, 90015, 90010)
_ANTIBIOTICS = {
    90012: "GENTAMICIN",
    90008: "TRIMETHOPRIM/SULFA",
    90017: "CEFTAZIDIME",
    90013: "TOBRAMYCIN",
    90028: "CEFEPIME",
    90029: "MEROPENEM",
    90019: "CIPROFLOXACIN",
    90026: "PIPERACILLIN/TAZO",
    90018: "CEFTRIAXONE",
    90015: "VANCOMYCIN",
    90016: "OXACILLIN",
    90006: "ERYTHROMYCIN",
    90007: "CLINDAMYCIN",
    90025: "LEVOFLOXACIN",
    90011: "TETRACYCLINE",
    90004: "AMPICILLIN",
    90010: "NITROFURANTOIN",
}
# Organism, its name, how often, and the antibiotics against which it is tested.
_ORGANISMS: tuple[tuple[int, str, float, tuple[int, ...]], ...] = (
    (80002, "ESCHERICHIA COLI", 0.30, _GRAM_NEGATIVE),
    (80023, "STAPH AUREUS COAG +", 0.19, _GRAM_POSITIVE),
    (80004, "KLEBSIELLA PNEUMONIAE", 0.14, _GRAM_NEGATIVE),
    (80026, "PSEUDOMONAS AERUGINOSA", 0.10, _GRAM_NEGATIVE[:7]),
    (80053, "ENTEROCOCCUS SP.", 0.08, _ENTEROCOCCAL),
    (80075, "YEAST", 0.09, ()),
    (80155, "STAPHYLOCOCCUS, COAGULASE NEGATIVE", 0.06, _GRAM_POSITIVE),
    (80017, "PROTEUS MIRABILIS", 0.04, _GRAM_NEGATIVE),
)
_DILUTIONS = (
    ("<=1", "<=        ", 1.0, "S"),
    ("<=0.25", "<=        ", 0.25, "S"),
    ("4", "=         ", 4.0, "S"),
    ("=>16", "=>        ", 16.0, "R"),
)
# Specimens: brings the rows to v3.1's 3.99 million.
_PER_ADMISSION = 1.3
_PER_PATIENT = 2.3

_Part = tuple[Ints, Ints, Ints, Ints]


def microbiologyevents(rng: np.random.Generator, chunk: Chunk, people: People, course: Course) -> pl.DataFrame:
    """Rows of a chunk, sorted by patient and time."""
    parts = [_around_infections(rng, people, course), _screens(rng, people), _in_hospital(rng, people), _at_visits(rng, people)]
    patient, admission, time, test = (np.concatenate([part[i] for part in parts]) for i in range(4))
    order = np.lexsort((time, patient))
    patient, admission, time, test = patient[order], admission[order], time[order], test[order]
    positive = rng.random(len(test)) < np.array([entry.positive for entry in _TESTS])[test]
    organism = np.where(positive, pick(rng, [weight for _, _, weight, _ in _ORGANISMS], len(test)), -1)
    tested = np.array([len(panel) for _, _, _, panel in _ORGANISMS])
    specimen, nth = expand(np.where(positive & (test != _MRSA), np.maximum(tested[organism], 1), 1))
    return _rows(rng, chunk, people, patient, admission, time, test, organism, specimen, nth)


def _around_infections(rng: np.random.Generator, people: People, course: Course) -> _Part:
    """Blood twice, and urine or sputum, in the hours before the first antibiotic or soon after it."""
    infected = np.flatnonzero(suspected(people, course))
    several = np.tile([_BLOOD, _BLOOD, _URINE, _SPUTUM], len(infected))
    stay = np.repeat(infected, 4)
    taken = rng.random(len(stay)) < np.tile([0.92, 0.8, 0.7, 0.4], len(infected))
    stay, test = stay[taken], several[taken]
    hour = np.maximum(course.patients.antibiotic_hour[stay] + rng.uniform(-3, 2, len(stay)), -5)
    time = people.stay_start[stay] + (hour * HOUR).astype(np.int64)
    return people.stay_patient[stay], people.stay_admission[stay], time // 60 * 60, test


def _screens(rng: np.random.Generator, people: People) -> _Part:
    stay = np.flatnonzero(rng.random(len(people.stay_id)) < 0.6)
    time = (people.stay_start[stay] + rng.integers(0, 6 * HOUR, len(stay))) // 60 * 60
    return people.stay_patient[stay], people.stay_admission[stay], time, np.full(len(stay), _MRSA)


def _in_hospital(rng: np.random.Generator, people: People) -> _Part:
    length = people.admission_end - people.admission_start
    admission, _ = expand(np.minimum(rng.poisson(_PER_ADMISSION * (length / DAY / 6) ** 0.5), 30))
    time = people.admission_start[admission] + (rng.random(len(admission)) ** 2 * length[admission]).astype(np.int64)
    return people.admission_patient[admission], admission, time // 60 * 60, pick(rng, [entry.weight for entry in _TESTS], len(admission))


def _at_visits(rng: np.random.Generator, people: People) -> _Part:
    patient, _ = expand(rng.poisson(_PER_PATIENT, len(people.subject_id)))
    begin = (people.anchor_year[patient] - 1970) * (DAY * 1461 // 4)
    time = begin + (rng.random(len(patient)) * 365 * DAY).astype(np.int64)
    test = np.where(rng.random(len(patient)) < 0.7, _URINE, pick(rng, [entry.weight for entry in _TESTS], len(patient)))
    return patient, np.full(len(patient), -1), time // 60 * 60, test


def _rows(
    rng: np.random.Generator,
    chunk: Chunk,
    people: People,
    patient: Ints,
    admission: Ints,
    time: Ints,
    test: Ints,
    organism: Ints,
    specimen: Ints,
    nth: Ints,
) -> pl.DataFrame:
    without_time = rng.random(len(time)) < 0.07
    stored = time + (DAY * (1.5 + rng.exponential(1.2, len(time)))).astype(np.int64) // 60 * 60
    grown = (organism >= 0) & (test != _STOOL) & (test != _MRSA)
    kind, which = test[specimen], np.where(grown, organism, -1)[specimen]
    panels = [panel for _, _, _, panel in _ORGANISMS]
    panel_begin = np.cumsum([0, *(len(panel) for panel in panels)])[:-1]
    drug_ids = np.array([drug for panel in panels for drug in panel])
    has_drug: Flags = (which >= 0) & np.array([bool(panel) for panel in panels])[which]
    drug = np.where(has_drug, panel_begin[which] + nth, -1)
    dilution = np.where(has_drug, pick(rng, [0.45, 0.2, 0.15, 0.2], len(drug)), -1)
    found = organism[specimen] >= 0
    comment = np.where(~found, kind, np.where((which < 0) & (kind == _STOOL), len(_TESTS), -1))
    return frame_of(
        {
            "microevent_id": chunk.row_ids(len(specimen)),
            "subject_id": people.subject_id[patient[specimen]],
            "hadm_id": ids(np.where(admission[specimen] < 0, MISSING, people.admission_id[admission[specimen]])),
            "micro_specimen_id": chunk.scattered_ids(len(time), block=1 << 13)[specimen],
            "chartdate": times(time[specimen] // DAY * DAY),
            "charttime": times(np.where(without_time, MISSING, time)[specimen]),
            "spec_itemid": np.array([entry.specimen_id for entry in _TESTS])[kind],
            "spec_type_desc": words([entry.specimen for entry in _TESTS], kind),
            "test_seq": 1,
            "storedate": times(stored[specimen] // DAY * DAY),
            "storetime": times(stored[specimen]),
            "test_itemid": np.array([entry.test_id for entry in _TESTS])[kind],
            "test_name": words([entry.test for entry in _TESTS], kind),
            "org_itemid": words([str(number) for number, _, _, _ in _ORGANISMS], which),
            "org_name": words([name for _, name, _, _ in _ORGANISMS], which),
            "isolate_num": words(["1"], np.where(which >= 0, 0, -1)),
            "ab_itemid": words([str(number) for number in drug_ids], drug),
            "ab_name": words([_ANTIBIOTICS[int(number)] for number in drug_ids], drug),
            "dilution_text": words([text for text, _, _, _ in _DILUTIONS], dilution),
            "dilution_comparison": words([sign for _, sign, _, _ in _DILUTIONS], dilution),
            "dilution_value": words([f"{value:g}" for _, _, value, _ in _DILUTIONS], dilution),
            "interpretation": words([letter for _, _, _, letter in _DILUTIONS], dilution),
            "comments": words([*(entry.negative for entry in _TESTS), "POSITIVE.  "], comment),
        }
    )
