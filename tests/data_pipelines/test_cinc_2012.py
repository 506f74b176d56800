"""The source cinc_2012: worked stays, the published counts, and what is refused."""

import shutil
from pathlib import Path

import polars as pl
import pytest

import data_pipelines
from clin_jepa.errors import InputError
from data_pipelines.extract import extract
from tests.data_pipelines.challenge import txt, write_archive, write_folder
from tests.data_pipelines.demo import challenge
from tests.data_pipelines.stores import Store, content, read_store

_ABOUT = ("00:00,RecordID,1", "00:00,Age,54", "00:00,Gender,0", "00:00,Height,-1", "00:00,ICUType,4", "00:00,Weight,-1")
_FILES = {
    "set-a/132539.txt": txt(
        *_ABOUT,
        "00:07,GCS,15",
        "00:07,HR,73",
        "00:07,NIMAP,92.33",
        "01:59,FiO2,0.5",
        "02:00,PaO2,90",
        "02:00,MechVent,1",
        "02:30,Urine,120",
        "47:59,HR,80",
        "48:00,HR,99",
    ),
    "set-a/132540.txt": txt(*_ABOUT[:2], "00:00,Gender,1", "00:30,HR,88", "01:00,Cholesterol,200"),
    "set-b/142675.txt": txt(*_ABOUT, "00:30,HR,90"),
    "Outcomes-a.txt": "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n132539,6,1,5,-1,0\n132540,16,8,8,10,1\n",
    "Outcomes-b.txt": "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n142675,6,1,5,-1,0\n",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The worked stays' store."""
    folder = tmp_path_factory.mktemp("cinc_2012")
    return read_store(extract("cinc_2012", write_folder(folder / "raw", _FILES), folder / "store", threads=1))


def test_texts(store: Store) -> None:
    """-1 is missing; PaO2/FiO2 of 180 under ventilation scores 3; what is charted at 48:00 is outside."""
    assert store.states(132539)[0] == "t=0h | SOFA score: 0; heart rate: 73 bpm; mean blood pressure: 92 mmHg; GCS total: 15"
    assert store.actions(132539)[1:3] == ["t=1h | inspired oxygen fraction: 50 %", "t=2h | invasive ventilation: ongoing"]
    ventilated = [hour for hour, text in enumerate(store.actions(132539)) if "invasive ventilation: ongoing" in text]
    assert ventilated == [2, 3, 4, 5, 6, 7]  # charted once, at 02:00
    assert store.states(132539)[2].startswith("t=2h | SOFA score: 3; ")
    assert store.states(132539)[47] == "t=47h | SOFA score: 0; heart rate: 80 bpm"
    assert not any("99 bpm" in text for text in store.states(132539))
    assert store.stay(132539)["static_text"] == "age: 54 years; sex: F; race: UNKNOWN"


def test_rows_are_accounted_for(store: Store) -> None:
    counts = store.dataset["row_counts"]
    assert counts["stay_rows"]["dropped"]["unmapped_parameter"] == 4 + 4 + 4  # who the patient is, and cholesterol
    assert counts["observations"]["dropped"] == {"no_value": 4, "outside_stay": 1}  # height and weight of -1; 48:00


def test_outcomes(store: Store) -> None:
    """Day of death since ICU admission; set b is held out."""
    assert store.stay(132540)["hospital_death"] is True
    assert store.stay(132540)["death_hour"] == 240.0
    assert store.stay(132539)["hospital_death"] is False
    assert store.stays["icu_death"].null_count() == 3
    assert store.stay(142675)["split"] == "held_out"
    assert {store.stay(132539)["split"], store.stay(132540)["split"]} <= {"train", "tuning"}
    labels = {(stay, task): label for task, stay, label in store.labels.select("task", "stay_id", "label").rows()}
    assert labels[132540, "hospital_mortality"] is True
    assert labels[132540, "death_within_14_days"] is True
    assert labels[132540, "death_within_7_days"] is False
    assert store.dataset["tasks"]["decompensation"] == "not available: needs hour of death"


def test_an_outcome_changes_no_text_and_no_value(tmp_path: Path) -> None:
    """Twins: one lives, one dies within the hours that are spoken, one later; scores and length of stay of the outcome file differ, too."""
    outcomes = ("1,6,1,5,-1,0", "2,30,18,1,1,1", "3,16,8,90,30,1")
    stays = {f"set-a/{number}.txt": _FILES["set-a/132539.txt"] for number in (1, 2, 3)}
    header = _FILES["Outcomes-a.txt"].splitlines()[0]
    raw = write_folder(tmp_path / "raw", {**stays, "Outcomes-a.txt": "\n".join([header, *outcomes]) + "\n"})
    store = read_store(extract("cinc_2012", raw, tmp_path / "store", threads=1))

    for twin in (2, 3):
        assert (store.states(twin), store.actions(twin)) == (store.states(1), store.actions(1))
        assert store.stay(twin)["static_text"] == store.stay(1)["static_text"]
        assert _of(store.values, twin).equals(_of(store.values, 1))
        assert not _of(store.labels, twin).equals(_of(store.labels, 1))


def _of(table: pl.DataFrame, stay: int) -> pl.DataFrame:
    return table.filter(pl.col("stay_id") == stay).drop("stay_id")


def test_an_archive_is_as_good_as_a_folder(store: Store, tmp_path: Path) -> None:
    stays = {name: text for name, text in _FILES.items() if name.startswith("set")}
    outcomes = {name: text for name, text in _FILES.items() if name not in stays}
    raw = write_folder(write_archive(tmp_path / "raw", "sets.tar.xz", stays), outcomes)
    assert content(extract("cinc_2012", raw, tmp_path / "store", threads=1)) == content(store.path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"Outcomes-a.txt": _FILES["Outcomes-a.txt"]}, r"holds no stay file"),
        ({"set-a/1.txt": _FILES["set-b/142675.txt"]}, r"holds no Outcomes-a\.txt: put the outcome files"),
        ({"set-a/1.txt": "a,b\n1,2\n"}, r"1\.txt is no stay of the Challenge 2012"),
    ],
)
def test_bad_input(tmp_path: Path, files: dict[str, str], message: str) -> None:
    raw = write_folder(tmp_path / "raw", files)
    with pytest.raises(InputError, match=message):
        extract("cinc_2012", raw, tmp_path / "store", threads=1)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_published_counts_of_set_a(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("set-a.tar.xz", "Outcomes-a.txt"):
        shutil.copy(challenge("cinc-challenge-2012") / name, raw / name)
    store = read_store(extract("cinc_2012", raw, tmp_path / "store"))
    assert store.dataset["source_counts"] == {"stays": 4_000, "hospital_deaths": 554}
    assert store.dataset["row_counts"]["stays"]["in"] == 4_000


@pytest.mark.parametrize("name", ["cinc_2012", "cinc_2019"])
def test_a_source_takes_an_afternoon(name: str) -> None:
    """Python, SQL and tables of a Challenge source together: under 150 lines."""
    package = Path(data_pipelines.__file__).parent
    files = [package / f"{name}.py", *(file for file in (package / "sources" / name).rglob("*") if file.is_file())]
    assert sum(len(file.read_text().splitlines()) for file in files) < 150
