"""``clinjepa compare`` on two evaluated runs."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.training_runs import Run, clinjepa

WORDS = ("--split", "train", "--context_hours", "8", "--horizon_hours", "12", "--draws", "20", "--tasks", "none")


@pytest.fixture(scope="module")
def pair(in_one_go: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run, and the same under another name; both evaluated."""
    folder = tmp_path_factory.mktemp("pair")
    first = folder / "full_seed0"
    shutil.copytree(in_one_go.folder, first)
    assert clinjepa("evaluate", "--run", first, *WORDS) == 0
    shutil.copytree(first, folder / "naive_seed0")
    return first, folder / "naive_seed0"


def test_two_equal_arms_differ_by_nothing(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert clinjepa("compare", *pair, "--output", tmp_path / "side_by_side", "--draws", "20") == 0

    report = json.loads((tmp_path / "side_by_side" / "metrics.json").read_text())
    assert list(report["arms"]) == ["full", "naive"] and report["reference"] == "full"
    full, naive = (report["arms"][arm]["figures"] for arm in ("full", "naive"))
    evaluated = json.loads((pair[0] / "evaluation" / "metrics.json").read_text())
    assert full["mase 12 h"]["value"] == pytest.approx(evaluated["drift"]["mase"][-1])
    assert full["drift_percent 12 h"]["value"] == pytest.approx(evaluated["drift"]["drift_percent"][-1])
    assert naive["mase 12 h"]["minus_reference_ci95"] == [0.0, 0.0]
    page = (tmp_path / "side_by_side" / "report.html").read_text()
    assert "2 arms on the split train, held against full" in page
    assert (tmp_path / "side_by_side" / "predictions.parquet").is_file()


def test_arms_are_named_and_the_reference_chosen(pair: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(pair[1], other := tmp_path / "lr=1e-3_seed0")
    assert clinjepa("compare", pair[0], other, f"low={other}", "--output", tmp_path / "signs", "--draws", "5") == 0
    assert list(json.loads((tmp_path / "signs" / "metrics.json").read_text())["arms"]) == ["full", "lr=1e-3", "low"]
    words = (f"a={pair[0]}", f"b={pair[1]}", "--output", tmp_path / "out", "--draws", "5", "--reference", "b")
    assert clinjepa("compare", *words) == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["arms"]["a"]["figures"]["mase 1 h"]["minus_reference"] == 0.0


def test_what_does_not_fit_is_refused(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clinjepa("compare", tmp_path, "--output", tmp_path / "out") == 2
    assert "run 'clinjepa evaluate' first" in capsys.readouterr().err
    assert clinjepa("compare", *pair, "--output", tmp_path / "out", "--reference", "published") == 2
    assert "no run is of that arm; there are full, naive" in capsys.readouterr().err

    shutil.copytree(pair[0], other := tmp_path / "other")
    path = other / "evaluation" / "rollout_errors.parquet"
    errors = pl.read_parquet(path)
    errors.filter(pl.col("start") > 0).write_parquet(path)
    assert clinjepa("compare", pair[0], other, "--output", tmp_path / "out") == 2
    assert "were measured on other windows or rows" in capsys.readouterr().err
    path.unlink()
    assert clinjepa("compare", pair[0], other, "--output", tmp_path / "out") == 2
    assert f"run 'clinjepa evaluate --run {other}' with this version" in capsys.readouterr().err
