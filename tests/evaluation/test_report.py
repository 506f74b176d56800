import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from clin_jepa.errors import InputError
from clin_jepa.evaluation.report import write_report


@pytest.fixture(scope="module")
def page(metrics: dict[str, Any], curves: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(metrics, curves, tmp_path_factory.mktemp("run") / "evaluation" / "report.html").read_text(encoding="utf-8")


def test_the_page_is_self_contained(page: str) -> None:
    assert "http" not in page
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)", page)
    assert all(reference.startswith("#") for reference in re.findall(r'(?:href|src)="([^"]*)"', page))


def test_ids_of_plots_are_unique_and_every_reference_resolves(page: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', page)) <= set(ids)


def test_the_page_says_what_was_found_and_on_what(page: str, metrics: dict[str, Any]) -> None:
    for text in ("the forecast drifts", "beats copying the last state forward", "beats the training mean"):
        assert text in page
    for text in (
        "Do not read drift alone",
        "No sign of collapse",
        "MIMIC-IV demo 2.2",
        "held out",
        "9,120",
        "model.predictor.width",
        "2.13.0",
    ):
        assert text in page
    assert f"{metrics['drift']['n_windows']} windows" in page
    assert "Shortened windows" not in page


def test_shortened_windows_and_collapse_are_called_out(metrics: dict[str, Any], curves: dict[str, Any], tmp_path: Path) -> None:
    changed = deepcopy(metrics)
    changed["drift"] |= {"shortened": True, "reason": "only 4 windows have <enough> hours"}
    changed["collapse"]["findings"] = ["RankMe 1 is below 0.25 x the reference (20)"]
    page = write_report(changed, curves, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Only 4 windows have &lt;enough&gt; hours" in page
    assert "Signs of collapse" in page
    assert "RankMe 1 is below" in page


def test_undefined_figures_leave_gaps(metrics: dict[str, Any], curves: dict[str, Any], tmp_path: Path) -> None:
    changed, changed_curves = deepcopy(metrics), deepcopy(curves)
    for models in (changed["drift"]["models"], changed_curves["drift"]["models"]):
        for figure in ("mase", "drift_percent", "l1"):
            values = models["linear"][figure]
            models["linear"][figure], models["linear"]["ci95"][figure] = [None] * len(values), [[None, None]] * len(values)
    del changed_curves["singular_values"]
    changed["collapse"]["phases"] = []
    page = write_report(changed, changed_curves, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "nan" not in page.lower()
    assert "Spectrum" not in page


def test_the_same_metrics_give_the_same_page(metrics: dict[str, Any], curves: dict[str, Any], page: str, tmp_path: Path) -> None:
    assert write_report(metrics, curves, tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_a_place_that_cannot_be_written_is_named(metrics: dict[str, Any], curves: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "file" / "report.html"))):
        write_report(metrics, curves, tmp_path / "file" / "report.html")
