"""What the study keeps comes back as it was, and its tables hold it."""

from pathlib import Path

import numpy as np
import pytest

from study import results, write_up
from study.design import StudyData


def figures(value: float) -> dict[str, np.ndarray]:
    return {"mase 36 h": np.array([value, value - 0.1, value + 0.1]), "auroc sepsis_onset": np.array([0.7, 0.65, 0.75])}


def test_figures_come_back_as_they_were(tmp_path: Path) -> None:
    results.save_figures(tmp_path / "new" / "published_seed0.npz", figures(0.8), {"commit": "abc"})
    found = results.read_figures(tmp_path / "new" / "published_seed0.npz")
    assert found.keys() == figures(0.8).keys()
    np.testing.assert_allclose(found["mase 36 h"], [0.8, 0.7, 0.9], atol=1e-6)
    assert results.read_about(tmp_path / "new" / "published_seed0.npz") == {"commit": "abc"}
    assert results.read_about(tmp_path / "not_there.npz") == {}


def test_the_tables_hold_means_over_folds_and_seeds_beside_the_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_up, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(write_up, "PAGE", tmp_path / "study_tables.md")
    for fold, seed, value in ((0, 0, 0.8), (1, 0, 0.6), (0, 1, 0.9), (1, 1, 0.7)):
        results.save_figures(tmp_path / "results" / f"icu_fold{fold}" / f"published_seed{seed}.npz", figures(value), {"commit": "abc"})
        results.save_figures(tmp_path / "results" / f"icu_fold{fold}" / f"chained_seed{seed}.npz", figures(value - 0.1), {"commit": "abd"})
    baselines = {"lightgbm / auroc sepsis_onset": np.array([0.81, 0.8, 0.82])}
    results.save_figures(tmp_path / "results" / "icu_fold0" / "baselines.npz", baselines, {})
    results.save_figures(tmp_path / "results" / "icu_fold0" / "naive_seed0.npz", figures(0.5), {"commit": "abc"})

    write_up.write_up([StudyData("icu", "mimic_iv", "", None, 2, 24, 48), StudyData("nothing_yet", "mimic_iv", "", None, 1, 24, 48)], [])

    page = (tmp_path / "study_tables.md").read_text()
    assert "| published | 0, 1 | abc | 0.750 (0.655 to 0.845); seeds 0.071 |" in page
    assert "| chained | 0, 1 | abd | 0.650 (0.555 to 0.745); seeds 0.071 |" in page
    assert "| chained | **-0.100** (-0.100 to -0.100) |" in page
    assert "| *lightgbm* | 0.810 (0.801 to 0.819) |" in page
    assert "](study_icu.png)" in page
    assert (tmp_path / "study_icu.png").read_bytes().startswith(b"\x89PNG")
    assert "nothing_yet" not in page
    assert "naive" not in page, "an arm that lacks a fold is not compared yet"
    assert (tmp_path / "study_tables.json").is_file()


def test_the_difference_to_the_best_baseline_is_paired_by_draw_and_averaged_over_seeds() -> None:
    name = "mean auroc, all tasks"
    by_arm = {"default": {0: {name: np.array([0.70, 0.60, 0.80])}, 1: {name: np.array([0.72, 0.62, 0.82]), "mase 1 h": np.ones(3)}}}
    baselines = {
        f"logistic / {name}": np.array([0.75, 0.90, 0.90]),
        f"lightgbm / {name}": np.array([0.80, 0.70, 0.90]),
        "lightgbm / auroc sepsis_onset": np.array([0.9, 0.9, 0.9]),
    }
    found = write_up.minus_best_baseline(by_arm, baselines)
    assert found["default"].keys() == {name}
    assert found["default"][name]["baseline"] == "lightgbm"
    assert found["default"][name]["value"] == pytest.approx(-0.09)
    # Both draws differ by -0.09: unpaired, the interval would be wide.
    assert found["default"][name]["ci95"] == pytest.approx((-0.09, -0.09))
    assert write_up.minus_best_baseline(by_arm, {}) == {"default": {}}
