"""Suspected infection: antibiotics and cultures, their 24 and 72 hours, ties, and cultures of a date only."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward

# ICU admission is at midnight: the hours 0, 24, 48 ... begin a day. Expected: (antibiotic, suspicion) in hours.
CASES = [
    Case("antibiotic alone", Stay().infected([10]), []),
    Case("culture alone", Stay().infected(cultures=[10]), []),
    Case("culture 5 hours after the antibiotic", Stay().infected([10], [15]), [(10, 10)]),
    Case("culture exactly 24 hours after", Stay().infected([10], [34]), [(10, 10)]),
    Case("culture a second more than 24 hours after", Stay().infected([10], [34 + SECOND]), []),
    Case("antibiotic 5 hours after the culture", Stay().infected([15], [10]), [(15, 10)]),
    Case("antibiotic exactly 72 hours after", Stay().infected([82], [10]), [(82, 10)]),
    Case("antibiotic a second more than 72 hours after", Stay().infected([82 + SECOND], [10]), []),
    Case("both at one time", Stay().infected([10], [10]), [(10, 10)]),
    Case("the earliest culture before", Stay().infected([20], [12, 8, 16]), [(20, 8)]),
    Case("the earliest culture within 72 hours", Stay().infected([80], [5, 9]), [(80, 9)]),
    Case("a culture before goes before one after", Stay().infected([20], [10, 21]), [(20, 10)]),
    Case("two cultures after", Stay().infected([20], [25, 30]), [(20, 20)]),
    Case("two antibiotics of one time", Stay().infected([20, 20], [15]), [(20, 15)]),
    Case("two antibiotics, one culture between", Stay().infected([10, 20], [15]), [(10, 10), (20, 15)]),
    Case("each antibiotic by itself", Stay().infected([10, 200], [15]), [(10, 10)]),
    Case("before ICU admission", Stay().infected([-20], [-30]), [(-20, -30)]),
    # Dates: the culture of a day counts from the beginning of it.
    Case("date of the antibiotic's day", Stay().infected([34], dates=[24]), [(34, 24)]),
    Case("date at the very second of the antibiotic", Stay().infected([24], dates=[24]), [(24, 24)]),
    Case("date of the day before", Stay().infected([34], dates=[0]), [(34, 0)]),
    Case("date three days before", Stay().infected([72 + 23], dates=[0]), [(95, 0)]),
    Case("date four days before", Stay().infected([96], dates=[0]), []),
    Case("date of the day after", Stay().infected([10], dates=[24]), [(10, 10)]),
    Case("date of the day after, antibiotic at midnight", Stay().infected([0], dates=[24]), [(0, 0)]),
    Case("date two days after", Stay().infected([23], dates=[48]), []),
    Case("date and time before: the earlier", Stay().infected([34], [30], [24]), [(34, 24)]),
    Case("time after, date before", Stay().infected([34], [40], [0]), [(34, 0)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    with ward(CASES) as run:
        yield run


_SINCE = "(epoch_us({}) - epoch_us(c.intime)) / 3.6e9"


@pytest.mark.parametrize("case", each(CASES))
def test_suspected_infection(stays: Ward, case: Case) -> None:
    relation = "(SELECT c.stay_id, c.intime, i.* FROM suspected_infection i JOIN cohort c USING (subject_id)) c"
    found = stays.rows(relation, case.name, _SINCE.format("antibiotic_time"), _SINCE.format("suspected_time"))
    assert found == [pytest.approx(pair) for pair in case.expected]


def test_patients_do_not_mix() -> None:
    with ward({"antibiotic": Stay().infected([10]), "culture": Stay().infected(cultures=[11])}) as run:
        assert run.database.execute("SELECT count(*) FROM suspected_infection") == [(0,)]
