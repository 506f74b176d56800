"""Every user's mistake gets a message that names the thing and the way out, and leaves nothing behind."""

import gzip
import json
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import data_pipelines.extract
from clin_jepa.errors import InputError
from data_pipelines.database import Database
from data_pipelines.extract import extract
from tests.data_pipelines.hospital import write_meds, write_mimic_iv
from tests.data_pipelines.stores import content


@pytest.fixture
def raw(hospital_folder: Path, tmp_path: Path) -> Path:
    """A copy of the worked hospital that a test may damage."""
    return Path(shutil.copytree(hospital_folder, tmp_path / "raw"))


@pytest.fixture
def meds(tmp_path: Path) -> Path:
    """The worked hospital as MEDS, which a test may damage."""
    return write_meds(tmp_path / "meds")


def _rewrite(file: Path, change: Callable[[list[str]], list[str]]) -> None:
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    file.write_bytes(gzip.compress(("\n".join(change(lines)) + "\n").encode()))


def _refused(tmp_path: Path, source: str, folder: Path, **options: object) -> str:
    """The message of a refused extraction, after checking that nothing is left behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as raised:
        extract(source, folder, tmp_path / "deep" / "store", **options)  # type: ignore[arg-type]
    assert sorted(tmp_path.rglob("*")) == before
    return str(raised.value)


def test_missing_folder(tmp_path: Path) -> None:
    assert "nowhere is not a folder: give the folder of the raw data with --input" in _refused(tmp_path, "mimic_iv", tmp_path / "nowhere")


def test_unknown_source_and_policy(raw: Path, tmp_path: Path) -> None:
    assert "source 'eicu' is unknown: use mimic_iv, meds" in _refused(tmp_path, "eicu", raw)
    assert "time_policy 'noon' is unknown" in _refused(tmp_path, "mimic_iv", raw, time_policy="noon")


def test_missing_table(raw: Path, tmp_path: Path) -> None:
    (raw / "icu" / "inputevents.csv.gz").unlink()
    message = _refused(tmp_path, "mimic_iv", raw)
    assert "raw/icu/inputevents is missing (looked for .parquet, .csv, .csv.gz)" in message
    assert "give with --input the folder that holds MIMIC-IV's hosp/ and icu/" in message


def test_missing_column(raw: Path, tmp_path: Path) -> None:
    _rewrite(raw / "hosp" / "patients.csv.gz", lambda lines: [lines[0].replace("anchor_age", "age"), *lines[1:]])
    message = _refused(tmp_path, "mimic_iv", raw)
    assert "hosp/patients.csv.gz lacks the column(s) anchor_age (found: subject_id, gender, age, anchor_year, dod)" in message
    assert "as MIMIC-IV v2.2 or later publishes it" in message


@pytest.mark.parametrize("kept", [0.5, 0.99, 0.01])
def test_truncated_gzip(raw: Path, tmp_path: Path, kept: float) -> None:
    file = raw / "icu" / "chartevents.csv.gz"
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    message = _refused(tmp_path, "mimic_iv", raw)
    assert message == f"{file} is truncated or damaged: download it again; its sha256 is in SHA256SUMS.txt"


def test_not_gzip_at_all(raw: Path, tmp_path: Path) -> None:
    (raw / "icu" / "chartevents.csv.gz").write_bytes(b"<html>please log in</html>")
    assert "chartevents.csv.gz is truncated or damaged: download it again" in _refused(tmp_path, "mimic_iv", raw)


def test_empty_file(raw: Path, tmp_path: Path) -> None:
    (raw / "icu" / "chartevents.csv.gz").write_bytes(gzip.compress(b""))
    assert "chartevents.csv.gz is empty: download it again" in _refused(tmp_path, "mimic_iv", raw)


def test_a_cell_of_the_wrong_type(raw: Path, tmp_path: Path) -> None:
    _rewrite(raw / "icu" / "icustays.csv.gz", lambda lines: [*lines[:3], lines[3].replace("2140-06-01 00:00:00", "Jane Roe")])
    message = _refused(tmp_path, "mimic_iv", raw)
    assert "icustays.csv.gz, line 4: column intime holds no date and time: correct the row, or download the file again" in message
    assert "Jane" not in message


def test_a_row_with_too_many_cells(raw: Path, tmp_path: Path) -> None:
    _rewrite(raw / "icu" / "icustays.csv.gz", lambda lines: [*lines[:2], lines[2] + ",Jane Roe"])
    message = _refused(tmp_path, "mimic_iv", raw)
    assert "icustays.csv.gz, line 3: the row does not have the columns of the header" in message
    assert "Jane" not in message


def test_damaged_parquet(tmp_path: Path) -> None:
    raw = write_mimic_iv(tmp_path / "raw", fmt="parquet")
    file = raw / "hosp" / "labevents.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    assert _refused(tmp_path, "mimic_iv", raw).startswith(f"{file} is truncated or damaged: download it again")


def test_parquet_column_of_the_wrong_type(tmp_path: Path) -> None:
    raw = write_mimic_iv(tmp_path / "raw", fmt="parquet")
    file = raw / "hosp" / "labevents.parquet"
    pl.read_parquet(file).with_columns(itemid=pl.lit("Jane Roe")).write_parquet(file)
    message = _refused(tmp_path, "mimic_iv", raw)
    assert "the Parquet file of labevents: column itemid holds no whole number" in message
    assert "Jane" not in message


def test_empty_cohort_names_the_rule(raw: Path, tmp_path: Path) -> None:
    _rewrite(raw / "icu" / "icustays.csv.gz", lambda lines: [line for line in lines if ",303," in line or "stay_id" in line])
    message = _refused(tmp_path, "mimic_iv", raw)
    assert "the cohort is empty, of 1 ICU stays were dropped: 1 because the patient is younger than 18 years" in message


def test_empty_cohort_for_want_of_vital_signs(raw: Path, tmp_path: Path) -> None:
    _rewrite(raw / "icu" / "chartevents.csv.gz", lambda lines: lines[:1])
    message = _refused(tmp_path, "mimic_iv", raw)
    assert "because it has no plausible vital sign" in message


def test_no_stays_at_all(raw: Path, tmp_path: Path) -> None:
    _rewrite(raw / "icu" / "icustays.csv.gz", lambda lines: lines[:1])
    assert "the cohort is empty: icustays or ICU admission codes list no stay" in _refused(tmp_path, "mimic_iv", raw)


@pytest.mark.parametrize("version", ["0.2.9", "0.5", "1.0", "0.33", "None"])
def test_meds_version(meds: Path, tmp_path: Path, version: str) -> None:
    (meds / "metadata" / "dataset.json").write_text(json.dumps({"meds_version": version}))
    message = _refused(tmp_path, "meds", meds)
    assert f"dataset.json: meds_version {version!r} is not supported: convert the data set to MEDS 0.3 or 0.4" in message


def test_meds_metadata_that_is_no_object(meds: Path, tmp_path: Path) -> None:
    (meds / "metadata" / "dataset.json").write_text("[1, 2")
    assert "dataset.json is not the JSON object that MEDS describes" in _refused(tmp_path, "meds", meds)


def test_no_meds_folder(raw: Path, tmp_path: Path) -> None:
    assert "metadata/dataset.json is missing: give with --input the folder that holds MEDS's data/" in _refused(tmp_path, "meds", raw)


def test_meds_without_data(meds: Path, tmp_path: Path) -> None:
    shutil.rmtree(meds / "data")
    assert "meds/data holds no Parquet file" in _refused(tmp_path, "meds", meds)


def test_meds_column(meds: Path, tmp_path: Path) -> None:
    file = meds / "data" / "1.parquet"
    pl.read_parquet(file).drop("numeric_value").write_parquet(file)
    assert f"{file} lacks the column(s) numeric_value (found: subject_id, time, code" in _refused(tmp_path, "meds", meds)


def test_meds_split_names(tmp_path: Path) -> None:
    folder = write_meds(tmp_path / "meds", splits={101: "train", 102: "test"})
    message = _refused(tmp_path, "meds", folder)
    assert "subject_splits.parquet has the split(s) test: use the names train, tuning, held_out, or remove the file" in message


def test_meds_subject_in_two_splits(meds: Path, tmp_path: Path) -> None:
    pl.DataFrame({"subject_id": [101, 101], "split": ["train", "tuning"]}).write_parquet(meds / "metadata" / "subject_splits.parquet")
    assert "gives a subject more than one split: keep one row a subject" in _refused(tmp_path, "meds", meds)


@pytest.mark.parametrize("limit", ["lots", "4", "4 parsecs", "-1GB", "4GB; DROP"])
def test_memory_limit(raw: Path, tmp_path: Path, limit: str) -> None:
    message = _refused(tmp_path, "mimic_iv", raw, memory_limit=limit)
    assert message == f"memory_limit {limit!r} is no size: write a number and a unit, such as --memory_limit 4GB"


def test_memory_limit_too_small(raw: Path, tmp_path: Path) -> None:
    assert "give more with --memory_limit" in _refused(tmp_path, "mimic_iv", raw, memory_limit="1MB")


def test_threads(raw: Path, tmp_path: Path) -> None:
    assert "threads 0 is not possible" in _refused(tmp_path, "mimic_iv", raw, threads=0)


def test_output_that_is_not_empty(raw: Path, tmp_path: Path) -> None:
    output = extract("mimic_iv", raw, tmp_path / "store")
    before = content(output)
    with pytest.raises(InputError, match="store is not empty: choose another folder or pass --overwrite true"):
        extract("mimic_iv", raw, output)
    assert content(output) == before


def test_overwrite_replaces_a_store(raw: Path, tmp_path: Path) -> None:
    output = extract("mimic_iv", raw, tmp_path / "store")
    (output / "stale").write_text("from before")
    extract("mimic_iv", raw, output, seed=5, overwrite=True)
    assert json.loads((output / "dataset.json").read_text())["seed"] == 5
    assert not (output / "stale").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "store"]


def test_overwrite_refuses_what_is_no_store(raw: Path, tmp_path: Path) -> None:
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds no trajectory store, so it is not overwritten: choose another folder"):
        extract("mimic_iv", raw, output, overwrite=True)
    assert (output / "chapter.txt").read_text() == "years of work"


def test_an_empty_output_folder_is_used(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    assert (extract("mimic_iv", raw, tmp_path / "store") / "dataset.json").is_file()


def test_output_that_is_a_file(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(InputError, match="store is not a folder"):
        extract("mimic_iv", raw, tmp_path / "store", overwrite=True)


@pytest.mark.parametrize("cause", [KeyboardInterrupt, OSError])
def test_an_interrupted_run_leaves_the_old_store_and_goes_on(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: type[BaseException]
) -> None:
    output = extract("mimic_iv", raw, tmp_path / "store")
    before = content(output)

    def interrupted(*arguments: object) -> None:
        raise cause

    with monkeypatch.context() as patch:
        patch.setattr(data_pipelines.extract, "gather", interrupted)
        with pytest.raises(cause):
            extract("mimic_iv", raw, output, seed=5, overwrite=True)
    assert content(output) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".store.partial", "raw", "store"]
    extract("mimic_iv", raw, output, seed=5, overwrite=True)
    assert content(output) == content(extract("mimic_iv", raw, tmp_path / "undisturbed", seed=5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "store", "undisturbed"]


def test_ctrl_c_in_a_query_is_a_keyboard_interrupt(tmp_path: Path) -> None:
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    with Database(tmp_path, threads=1) as database, pytest.raises(KeyboardInterrupt):
        timer.start()
        database.execute("SELECT count(*) FROM range(100000000000) WHERE hash(range) = 1")
