"""The three claims, a table each."""

from pathlib import Path
from typing import Any

import pytest

from study.claims import claims_tables, default_table, put_tables, seeds_table

BEGIN, END = (f"<!-- made by make study, default: {edge} -->" for edge in ("begin", "end"))


def figure(
    value: float, minus: float | None = None, ci95: list[float] | None = None, seed_ci95: list[float] | None = None
) -> dict[str, Any]:
    return {
        "value": value,
        "ci95": [value - 0.01, value + 0.01],
        "seed_std": None,
        "minus_reference": minus,
        "minus_reference_ci95": ci95,
        "minus_reference_seed_std": None,
        "minus_reference_seed_ci95": seed_ci95,
    }


def data_set(horizon: int, current: bool = True) -> dict[str, Any]:
    mase, auroc = f"mase {horizon} h", "mean auroc, all tasks"
    return {
        "arms": {
            "published": {"seeds": [0, 1], "figures": {mase: figure(0.8), "mase 1 h": figure(0.5), auroc: figure(0.7)}},
            "chained": {"seeds": [0], "figures": {mase: figure(0.9, 0.1, [0.05, 0.15]), auroc: figure(0.69, -0.01, [-0.02, 0.01])}},
            "default": {
                "seeds": [0],
                "figures": {mase: figure(0.7, -0.1, [-0.15, -0.05]), auroc: figure(0.7)},
                "minus_best_baseline": {auroc: {"baseline": "gru_d", "value": -0.05, "ci95": [-0.08, -0.02], "seed_ci95": None}},
            },
        },
        "first_seed_of_reference": {mase: figure(0.81), auroc: figure(0.71)},
        "baselines": {f"gru_d / {auroc}": [0.75, [0.7, 0.8]], f"prevalence / {auroc}": [0.5, [0.5, 0.5]]},
        "baselines_of_old": False,
        "current_design": current,
    }


def test_arms_stand_side_by_side_and_clear_differences_are_marked() -> None:
    tables = claims_tables({"cinc_2019": data_set(24), "icu": data_set(48, current=False)})
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in tables.partition("### Latents")[0].splitlines()}
    assert "| Challenge 2019: MASE | icu (earlier design): MASE |" in rows["arm"]
    assert rows["published"] == "| published | 2 / 2 | 0.800 (0.790 to 0.810) | 0.800 (0.790 to 0.810) |"
    assert rows["published, first seed"] == "| published, first seed |  | 0.810 (0.800 to 0.820) | 0.810 (0.800 to 0.820) |"
    assert "| 0.900† (0.890 to 0.910) |" in rows["chained"]
    assert "| **0.700** (0.690 to 0.710) |" in rows["default"]
    assert list(rows).index("default") < list(rows).index("chained")


def test_a_difference_that_other_seeds_could_undo_is_not_marked() -> None:
    content = data_set(24)
    content["arms"]["chained"]["figures"]["mase 24 h"] = figure(0.9, 0.1, [0.05, 0.15], seed_ci95=[-0.1, 0.3])
    content["arms"]["default"]["figures"]["mase 24 h"] = figure(0.7, -0.1, [-0.15, -0.05], seed_ci95=[-0.12, -0.08])
    tables = claims_tables({"cinc_2019": content})
    assert "| chained | 1 | 0.900 (0.890 to 0.910) |" in tables and "| default | 1 | **0.700** (0.690 to 0.710) |" in tables


def test_that_baselines_are_to_be_measured_again_is_said() -> None:
    content = data_set(24) | {"baselines": {}, "baselines_of_old": True}
    assert "| mean AUROC, all tasks: default minus the best baseline | baselines to be measured again |" in default_table({"icu": content})


def test_risk_has_baselines_and_the_distance_to_the_best() -> None:
    risk = claims_tables({"cinc_2019": data_set(24)}).partition("### One backbone")[2]
    assert "| *gru d* |  | 0.750 (0.700 to 0.800) |" in risk
    assert "prevalence" not in risk
    assert "| chained | 1 | 0.690 (0.680 to 0.700) |" in risk
    assert "| default minus the best baseline |  | -0.050† (-0.080 to -0.020), gru d |" in risk


def test_how_many_differences_were_looked_at_is_told() -> None:
    tables = claims_tables({"cinc_2019": data_set(24), "icu": data_set(48)})
    assert tables.endswith("\n8 differences stand in these tables, 6 of them marked; were all arms alike, some 0 would be by chance.")


def test_an_arm_that_a_data_set_lacks_is_a_dash() -> None:
    lacking = data_set(36)
    del lacking["arms"]["chained"]
    assert "| chained | 1 / - | 0.900† (0.890 to 0.910) | - |" in claims_tables({"cinc_2019": data_set(24), "cinc_2012": lacking})


def test_the_default_minus_the_published_recipe() -> None:
    lacking = data_set(36)
    del lacking["arms"]["default"]
    table = default_table({"cinc_2019": data_set(24), "cinc_2012": lacking, "icu": data_set(48)}).splitlines()
    assert table[0] == "| default minus published | Challenge 2019 | icu |"
    assert "| MASE against copy-forward | **-0.100** (-0.150 to -0.050), 0.700 | **-0.100** (-0.150 to -0.050), 0.700 |" in table
    assert "| drift at the horizon, points | - | - |" in table
    best = "-0.050† (-0.080 to -0.020), gru d"
    assert f"| mean AUROC, all tasks: default minus the best baseline | {best} | {best} |" in table
    assert table[-1] == "| number of seeds | 1 | 1 |"


def test_each_training_of_an_arm_with_several_seeds_is_shown() -> None:
    content = data_set(24)
    mase, auroc = "mase 24 h", "mean auroc, all tasks"
    content["arms"]["published"]["by_seed"] = {"0": {mase: 0.8, auroc: 0.7}, "2": {mase: 0.6, auroc: None}}
    content["arms"]["default"]["by_seed"] = {"0": {mase: 0.7, auroc: 0.7}}
    table = seeds_table({"cinc_2019": content}).splitlines()
    assert table[2:] == ["| published | Challenge 2019 | 0 / 2 | - / - | 0.800 / 0.600 | - / - | - / - | - / - | 0.700 / - |"]


def test_tables_take_the_place_of_those_before(tmp_path: Path) -> None:
    page = tmp_path / "study.md"
    page.write_text(f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n")
    for _ in range(2):
        put_tables(page, "default", "| a |\n|---|\n")
    assert page.read_text() == f"Before.\n{BEGIN}\n\n| a |\n|---|\n\n{END}\nAfter.\n"


def test_a_page_without_a_place_for_them_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "study.md"
    page.write_text("Nothing here.\n")
    with pytest.raises(ValueError, match=r"study\.md lacks the lines <!-- made by make study, default: begin -->"):
        put_tables(page, "default", "")
    assert page.read_text() == "Nothing here.\n"
