"""What the study keeps comes back as it was, and its tables hold it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clin_jepa.evaluation.arms import MeasuredRun, draw_subjects
from clin_jepa.evaluation.model_names import COPY_FORWARD, TRAINING_MEAN, TRUE_ACTIONS
from study import results, write_up
from study.design import BASELINE_MEASUREMENT, MEASUREMENT, RECOMMENDED, REFERENCE, StudyData
from study.design_digest import design_of_result


def figures(value: float) -> dict[str, np.ndarray]:
    return {"mase 36 h": np.array([value, value - 0.1, value + 0.1]), "auroc sepsis_onset": np.array([0.7, 0.65, 0.75])}


def test_figures_come_back_as_they_were(tmp_path: Path) -> None:
    results.save_figures(tmp_path / "new" / "published_seed0.npz", figures(0.8), {"commit": "abc"})
    found = results.read_figures(tmp_path / "new" / "published_seed0.npz")
    assert found.keys() == figures(0.8).keys()
    np.testing.assert_allclose(found["mase 36 h"], [0.8, 0.7, 0.9], atol=1e-6)
    assert results.read_about(tmp_path / "new" / "published_seed0.npz") == {"commit": "abc"}
    assert results.read_about(tmp_path / "not_there.npz") == {}


def test_the_tables_hold_means_over_seeds_beside_the_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_up, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(write_up, "PAGE", tmp_path / "study_tables.md")
    folder = tmp_path / "results" / "icu"
    for seed, value in ((0, 0.7), (1, 0.8)):
        about = {"commit": "abc", "counts": {"sepsis_onset": [120, 7]}}
        results.save_figures(folder / f"published_seed{seed}.npz", figures(value), about)
        results.save_figures(folder / f"chained_seed{seed}.npz", figures(value - 0.1 * (1 + seed)), {"commit": "abd"})
    baselines = {"lightgbm / auroc sepsis_onset": np.array([0.81, 0.8, 0.82])}
    results.save_figures(folder / "baselines.npz", baselines, {})
    results.save_failure(folder / "naive_seed0.npz", "3 of 4 weights are not finite", {})

    write_up.write_up([StudyData("icu", "mimic_iv", "", None, 2, 24, 48), StudyData("nothing_yet", "mimic_iv", "", None, 1, 24, 48)], [])

    page = (tmp_path / "study_tables.md").read_text()
    assert "| published | 0, 1 | abc | 0.750 (0.655 to 0.845); seeds 0.071 |" in page
    assert "| chained | 0, 1 | abd | 0.600 (0.505 to 0.695); seeds 0.000 |" in page
    assert "| chained | -0.150 (-0.150 to -0.150); seeds 0.071 |" in page
    assert "| *lightgbm* | 0.810 (0.801 to 0.819) |" in page
    assert "| *events of rows* | 7 of 120 |" in page
    assert "\nAUPRC of each task:" not in page
    assert "Not measured, for want of variables or of events: " in page
    assert "sepsis_onset" not in page.partition("Not measured")[2]
    assert "- `naive_seed0`: 3 of 4 weights are not finite" in page
    assert "](study_icu.png)" in page
    assert (tmp_path / "study_icu.png").read_bytes().startswith(b"\x89PNG")
    assert "nothing_yet" not in page
    assert (tmp_path / "study_tables.json").is_file()


def test_figures_of_two_designs_stand_in_no_table_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_up, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(write_up, "PAGE", tmp_path / "study_tables.md")
    data = StudyData("icu", "mimic_iv", "", None, 2, 24, 48)
    folder = tmp_path / "results" / "icu"
    for arm in (REFERENCE, RECOMMENDED):
        results.save_figures(folder / f"{arm.name}_seed0.npz", figures(0.7), {"design": "of old"})

    write_up.write_up([data], [])
    page = (tmp_path / "study_tables.md").read_text()
    assert "Of an earlier design" in page and "| default | 0 |" in page

    results.save_figures(folder / "published_seed0.npz", figures(0.8), {"design": design_of_result(data, REFERENCE, 0)})
    write_up.write_up([data], [])
    page = (tmp_path / "study_tables.md").read_text()
    assert "| published | 0 | not named | 0.800 " in page
    assert "Of an earlier design" not in page and "default" not in page.partition("## icu")[2]

    new = {"design": design_of_result(data, RECOMMENDED, 0)}
    baselines = {"lightgbm / auroc sepsis_onset": np.array([0.81, 0.8, 0.82])}
    results.save_figures(folder / "baselines.npz", baselines, {"design": "of old"})
    results.save_figures(folder / "default_seed0.npz", figures(0.7), {**new, "measurement": 0})
    write_up.write_up([data], [])
    page = (tmp_path / "study_tables.md").read_text()
    assert "default" not in page.partition("## icu")[2] and "lightgbm" not in page

    results.save_figures(folder / "default_seed0.npz", figures(0.7), new)
    results.save_figures(folder / "baselines.npz", baselines, {"design": design_of_result(data, REFERENCE, 0)})
    write_up.write_up([data], [])
    page = (tmp_path / "study_tables.md").read_text()
    assert "lightgbm" not in page and "Baselines were measured as of old" in page
    measured = {"design": design_of_result(data, REFERENCE, 0), "measurement": [MEASUREMENT, BASELINE_MEASUREMENT]}
    results.save_figures(folder / "baselines.npz", baselines, measured)
    write_up.write_up([data], [])
    assert "| *lightgbm* | 0.810 (0.801 to 0.819) |" in (tmp_path / "study_tables.md").read_text()
    assert "| default | **-0.100** " in (tmp_path / "study_tables.md").read_text()


def test_figures_take_the_place_of_a_failure(tmp_path: Path) -> None:
    results.save_failure(tmp_path / "naive_seed0.npz", "diverged", {"commit": "abc"})
    assert results.failures(tmp_path) == {"naive_seed0": "diverged"}
    results.save_figures(tmp_path / "naive_seed0.npz", figures(0.8), {})
    assert results.failures(tmp_path) == {}


def test_the_difference_to_the_best_baseline_is_paired_by_draw_and_averaged_over_seeds() -> None:
    name, ratio = "mean auroc, all tasks", "displacement_ratio"
    by_arm = {
        "default": {
            0: {name: np.array([0.70, 0.60, 0.80]), ratio: np.array([1.5, 1.4, 1.6])},
            1: {name: np.array([0.72, 0.62, 0.82]), ratio: np.array([1.5, 1.4, 1.6]), "mase 1 h": np.ones(3)},
        }
    }
    baselines = {
        f"logistic / {name}": np.array([0.75, 0.90, 0.90]),
        f"lightgbm / {name}": np.array([0.80, 0.70, 0.90]),
        f"reported_probe / {name}": np.array([0.99, 0.99, 0.99]),
        "lightgbm / auroc sepsis_onset": np.array([0.9, 0.9, 0.9]),
        f"raw numbers / {ratio}": np.array([1.3, 1.2, 1.4]),
        f"encoder before the curriculum / {ratio}": np.array([1.9, 1.9, 1.9]),
    }
    found = write_up.minus_best_baseline(by_arm, baselines)
    assert found["default"].keys() == {name, ratio}
    assert found["default"][name]["baseline"] == "lightgbm"
    assert found["default"][name]["value"] == pytest.approx(-0.09)
    # Both draws differ by -0.09: unpaired, the interval would be wide.
    assert found["default"][name]["ci95"] == pytest.approx((-0.09, -0.09))
    assert found["default"][ratio] == {
        "baseline": "raw numbers",
        "value": pytest.approx(0.2),
        "ci95": pytest.approx((0.2, 0.2)),
        "seed_ci95": pytest.approx((0.2, 0.2)),
    }
    assert write_up.minus_best_baseline(by_arm, {}) == {"default": {}}


def test_baselines_are_measured_by_their_own_scores_and_distances() -> None:
    stays = pl.DataFrame({"stay_id": range(40), "subject_id": range(40)})
    label_N = np.arange(40) % 4 == 0
    row = pl.DataFrame({"task": "sepsis", "stay_id": range(40), "hour": 23, "label": label_N})
    predictions = pl.concat(
        [
            row.with_columns(model=pl.lit("clin_jepa"), score=0.5),
            row.with_columns(model=pl.lit("reported_probe"), score=pl.Series(1.0 - label_N)),
            row.with_columns(model=pl.lit("lightgbm"), score=pl.Series(label_N.astype(float))),
        ]
    )
    displacements = pl.DataFrame(
        {
            "stay_id": range(40), "start": 24, "measured": 9, "is_worse": label_N, "distance": 1.0,
            "distance_raw": np.where(label_N, 3.0, 2.0), "distance_tuned": pl.Series([None] * 40, dtype=pl.Float64),
        }
    )  # fmt: skip
    draws = draw_subjects(stays, 10, seed=0)
    found = results.baseline_figures([predictions], displacements, draws)

    assert found["lightgbm / auroc sepsis"][0] == 1.0 and found["lightgbm / mean auroc, binary"][0] == 1.0
    assert found["lightgbm / auprc sepsis"][0] == 1.0 and found["lightgbm / brier sepsis"][0] == 0.0
    assert found["raw numbers / displacement_ratio"][0] == pytest.approx(1.5)
    assert not [name for name in found if name.startswith(("encoder", "clin_jepa", "reported"))]
    assert results.counts_by_task(predictions) == {"sepsis": [40, 10]}

    measured = MeasuredRun("full", 0, errors(stays["stay_id"]), displacements, predictions)
    figures = results.figures_of_folds(measured, [predictions], draws)
    assert figures["mean auroc, binary"][0] == 0.5 and figures["mean auroc, binary, reported probe"][0] == 0.0
    assert figures["brier sepsis"][0] == 0.25 and figures["auprc sepsis"][0] == pytest.approx(0.25)
    assert figures["displacement_ratio"][0] == pytest.approx(1.0)


def errors(stay_ids: pl.Series) -> pl.DataFrame:
    return pl.concat(
        [
            pl.DataFrame({"forecast": name, "stay_id": stay_ids, "start": 0, "hour": hour, "l1": 1.0})
            for name in (TRUE_ACTIONS, COPY_FORWARD, TRAINING_MEAN)
            for hour in (1, 2)
        ]
    )
