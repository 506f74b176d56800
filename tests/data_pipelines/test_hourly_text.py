"""The hourly texts of the worked hospital, stated by hand, and the rules that keep outcomes, dates and identities out of them."""

import re

from tests.data_pipelines.stores import Store

NOTHING_SEEN, NOTHING_DONE = "no observations recorded", "no interventions recorded"


def test_states_in_clinical_order(store: Store) -> None:
    """SOFA: 1 for creatinine 1.3, from hour 1 on 4 more for norepinephrine above 0.1."""
    assert store.states(301) == [
        "t=0h | SOFA score: 1; KDIGO stage: 0; heart rate: 88 bpm; heart rate: 91 bpm; heart rhythm: ST (Sinus Tachycardia); "
        "temperature: 37.0 degC; "
        "temperature: 38.2 degC; creatinine: 1.3 mg/dL; GCS verbal response: intubated; weight: 68.0 kg",
        "t=1h | SOFA score: 5; KDIGO stage: 0; heart rate: 90 bpm; arterial pH: 7.30; arterial base excess: 0 mEq/L",
        "t=2h | SOFA score: 5; KDIGO stage: 0; non-arterial pH: 7.25; lactate: 2.3 mmol/L; urine output: 60 mL; urine output: 35 mL",
        "t=3h | SOFA score: 5; KDIGO stage: 0; non-arterial pH: 7.31",
        f"t=4h | {NOTHING_SEEN}",
        f"t=5h | {NOTHING_SEEN}",
        f"t=6h | {NOTHING_SEEN}",
        "t=7h | SOFA score: 5; KDIGO stage: 0; heart rate: 98 bpm",
    ]


def test_actions_in_clinical_order(store: Store) -> None:
    assert store.actions(301) == [
        "t=0h | lactated Ringer: 100 mL/hour",
        "t=1h | norepinephrine: 0.12 mcg/kg/min; vasopressin: 0.04 units/min",
        "t=2h | norepinephrine: 0.12 mcg/kg/min; vasopressin: 0.04 units/min; invasive ventilation: ongoing; "
        "oxygen device: Endotracheal tube left 22; inspired oxygen fraction: 40 %; inspired oxygen fraction: 50 %; "
        "ventilator mode: CPAP/PSV",
        "t=3h | invasive ventilation: ongoing; propofol dose: 50 mg; sodium chloride 0.9% bolus: 500 mL",
        "t=4h | invasive ventilation: ongoing; vancomycin: given",
        "t=5h | invasive ventilation: ongoing",
        "t=6h | invasive ventilation: ongoing",
        "t=7h | invasive ventilation: ongoing",
    ]


def test_an_infusion_without_a_usable_number_still_speaks(store: Store) -> None:
    actions = store.actions(302)
    assert actions[1] == "t=1h | norepinephrine: given"  # in a unit that needs the weight
    assert actions[4] == "t=4h | fentanyl: given"  # 75,000 mcg/hour
    assert store.value(302, 1, "norepinephrine") == store.value(302, 4, "fentanyl") == ()


def test_two_sessions_of_one_procedure_keep_their_own_ends(store: Store, meds_store: Store) -> None:
    for one in (store, meds_store):
        assert [hour for hour, text in enumerate(one.actions(302)) if "hemodialysis: ongoing" in text] == [3, 8]


def test_clinical_order_goes_before_time(store: Store) -> None:
    assert (
        store.states(302)[0] == "t=0h | SOFA score: 1; heart rate: 110 bpm; systolic blood pressure: 95 mmHg; mean blood pressure: 61 mmHg"
    )


def test_counts_are_the_fragments_of_the_line(store: Store) -> None:
    for text, counted in (("state_text", "n_observations"), ("action_text", "n_actions")):
        for line, n in store.hours.select(text, counted).rows():
            body = line.split(" | ")[1]
            assert n == (0 if body in (NOTHING_SEEN, NOTHING_DONE) else body.count("; ") + 1)


def test_every_hour_is_there(store: Store) -> None:
    for stay, n_hours in store.stays.select("stay_id", "n_hours").rows():
        hours = store.hours.filter(store.hours["stay_id"] == stay)
        assert hours["hour"].to_list() == list(range(n_hours))
        assert all(text.startswith(f"t={hour}h | ") for hour, text in hours.select("hour", "state_text").rows())


def _texts(store: Store) -> list[str]:
    return [*store.hours["state_text"], *store.hours["action_text"], *store.stays["static_text"]]


def test_no_text_holds_a_date_a_time_or_an_identifier(store: Store) -> None:
    identifier = re.compile(r"\b(10[1-9]|20[1-9]|30[1-9]|314|324|224)\b")  # subjects, admissions and stays of the worked hospital
    for text in _texts(store):
        assert not re.search(r"\d{4}-\d\d|\d\d:\d\d|21[4-6]\d", text)
        assert not identifier.search(text)


def test_no_text_holds_an_outcome_or_an_unmapped_item(store: Store) -> None:
    for text in _texts(store):
        assert not re.search(r"death|died|dead|expire|discharge|diagnos|Jane", text, re.IGNORECASE)


def test_texts_are_plain_ascii(store: Store) -> None:
    assert all(text.isascii() and text.isprintable() for text in _texts(store))


def test_tables_hold_no_calendar_time(store: Store) -> None:
    for table in (store.stays, store.hours, store.values):
        assert not [name for name, kind in table.schema.items() if kind.is_temporal()]
