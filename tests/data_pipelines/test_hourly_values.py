"""The numeric grid: hour bins and their edges, overlaps, units, plausible ranges."""

from pathlib import Path

import pytest

from data_pipelines.extract import extract
from tests.data_pipelines.stores import Store, read_store


def test_bin_edges(store: Store) -> None:
    """A reading at admission is in hour 0, one at 1:00:00 in hour 1, one at 0:59:59 in hour 0, one just before discharge counts."""
    assert store.value(301, 0, "heart_rate") == (89.0, 91.0, 88.0, 91.0, 3)
    assert store.value(301, 1, "heart_rate") == (90.0, 90.0, 90.0, 90.0, 1)
    assert store.value(301, 7, "heart_rate") == (98.0, 98.0, 98.0, 98.0, 1)


def test_readings_outside_the_stay_are_dropped_and_counted(store: Store) -> None:
    """Heart rate 70 a second before admission, 99 at the moment of discharge, and sodium drawn before admission."""
    assert store.dataset["row_counts"]["observations"]["dropped"]["outside_stay"] == 3
    assert not {70.0, 99.0} & set(store.values.filter(store.values["stay_id"] == 301)["last"])


def test_nothing_counts_after_hour_335(store: Store) -> None:
    assert store.value(309, 335, "heart_rate") == (81.0, 81.0, 81.0, 81.0, 1)
    assert store.dataset["row_counts"]["observations"]["dropped"]["after_last_hour"] == 1


def test_the_same_row_twice_counts_once(store: Store) -> None:
    assert store.dataset["row_counts"]["observations"]["dropped"]["repeated"] == 1


@pytest.mark.parametrize(("hour", "expected"), [(0, ()), (1, (0.1249,) * 4 + (1,)), (2, (0.1249,) * 4 + (1,)), (3, ())])
def test_an_interval_counts_in_every_hour_it_overlaps(store: Store, hour: int, expected: tuple[float, ...]) -> None:
    """Norepinephrine from 1.5 h to 3 h: hours 1 and 2, not 3."""
    assert store.value(301, hour, "norepinephrine") == expected


def test_an_interval_is_cut_to_the_stay(store: Store) -> None:
    """Ringer from 1.25 h before admission to 0.5 h speaks in hour 0; what ended at admission does not."""
    assert store.value(301, 0, "lactated_ringers") == (100.0, 100.0, 100.0, 100.0, 1)
    assert store.dataset["row_counts"]["actions"]["dropped"]["outside_stay"] == 1


def test_a_bolus_counts_in_its_own_hour(store: Store) -> None:
    """The 500 ml bolus at 3.99 h lasts a minute, into hour 4, and still is of hour 3."""
    assert store.value(301, 3, "sodium_chloride_0_9_bolus") == (500.0, 500.0, 500.0, 500.0, 1)
    assert store.value(301, 4, "sodium_chloride_0_9_bolus") == ()


def test_carriers_and_stopped_infusions_are_no_actions(store: Store) -> None:
    dropped = store.dataset["row_counts"]["actions"]["dropped"]
    assert (dropped["carrier_fluid"], dropped["nothing_given"]) == (1, 1)
    assert store.value(301, 1, "sodium_chloride_0_9") == ()


@pytest.mark.parametrize(
    ("hour", "variable", "last"),
    [
        (0, "weight", 68.0389),  # 150 lb
        (2, "fio2", 50.0),  # charted as 0.4, then as 50 %
        (1, "vasopressin", 0.04),  # 2.4 units/hour
        (0, "temperature", 38.2),  # charted in degC
    ],
)
def test_units(store: Store, hour: int, variable: str, last: float) -> None:
    assert store.value(301, hour, variable)[1] == last


def test_fahrenheit_and_celsius_meet_in_one_variable(store: Store) -> None:
    assert store.value(301, 0, "temperature") == (37.6, 38.2, 37.0, 38.2, 2)


def test_a_fraction_of_oxygen_becomes_percent(store: Store) -> None:
    assert store.value(301, 2, "fio2") == (45.0, 50.0, 40.0, 50.0, 2)


def test_implausible_readings_are_dropped_and_counted(store: Store) -> None:
    """37 charted as Fahrenheit; heart rate 999 was the whole of stay 308. An inspired oxygen of 5 % is an action."""
    counts = store.dataset["row_counts"]
    assert counts["observations"]["dropped"]["implausible"] == 2
    assert counts["actions"]["dropped"]["implausible"] == 1
    assert counts["action_numbers"]["dropped"] == {"implausible_or_unknown_unit": 2}


def test_blood_gases_follow_their_specimen(store: Store) -> None:
    assert store.value(301, 1, "ph_arterial")[1] == 7.305
    assert store.value(301, 2, "ph_other")[1] == 7.25
    assert store.value(301, 3, "ph_other")[1] == 7.31  # no specimen stated
    assert store.value(301, 2, "lactate")[1] == 2.3  # one variable, whatever the specimen


def test_every_row_is_accounted_for(store: Store) -> None:
    for counts in store.dataset["row_counts"].values():
        assert counts["in"] == counts["kept"] + sum(counts["dropped"].values())


def test_storetime_bins_a_result_when_it_became_known(hospital_folder: Path, tmp_path: Path, store: Store) -> None:
    late = read_store(extract("mimic_iv", hospital_folder, tmp_path / "store", time_policy="storetime"))
    assert store.value(301, 0, "creatinine") and not store.value(301, 2, "creatinine")
    assert late.value(301, 2, "creatinine") and not late.value(301, 0, "creatinine")
    assert late.value(301, 0, "sodium") and not store.value(301, 0, "sodium")  # drawn before the ICU, known in it
    assert late.value(301, 0, "heart_rate") == store.value(301, 0, "heart_rate")  # no store time: the chart time
    assert (late.dataset["time_policy"], store.dataset["time_policy"]) == ("storetime", "charttime")
    assert late.dataset["settings_hash"] != store.dataset["settings_hash"]
