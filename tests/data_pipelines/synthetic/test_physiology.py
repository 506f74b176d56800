"""The hidden course moves what is seen: severity tells deaths, treatments follow findings and act back."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from data_pipelines.synthetic.arrays import MISSING, Flags, Ints, Numbers
from data_pipelines.synthetic.bedside import observe
from data_pipelines.synthetic.chunks import chunks_of
from data_pipelines.synthetic.infections import suspected
from data_pipelines.synthetic.people import admit
from data_pipelines.synthetic.physiology import run_course
from tests.data_pipelines.synthetic.conftest import Tables

_STAYS = 960


@dataclass(frozen=True)
class Cohort:
    stay: Ints
    hour: Ints
    state: dict[str, Numbers]
    seen: dict[str, Numbers]
    dies_in_hospital: Flags
    dies_in_icu: Flags
    infected: Flags

    def any_hour(self, flag: Flags) -> Flags:
        return np.bincount(self.stay, flag, _STAYS) > 0


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """960 stays: their courses and what is seen of them, no files."""
    stay, hour, state, seen, hospital, icu, infected = [], [], [], [], [], [], []
    for chunk in chunks_of(_STAYS, seed=11):
        people = admit(chunk)
        course = run_course(chunk.rng("course"), people)
        stay.append(course.stay + chunk.first)
        hour.append(course.hour)
        state.append(course.state)
        seen.append(observe(chunk.rng("bedside"), people, course).quantity)
        hospital.append((people.admission_death != MISSING)[people.stay_admission])
        icu.append(people.stay_dies)
        infected.append(suspected(people, course))
    return Cohort(
        np.concatenate(stay),
        np.concatenate(hour),
        {name: np.concatenate([part[name] for part in state]) for name in state[0]},
        {name: np.concatenate([part[name] for part in seen]) for name in seen[0]},
        np.concatenate(hospital),
        np.concatenate(icu),
        np.concatenate(infected),
    )


def _auroc(score: Numbers, label: Flags) -> float:
    rank = np.argsort(np.argsort(score, kind="stable"), kind="stable") + 1.0
    positive = int(label.sum())
    return float((rank[label].sum() - positive * (positive + 1) / 2) / (positive * (len(label) - positive)))


def _first_day(cohort: Cohort, name: str, worst: np.ufunc) -> Numbers:
    rows = cohort.hour < 24
    summary = np.full(_STAYS, -np.inf if worst is np.maximum else np.inf)
    worst.at(summary, cohort.stay[rows], cohort.seen[name][rows])
    return summary


def test_mortality(cohort: Cohort) -> None:
    assert 0.085 < cohort.dies_in_hospital.mean() < 0.145
    assert 0.05 < cohort.dies_in_icu.mean() < 0.1


def test_the_first_day_tells_who_dies_in_hospital(cohort: Cohort) -> None:
    pressure, lactate = _first_day(cohort, "mbp", np.minimum), _first_day(cohort, "lactate", np.maximum)
    consciousness, creatinine = _first_day(cohort, "gcs_motor", np.minimum), _first_day(cohort, "creatinine", np.maximum)
    score = -pressure / 10 + 2 * np.log(lactate) - consciousness / 2 + np.log(creatinine)
    assert _auroc(score, cohort.dies_in_hospital) > 0.7


def test_severity_now_tells_severity_a_day_later(cohort: Cohort) -> None:
    at = np.flatnonzero((cohort.hour >= 24) & (cohort.hour < 240))
    assert (cohort.stay[at] == cohort.stay[at - 24]).all()
    later, now = cohort.state["severity"][at], cohort.state["severity"][at - 24]
    assert np.corrcoef(later, now)[0, 1] > 0.5


def test_shares_of_treated_stays(cohort: Cohort) -> None:
    assert 0.22 < cohort.any_hour(cohort.state["norepinephrine_equivalent"] > 0).mean() < 0.4
    assert 0.3 < cohort.any_hour(cohort.state["ventilated"] > 0).mean() < 0.5
    assert 0.015 < cohort.any_hour(cohort.state["crrt"] > 0).mean() < 0.06
    assert 0.4 < cohort.infected.mean() < 0.62


def test_vasopressors_follow_low_pressure_and_raise_it(cohort: Cohort) -> None:
    dose, pressure = cohort.state["norepinephrine_equivalent"], cohort.state["mbp"]
    start = np.flatnonzero((dose[1:] > 0) & (dose[:-1] == 0) & (cohort.hour[1:] > 0)) + 1
    assert len(start) > 100
    assert (pressure[start - 1] < 62).all()
    within = start[start + 2 < len(pressure)]
    within = within[(cohort.stay[within + 2] == cohort.stay[within]) & (dose[within + 2] > 0)]
    assert pressure[within + 2].mean() > pressure[within - 1].mean() + 5


def test_creatinine_rises_before_renal_replacement_and_falls_under_it(cohort: Cohort) -> None:
    crrt, creatinine = cohort.state["crrt"] > 0, cohort.state["creatinine"]
    start = np.flatnonzero(crrt[1:] & ~crrt[:-1] & (cohort.hour[1:] > 12)) + 1
    first = start - cohort.hour[start]
    acute = creatinine[first] < 3
    assert acute.sum() >= 5
    assert (creatinine[start] > creatinine[first])[acute].all()
    on = np.flatnonzero(crrt[24:] & crrt[:-24] & (cohort.hour[24:] >= 24)) + 24
    fell = creatinine[on] < creatinine[on - 24]
    assert fell.mean() > 0.6


def test_ventilated_patients_have_no_voice(cohort: Cohort) -> None:
    tube = cohort.state["ventilated"] > 0
    assert (cohort.seen["gcs_verbal"][tube] == 0).all()
    assert (cohort.seen["gcs_verbal"][~tube] > 0).all()


def test_sicker_patients_are_measured_more(tables: Tables) -> None:
    labs, stays = tables["hosp/labevents"], tables["icu/icustays"]
    died = tables["hosp/admissions"].filter(pl.col("hospital_expire_flag") == "1").select("hadm_id")
    stays = stays.with_columns(pl.col("los").cast(pl.Float64))
    inside = labs.join(stays.select("hadm_id", "intime", "outtime"), on="hadm_id").filter(
        pl.col("charttime").is_between(pl.col("intime"), pl.col("outtime"))
    )
    per_day = {}
    for how in ("semi", "anti"):
        per_day[how] = len(inside.join(died, on="hadm_id", how=how)) / stays.join(died, on="hadm_id", how=how)["los"].sum()
    assert per_day["semi"] > 1.15 * per_day["anti"]


def test_cultures_are_taken_around_the_first_antibiotic(tables: Tables) -> None:
    given = tables["icu/inputevents"].filter(pl.col("ordercategoryname") == "08-Antibiotics (IV)")
    given = given.filter(pl.col("itemid") != "225850").with_columns(pl.col("starttime").str.to_datetime())
    first = given.group_by("subject_id", "stay_id").agg(pl.col("starttime").min())
    cultures = tables["hosp/microbiologyevents"].filter(pl.col("spec_type_desc") == "BLOOD CULTURE")
    cultures = cultures.select("subject_id", pl.col("chartdate").str.to_datetime())
    near = first.join(cultures, on="subject_id").filter((pl.col("starttime") - pl.col("chartdate")).dt.total_hours().is_between(-24, 72))
    assert near["stay_id"].n_unique() > 0.8 * len(first)
    prescribed = tables["hosp/prescriptions"].select("subject_id", "drug")
    assert len(first.join(prescribed.filter(pl.col("drug") == "Vancomycin"), on="subject_id", how="semi")) > 0.2 * len(first)
