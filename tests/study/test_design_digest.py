"""A run is of another design as soon as anything that was chosen differs; a comment in a config chooses nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from clin_jepa.shipped_configs import config_folder
from study import design_digest
from study.design import DATA, DEFAULT, OTHER_ARMS, RECOMMENDED, REFERENCE, VALIDATION

ALIKE = design_digest.design_of_run(DATA[0], "cinc_2012", RECOMMENDED, 0)


@pytest.mark.parametrize(
    "other",
    [
        design_digest.design_of_run(DATA[1], "cinc_2012", RECOMMENDED, 0),
        design_digest.design_of_run(DATA[0], "cinc_2012_fold1", RECOMMENDED, 0),
        design_digest.design_of_run(DATA[0], "cinc_2012", REFERENCE, 0),
        design_digest.design_of_run(DATA[0], "cinc_2012", RECOMMENDED, 1),
        design_digest.design_of_run(replace(DATA[0], steps=601), "cinc_2012", RECOMMENDED, 0),
        design_digest.design_of_run(replace(DATA[0], batch_size=4), "cinc_2012", RECOMMENDED, 0),
        design_digest.design_of_run(replace(DATA[0], next_token_steps=401), "cinc_2012", RECOMMENDED, 0),
        design_digest.design_of_run(DATA[0], "cinc_2012", replace(RECOMMENDED, tuned_present=1.0), 0),
        design_digest.design_of_run(DATA[0], "cinc_2012", replace(RECOMMENDED, tuned_steps=1600), 0),
        design_digest.design_of_run(DATA[0], "cinc_2012", replace(RECOMMENDED, tuned_outlook=1.0), 0),
        design_digest.design_of_result(replace(DATA[0], folds=2), RECOMMENDED, 0),
        design_digest.design_of_run(replace(DATA[0], revision=3), "cinc_2012", RECOMMENDED, 0),
    ],
)
def test_each_choice_makes_another_design(other: str) -> None:
    assert other != ALIKE


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [("horizon: 24", "horizon: 12", False), ("# The five phases", "# Five phases", True), ("run: runs/curriculum", "run: runs/x", True)],
)
def test_a_config_counts_by_what_it_sets(old: str, new: str, is_same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(config_folder(), tmp_path / "configs")
    config = tmp_path / "configs" / DEFAULT
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    monkeypatch.setattr(design_digest, "config_folder", lambda: tmp_path / "configs")
    assert (design_digest.design_of_run(DATA[0], "cinc_2012", RECOMMENDED, 0) == ALIKE) is is_same


def test_arms_that_tune_alike_share_the_tuning() -> None:
    longer = replace(RECOMMENDED, tuned_steps=1600)
    assert design_digest.design_of_result(DATA[0], RECOMMENDED, 0) == ALIKE
    assert design_digest.design_of_tuning(DATA[0], "cinc_2012", RECOMMENDED, 0) == design_digest.design_of_tuning(
        DATA[0], "cinc_2012", REFERENCE, 0
    )
    assert design_digest.design_of_tuning(DATA[0], "cinc_2012", RECOMMENDED, 0) != design_digest.design_of_tuning(
        DATA[0], "cinc_2012", longer, 0
    )


def test_an_arm_that_shares_a_beginning_depends_on_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chained = next(arm for arm in OTHER_ARMS if arm.name == "chained")
    before = design_digest.design_of_run(DATA[0], "cinc_2012", chained, 0)
    shutil.copytree(config_folder(), tmp_path / "configs")
    config = tmp_path / "configs" / "ablations" / "full.yaml"
    config.write_text(config.read_text().replace("steps: 0.15", "steps: 0.2"))
    monkeypatch.setattr(design_digest, "config_folder", lambda: tmp_path / "configs")
    assert design_digest.design_of_run(DATA[0], "cinc_2012", chained, 0) != before


def test_another_batch_of_tuning_makes_another_design(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(design_digest, "TUNING_BATCH", 4)
    assert design_digest.design_of_run(DATA[0], "cinc_2012", RECOMMENDED, 0) != ALIKE


def test_validation_stays_make_another_result_of_the_same_run() -> None:
    on_validation = design_digest.design_of_result(VALIDATION[0], RECOMMENDED, 0)
    assert on_validation != ALIKE
    assert on_validation != design_digest.design_of_result(replace(VALIDATION[0], steps=601), RECOMMENDED, 0)
    assert on_validation != design_digest.design_of_result(VALIDATION[1], RECOMMENDED, 0)
