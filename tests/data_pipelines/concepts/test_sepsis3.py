"""Sepsis-3: a suspicion with SOFA of 2 or more from 48 hours before to 24 hours after, and the stays that it belongs to."""

from collections.abc import Iterator

import pytest

from tests.data_pipelines.concepts.bedside import SECOND, Case, Stay, Ward, each, ward


def sick(first: float, points: int = 2, hours: float = 200) -> Stay:
    """SOFA of so many points from an hour on, for 24 hours: platelets."""
    return Stay(hours).read(first, "platelets", {1: 149, 2: 99, 3: 49}[points])


def septic(stay: Stay, *suspicions: float) -> Stay:
    """With an antibiotic and a culture at these hours."""
    return stay.infected(suspicions, suspicions)


# SOFA is that of the end of an hour: platelets of hour 50 score from 51 to 74 hours after admission.
CASES = [
    Case("during the suspicion", septic(sick(50), 60), 60),
    Case("SOFA of 1", septic(sick(50, points=1), 60), None),
    Case("no suspicion", sick(50), None),
    Case("suspicion without organ failure", septic(Stay(), 10), None),
    Case("first SOFA exactly 24 hours after", septic(sick(50), 27), 27),
    Case("first SOFA a second more than 24 hours after", septic(sick(50), 27 - SECOND), None),
    Case("last SOFA exactly 48 hours before", septic(sick(50), 74 + 48), 122),
    Case("last SOFA a second more than 48 hours before", septic(sick(50), 74 + 48 + SECOND), None),
    Case("antibiotic late, culture in time", sick(50).infected([100], [60]), 60),
    Case("culture too early for the organ failure", sick(50).infected([74], [10]), None),
    Case("the first of two suspicions", septic(septic(sick(50), 90), 60), 60),
    Case("the first suspicion is too early", septic(septic(sick(130), 120), 10), 120),
    Case("the earliest culture counts, even where it is too early", septic(septic(sick(50), 60), 10), None),
    Case("organ failure first, suspicion later", septic(sick(10), 40.5), 40),
    Case("at ICU admission", septic(sick(0), 0), 0),
    Case("an hour and a half before ICU admission", septic(sick(0), -1.5), -2),
    Case("half an hour before ICU admission", septic(sick(0), -0.5), -1),
    Case("a whole hour before ICU admission", septic(sick(0), -1), -1),
    Case("23 hours before ICU admission", septic(sick(0), -23), -23),
    Case("more than 23 hours before ICU admission", septic(sick(0), -23 - SECOND), None),
    Case("after the stay", septic(sick(0, hours=24), 50), 50),
    Case("the source says so", Stay(given_sepsis=12), 12),
]


@pytest.fixture(scope="module")
def stays() -> Iterator[Ward]:
    both = septic(sick(50), 60)
    both.given_sepsis = 58
    first, second = Stay(30, subject="one"), Stay(30, subject="one", admitted=24 * 30 + 100)
    others = {"both": both, "first": septic(first.read(5, "platelets", 40), 6), "second": second.read(2, "platelets", 40)}
    with ward({**{case.name: case.stay for case in CASES}, **others}) as run:
        yield run


@pytest.mark.parametrize("case", each(CASES))
def test_onset(stays: Ward, case: Case) -> None:
    assert stays.rows("sepsis3", case.name, "onset_hour") == ([] if case.expected is None else [(case.expected,)])


def test_the_source_is_believed_where_it_is_earlier(stays: Ward) -> None:
    assert stays.rows("sepsis3", "both", "onset_hour") == [(58,)]


def test_a_suspicion_belongs_to_the_stay_whose_organs_fail_with_it(stays: Ward) -> None:
    """A suspicion 94 hours before the second stay: its failing organs are too late for it."""
    assert stays.rows("sepsis3", "first", "onset_hour") == [(6,)]
    assert not stays.rows("sepsis3", "second", "onset_hour")
