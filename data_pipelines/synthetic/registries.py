"""hosp/patients, hosp/admissions, icu/icustays and the dictionaries of items."""

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import DAY, HOUR, MISSING, pick
from data_pipelines.synthetic.catalogue import read_frame
from data_pipelines.synthetic.people import CARE_UNITS, People
from data_pipelines.synthetic.tables import COLUMNS, dates, frame_of, times, words

_YEAR_GROUPS = {"2008 - 2010": 0.26, "2011 - 2013": 0.21, "2014 - 2016": 0.2, "2017 - 2019": 0.19, "2020 - 2022": 0.14}
_RACES = {
    "WHITE": 0.62,
    "BLACK/AFRICAN AMERICAN": 0.14,
    "UNKNOWN": 0.05,
    "HISPANIC/LATINO - PUERTO RICAN": 0.03,
    "OTHER": 0.04,
    "ASIAN - CHINESE": 0.03,
    "WHITE - OTHER EUROPEAN": 0.03,
    "HISPANIC OR LATINO": 0.02,
    "ASIAN": 0.02,
    "BLACK/CAPE VERDEAN": 0.01,
    "UNABLE TO OBTAIN": 0.01,
}
_TYPES = {
    "EW EMER.": 0.34,
    "EU OBSERVATION": 0.22,
    "OBSERVATION ADMIT": 0.15,
    "URGENT": 0.1,
    "SURGICAL SAME DAY ADMISSION": 0.08,
    "DIRECT OBSERVATION": 0.04,
    "DIRECT EMER.": 0.04,
    "ELECTIVE": 0.02,
    "AMBULATORY OBSERVATION": 0.01,
}
_ICU_TYPES = (0.56, 0.0, 0.12, 0.17, 0.09, 0.0, 0.04, 0.02, 0.0)
_FROM = {
    "EMERGENCY ROOM": 0.5,
    "PHYSICIAN REFERRAL": 0.25,
    "TRANSFER FROM HOSPITAL": 0.12,
    "WALK-IN/SELF REFERRAL": 0.06,
    "CLINIC REFERRAL": 0.04,
    "PROCEDURE SITE": 0.03,
}
_TO = {
    "HOME": 0.42,
    "HOME HEALTH CARE": 0.24,
    "SKILLED NURSING FACILITY": 0.15,
    "REHAB": 0.06,
    "CHRONIC/LONG TERM ACUTE CARE": 0.05,
    "HOSPICE": 0.03,
    "AGAINST ADVICE": 0.02,
}
_INSURANCE = {"Medicare": 0.46, "Private": 0.33, "Medicaid": 0.19, "Other": 0.02}
_LANGUAGE = {"English": 0.9, "Spanish": 0.04, "Russian": 0.02, "Chinese": 0.02, "Portuguese": 0.02}
_MARITAL = {"MARRIED": 0.44, "SINGLE": 0.38, "WIDOWED": 0.1, "DIVORCED": 0.08}


def patients(rng: np.random.Generator, people: People) -> pl.DataFrame:
    """Rows of hosp/patients."""
    n = len(people.subject_id)
    return frame_of(
        {
            "subject_id": people.subject_id,
            "gender": words(["M", "F"], people.female.astype(np.int64)),
            "anchor_age": people.age,
            "anchor_year": people.anchor_year,
            "anchor_year_group": _drawn(rng, _YEAR_GROUPS, n),
            "dod": dates(people.dod),
        }
    )


def admissions(rng: np.random.Generator, people: People) -> pl.DataFrame:
    """Rows of hosp/admissions."""
    patient = people.admission_patient
    n, n_patients = len(patient), len(people.subject_id)
    kind = np.where(people.admission_icu, pick(rng, _ICU_TYPES, n), pick(rng, list(_TYPES.values()), n))
    by_emergency = np.isin(kind, [0, 1, 2]) & (rng.random(n) < 0.95)
    registered = people.admission_start - (rng.exponential(4 * HOUR, n)).astype(np.int64) // 60 * 60 - HOUR
    left = people.admission_start + (rng.exponential(HOUR, n)).astype(np.int64) // 60 * 60
    died = people.admission_death != MISSING
    goes_to = np.where(died, len(_TO), pick(rng, list(_TO.values()), n))
    return frame_of(
        {
            "subject_id": people.subject_id[patient],
            "hadm_id": people.admission_id,
            "admittime": times(people.admission_start),
            "dischtime": times(people.admission_end),
            "deathtime": times(people.admission_death),
            "admission_type": words(list(_TYPES), kind),
            "admit_provider_id": words([f"P{i * 613 % 90_000 + 10_000}" for i in range(400)], rng.integers(0, 400, n)),
            "admission_location": words(list(_FROM), np.where(by_emergency, 0, pick(rng, list(_FROM.values()), n))),
            "discharge_location": words([*_TO, "DIED"], goes_to),
            "insurance": _drawn(rng, _INSURANCE, n),
            "language": _drawn(rng, _LANGUAGE, n_patients).gather(patient),
            "marital_status": _drawn(rng, _MARITAL, n_patients).gather(patient),
            "race": _drawn(rng, _RACES, n_patients).gather(patient),
            "edregtime": times(np.where(by_emergency, registered, MISSING)),
            "edouttime": times(np.where(by_emergency, left, MISSING)),
            "hospital_expire_flag": died.astype(np.int64),
        }
    )


def icustays(people: People) -> pl.DataFrame:
    """Rows of icu/icustays."""
    units: list[str | None] = list(CARE_UNITS)
    return frame_of(
        {
            "subject_id": people.subject_id[people.stay_patient],
            "hadm_id": people.admission_id[people.stay_admission],
            "stay_id": people.stay_id,
            "first_careunit": words(units, people.stay_unit),
            "last_careunit": words(units, people.stay_last_unit),
            "intime": times(people.stay_start),
            "outtime": times(people.stay_end),
            "los": (people.stay_end - people.stay_start) / DAY,
        }
    )


def d_labitems() -> pl.DataFrame:
    """Rows of hosp/d_labitems: the items that occur."""
    return read_frame("laboratory_items").select(COLUMNS["hosp/d_labitems"]).sort("itemid")


def d_items() -> pl.DataFrame:
    """Rows of icu/d_items: the items that occur."""
    tables = {
        "charted_items": ("chartevents", "Text"),
        "given_items": ("inputevents", "Solution"),
        "output_items": ("outputevents", "Numeric"),
        "procedure_items": ("procedureevents", "Processes"),
    }
    frames = []
    for name, (table, kind) in tables.items():
        frame = read_frame(name).with_columns(pl.lit(table).alias("linksto"))
        frame = frame if "param_type" in frame.columns else frame.with_columns(pl.lit(kind).alias("param_type"))
        frames.append(frame.select(column for column in COLUMNS["icu/d_items"] if column in frame.columns))
    return pl.concat(frames, how="diagonal").unique("itemid", keep="first", maintain_order=True).sort("itemid")


def _drawn(rng: np.random.Generator, choices: dict[str, float], n: int) -> pl.Series:
    return words(list(choices), pick(rng, list(choices.values()), n))
