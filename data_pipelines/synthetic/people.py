"""Patients, admissions and ICU stays of a chunk: who comes when, how sick, and who dies."""

from dataclasses import dataclass

import numpy as np

from data_pipelines.synthetic.arrays import DAY, HOUR, MISSING, Flags, Ints, Numbers, expand, is_last_of_group, pick, running_sum, sigmoid
from data_pipelines.synthetic.chunks import Chunk

# MIMIC-IV v3.1: 94,458 ICU stays of 65,366 patients in 85,242 admissions; 364,627 patients and 546,028 admissions in all.
_NEW_PATIENT = 65_366 / 94_458
_SAME_ADMISSION = (94_458 - 85_242) / (94_458 - 65_366)
_OTHER_PATIENTS_PER_STAY = (364_627 - 65_366) / 94_458
_OTHER_ADMITTED = 0.528
_OTHER_ADMISSIONS = {"icu": 1.7, "other": 2.213}

CARE_UNITS = {
    "Medical Intensive Care Unit (MICU)": 0.22,
    "Medical/Surgical Intensive Care Unit (MICU/SICU)": 0.17,
    "Cardiac Vascular Intensive Care Unit (CVICU)": 0.16,
    "Surgical Intensive Care Unit (SICU)": 0.14,
    "Trauma SICU (TSICU)": 0.11,
    "Coronary Care Unit (CCU)": 0.11,
    "Neuro Intermediate": 0.05,
    "Neuro Stepdown": 0.02,
    "Neuro Surgical Intensive Care Unit (Neuro SICU)": 0.02,
}
_SURGICAL = np.array([0.02, 0.15, 0.85, 0.4, 0.35, 0.05, 0.05, 0.05, 0.3])
_NEURO = np.array([0, 0, 0, 0.05, 0.25, 0, 0.8, 0.8, 1.0])
_LOS_MEDIAN_DAYS, _LOS_SIGMA, _LOS_MOST_DAYS = 1.97, 1.08, 200


@dataclass(frozen=True)
class People:
    """The patients of a chunk, in the order of their subject ids, their admissions and their ICU stays in the order of time.

    Times are seconds since 1970; ``MISSING`` where there is none. Attributes that begin with ``admission_`` or ``stay_`` have a value
    an admission or an ICU stay, the others a value a patient.
    """

    subject_id: Ints
    female: Flags
    age: Ints
    anchor_year: Ints
    dod: Ints
    admission_patient: Ints
    admission_id: Ints
    admission_start: Ints
    admission_end: Ints
    admission_death: Ints
    admission_icu: Flags
    stay_patient: Ints
    stay_admission: Ints
    stay_id: Ints
    stay_start: Ints
    stay_end: Ints
    stay_unit: Ints
    stay_last_unit: Ints
    stay_acuity: Numbers
    stay_surgical: Flags
    stay_neuro: Flags
    stay_dies: Flags
    stay_dies_later: Flags

    @property
    def stay_hours(self) -> Ints:
        """Hours of each ICU stay, the last one in part."""
        return np.asarray(np.maximum(1, -(-(self.stay_end - self.stay_start) // HOUR)))


def admit(chunk: Chunk) -> People:
    """Draw the people of a chunk."""
    rng = chunk.rng("people")
    n = chunk.stays
    new_patient = rng.random(n) < _NEW_PATIENT
    new_patient[0] = True
    new_admission = new_patient | (rng.random(n) >= _SAME_ADMISSION)
    icu_patient = np.cumsum(new_patient) - 1
    icu_admission = np.cumsum(new_admission) - 1
    patient_rank, n_patients = _mingle(rng, int(icu_patient[-1]) + 1, chunk.share(_OTHER_PATIENTS_PER_STAY))
    stay_patient = patient_rank[icu_patient]

    in_icu = np.zeros(n_patients, dtype=np.bool_)
    in_icu[stay_patient] = True
    years = np.where(in_icu, 65 + 16 * rng.standard_normal(n_patients), 50 + 20 * rng.standard_normal(n_patients))
    age = np.clip(years, 18, 101).astype(np.int64)
    acuity = rng.standard_normal(n) + 0.25 * (age[stay_patient] - 65) / 16
    unit = pick(rng, list(CARE_UNITS.values()), n)
    los = _LOS_MEDIAN_DAYS * np.exp(_LOS_SIGMA * (0.35 * acuity + 0.93 * rng.standard_normal(n)))
    los = np.clip(los, 0.03, _LOS_MOST_DAYS) * DAY

    last_of_patient = is_last_of_group(icu_patient)
    dies_in_hospital = last_of_patient & (rng.random(n) < sigmoid(-2.35 + 1.45 * acuity))
    dies = dies_in_hospital & (rng.random(n) < 0.66)

    # Admissions: those with ICU stays, then the others; sorted by patient and by their order in the patient's life.
    first_stay = np.flatnonzero(new_admission)
    ends_in_death = np.maximum.reduceat(dies_in_hospital, first_stay)
    before = np.where(rng.random(len(first_stay)) < 0.62, 2.0 * rng.random(len(first_stay)), rng.exponential(34, len(first_stay))) * HOUR
    gap = np.where(is_last_of_group(icu_admission), 0, 6 * HOUR + rng.exponential(42 * HOUR, n))
    offset = running_sum(los + gap, icu_admission) + before[icu_admission]
    after = np.where(np.maximum.reduceat(dies, first_stay), 0, 5 * HOUR + rng.exponential(105 * HOUR, len(first_stay)))
    icu_length = before + np.add.reduceat(los + gap, first_stay) + after
    extra = _other_admissions(rng, in_icu)
    patient = np.concatenate((stay_patient[first_stay], extra))
    key = np.concatenate((np.where(ends_in_death, 2.0, _rising(rng, stay_patient[first_stay])), rng.random(len(extra))))
    length = np.concatenate((icu_length, np.exp(np.log(2.6) + 0.9 * rng.standard_normal(len(extra))) * DAY))
    is_icu = np.arange(len(patient)) < len(first_stay)
    fatal = np.concatenate((ends_in_death, np.zeros(len(extra), dtype=np.bool_)))
    order = np.lexsort((key, patient))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    patient, length, is_icu, fatal = patient[order], length[order], is_icu[order], fatal[order]
    last_admission = is_last_of_group(patient)
    fatal |= last_admission & ~is_icu & (rng.random(len(patient)) < 0.012)

    birth_of_record = _year_start(rng.integers(2110, 2191, n_patients)) + rng.integers(0, 365 * DAY, n_patients)
    apart = np.where(last_admission, 0, DAY + rng.exponential(150 * DAY, len(patient)))
    start = (birth_of_record[patient] + running_sum(length + apart, patient)).astype(np.int64) // 60 * 60
    end = (start + length).astype(np.int64) // 60 * 60
    stay_admission = place[icu_admission]
    stay_start = (start[stay_admission] + offset).astype(np.int64)
    stay_end = (stay_start + los).astype(np.int64)
    death = np.where(fatal, end, MISSING)
    dying = np.flatnonzero(dies)
    end[stay_admission[dying]] = death[stay_admission[dying]] = np.maximum(stay_start[dying], stay_end[dying] - 60) // 60 * 60
    reversed_stay = rng.random(n) < 0.0001
    stay_end = np.where(reversed_stay, stay_start - 5 * HOUR, stay_end)

    # In MIMIC a few first stays lie in the year before the anchor, which lets a patient aged 18 be 17 by the books.
    year = _year(birth_of_record) + (rng.random(n_patients) < 0.1)
    return People(
        subject_id=chunk.subject_ids(n_patients),
        female=rng.random(n_patients) < np.where(in_icu, 0.44, 0.53),
        age=np.where(age > 89, 91, age),
        anchor_year=year,
        dod=_date_of_death(rng, n_patients, patient, end, death, stay_patient[last_of_patient], acuity[last_of_patient], age),
        admission_patient=patient,
        admission_id=chunk.scattered_ids(len(patient), leading=2),
        admission_start=start,
        admission_end=end,
        admission_death=death,
        admission_icu=is_icu,
        stay_patient=stay_patient,
        stay_admission=stay_admission,
        stay_id=chunk.scattered_ids(n, leading=3),
        stay_start=stay_start,
        stay_end=stay_end,
        stay_unit=unit,
        stay_last_unit=np.where(rng.random(n) < 0.93, unit, pick(rng, list(CARE_UNITS.values()), n)),
        stay_acuity=acuity,
        stay_surgical=rng.random(n) < _SURGICAL[unit],
        stay_neuro=rng.random(n) < _NEURO[unit],
        stay_dies=dies,
        stay_dies_later=dies_in_hospital & ~dies,
    )


def _mingle(rng: np.random.Generator, icu: int, others: int) -> tuple[Ints, int]:
    """Ranks of the ICU patients among all patients, rising, and the number of all."""
    ranks = rng.choice(icu + others, size=icu, replace=False, shuffle=False)
    return np.sort(ranks).astype(np.int64), icu + others


def _other_admissions(rng: np.random.Generator, in_icu: Flags) -> Ints:
    """Patients of the admissions without ICU stay, one entry an admission."""
    n = len(in_icu)
    icu_patients = rng.geometric(1 / (1 + _OTHER_ADMISSIONS["icu"]), n) - 1
    others = np.where(rng.random(n) < _OTHER_ADMITTED, rng.geometric(1 / _OTHER_ADMISSIONS["other"], n), 0)
    return expand(np.minimum(np.where(in_icu, icu_patients, others), 40))[0]


def _rising(rng: np.random.Generator, patient: Ints) -> Numbers:
    """Uniform keys that rise within a patient."""
    keys = rng.random(len(patient))
    return np.asarray(keys[np.lexsort((keys, patient))])


def _date_of_death(
    rng: np.random.Generator, n: int, patient: Ints, end: Ints, death: Ints, icu_patient: Ints, acuity: Numbers, age: Ints
) -> Ints:
    """Midnight of the day of death, in hospital or up to a year after the last discharge."""
    risk = sigmoid(-3.4 + 0.05 * (age - 55.0))
    risk[icu_patient] = sigmoid(-1.75 + 0.5 * acuity + 0.03 * (age[icu_patient] - 65))
    later = np.minimum(rng.exponential(110, n), 365) * DAY
    dod = np.full(n, MISSING)
    last = is_last_of_group(patient)
    who = patient[last]
    dod[who] = np.where(rng.random(len(who)) < risk[who], end[last] + later[who].astype(np.int64), MISSING)
    dod[patient[death != MISSING]] = death[death != MISSING]
    return np.where(dod == MISSING, MISSING, dod // DAY * DAY)


def _year_start(year: Ints) -> Ints:
    return (year - 1970).astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)


def _year(seconds: Ints) -> Ints:
    return seconds.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
