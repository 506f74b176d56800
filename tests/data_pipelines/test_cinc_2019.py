"""The source cinc_2019: worked stays, the published counts, and what is refused."""

import re
from pathlib import Path

import pytest

from clin_jepa.errors import InputError
from data_pipelines.extract import extract
from tests.data_pipelines.challenge import psv, write_archive, write_folder
from tests.data_pipelines.demo import challenge
from tests.data_pipelines.stores import Store, content, read_store

_QUIET = {"HR": 80, "O2Sat": 97}
_FILES = {
    "training_setA/p000007.psv": psv(
        {"HR": 97, "Temp": 36.5, "FiO2": 0.4, "pH": 7.305},
        {},
        {"HR": 110.5, "MAP": 62, "Creatinine": 1.26, "TroponinI": 0.3},
        *[_QUIET] * 5,
    ),
    # the label begins at hour 2, six hours before the onset
    "training_setA/p000012.psv": psv(*[{**_QUIET, "SepsisLabel": int(hour >= 2), "Gender": 0} for hour in range(30)]),
    "training_setA/p000013.psv": psv(*[_QUIET] * 4),
    "training_setA/p000014.psv": psv(*[{**_QUIET, "Age": 15.2}] * 9),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The worked stays' store."""
    folder = tmp_path_factory.mktemp("cinc_2019")
    return read_store(extract("cinc_2019", write_folder(folder / "raw", _FILES), folder / "store", threads=1))


def test_texts(store: Store) -> None:
    """Hour t is the row ICULOS = t + 1; SOFA: creatinine 1.26 and a mean pressure below 70 score 1 each."""
    assert store.states(7)[:4] == [
        "t=0h | SOFA score: 0; heart rate: 97 bpm; temperature: 36.5 degC; arterial pH: 7.30",
        "t=1h | no observations recorded",
        "t=2h | SOFA score: 2; KDIGO stage: 0; heart rate: 111 bpm; mean blood pressure: 62 mmHg; creatinine: 1.3 mg/dL; "
        "troponin I: 0.30 ng/mL",
        "t=3h | SOFA score: 2; KDIGO stage: 0; heart rate: 80 bpm; oxygen saturation: 97 %",
    ]
    assert store.actions(7)[0] == "t=0h | inspired oxygen fraction: 40 %"
    assert store.stay(7)["static_text"] == "age: 61 years; sex: M; race: UNKNOWN"


def test_cohort(store: Store) -> None:
    assert store.stays["stay_id"].to_list() == [7, 12]
    assert store.dataset["row_counts"]["stays"]["dropped"] == {"shorter_than_6_hours": 1, "younger_than_18": 1}
    assert store.dataset["source_counts"] == {"stays": 4, "hours": 8 + 30 + 4 + 9, "septic_stays": 1}


def test_sepsis_is_the_published_label(store: Store) -> None:
    assert (store.stay(12)["sepsis3"], store.stay(12)["sepsis3_onset_hour"]) == (True, 8)
    assert (store.stay(7)["sepsis3"], store.stay(7)["sepsis3_onset_hour"]) == (False, None)


def test_the_label_changes_no_text_and_no_value(store: Store, tmp_path: Path) -> None:
    """The same stays, none of them septic."""
    files = {name: re.sub(r"\|1$", "|0", text, flags=re.MULTILINE) for name, text in _FILES.items()}
    other = read_store(extract("cinc_2019", write_folder(tmp_path / "raw", files), tmp_path / "store", threads=1))

    assert other.hours.equals(store.hours)
    assert other.values.equals(store.values)
    assert other.stays["static_text"].equals(store.stays["static_text"])
    assert not other.labels.equals(store.labels)


def test_what_is_not_published_is_not_made_up(store: Store) -> None:
    assert store.stays["hospital_death"].null_count() == store.stays["icu_death"].null_count() == 2
    assert store.dataset["tasks"]["hospital_mortality"] == "not available: needs hospital death"
    assert store.dataset["tasks"]["respiratory_failure"] == "not available: needs po2_arterial"
    assert set(store.labels["task"]) <= {"kidney_failure", "prolonged_stay", "sepsis", "sepsis_onset"}


def test_an_archive_is_as_good_as_a_folder(store: Store, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "raw", "training_setA.tar.xz", _FILES)
    assert content(extract("cinc_2019", archive, tmp_path / "store", threads=1)) == content(store.path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme.md": "hello"}, r"holds no stay file \(\*\.psv, or a \.tar\.xz of them\)"),
        ({"p000001.psv": "HR|Temp\n80|37\n"}, r"p000001\.psv is no stay of the Challenge 2019"),
        ({"other.psv": psv(_QUIET)}, r"other\.psv is no stay of the Challenge 2019"),
        ({"a/p000001.psv": psv(_QUIET), "b/p000001.psv": psv(_QUIET)}, r"p000001\.psv is there twice"),
        ({"training.tar.xz": "no archive"}, r"training\.tar\.xz is truncated or damaged: download it again"),
    ],
)
def test_bad_input(tmp_path: Path, files: dict[str, str], message: str) -> None:
    raw = write_folder(tmp_path / "raw", files)
    with pytest.raises(InputError, match=message):
        extract("cinc_2019", raw, tmp_path / "store", threads=1)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_published_counts_of_set_a(tmp_path: Path) -> None:
    store = read_store(extract("cinc_2019", challenge("cinc-challenge-2019"), tmp_path / "store"))
    assert store.dataset["source_counts"] == {"stays": 20_336, "hours": 790_215, "septic_stays": 1_790}
    assert store.dataset["row_counts"]["stays"]["in"] == 20_336
    assert store.stays["sepsis3"].sum() == 1_790
