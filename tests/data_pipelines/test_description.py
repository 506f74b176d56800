"""`clinjepa extract --describe`: the figures of a store, on the terminal and as a page."""

import re
from pathlib import Path

import pytest

from clin_jepa.cli import main
from clin_jepa.data.trajectory_store import TrajectoryStore
from data_pipelines.description import statistics
from data_pipelines.description.describe import describe
from data_pipelines.extract import extract
from tests.data_pipelines.challenge import psv, write_folder
from tests.data_pipelines.hospital import write_mimic_iv


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryStore:
    """Forty drifting stays."""
    folder = tmp_path_factory.mktemp("described")
    return TrajectoryStore(extract("mimic_iv", write_mimic_iv(folder / "raw", n_subjects=40), folder / "store", threads=1))


def test_splits_add_up(store: TrajectoryStore) -> None:
    *parts, whole = statistics.splits(store)
    assert [row["split"] for row in parts] == ["train", "tuning", "held_out"]
    for name in ("stays", "subjects", "hours"):
        assert sum(row[name] for row in parts) == whole[name]
    assert whole["stays"] == 40
    assert whole["hospital_death_percent"] == pytest.approx(100 * store.stays["hospital_death"].mean())


def test_presence_is_counted(store: TrajectoryStore) -> None:
    """Recounted the slow way."""
    values = store.scan_values().collect()
    n_hours = int(store.stays["n_hours"].sum())
    for row in statistics.variables(store):
        mine = values.filter(values["variable"] == row["variable"])
        assert row["hours_percent"] == pytest.approx(100 * mine.height / n_hours)
        assert row["stays_percent"] == pytest.approx(100 * mine["stay_id"].n_unique() / 40)
        assert row["median"] == pytest.approx(mine["mean"].median())


def test_prevalence_is_counted(store: TrajectoryStore) -> None:
    labels = store.scan_labels().collect()
    for row in statistics.labels(store):
        mine = labels.filter(labels["task"] == row["task"])
        assert row["rows"] == mine.height
        if mine.height:
            assert row["all_percent"] == pytest.approx(100 * mine["label"].mean())


def test_page_and_terminal(store: TrajectoryStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["extract", "--describe", str(store.path), "--page", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "Cohort: mimic_iv" in printed
    assert f"page: {page}" in printed
    html = page.read_text()
    assert f"{store.dataset['row_counts']['stays']['in']:,} ICU stays" in html
    assert not re.search(r"(src|href)=\"(?!#)", html)
    assert "None" not in html
    assert html.count("<svg") == 4


def test_a_source_that_tells_little(tmp_path: Path) -> None:
    """Challenge 2019: no deaths, tasks that are not available."""
    files = {f"p{number:06d}.psv": psv(*[{"HR": 80 + number}] * 30) for number in range(1, 9)}
    store = extract("cinc_2019", write_folder(tmp_path / "raw", files), tmp_path / "store", threads=1)
    html = describe(store).read_text()
    assert "not available: needs hospital death" in html
    assert "None" not in html


def test_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "--describe", str(tmp_path)]) == 2
    assert "is not a trajectory store" in capsys.readouterr().err
