from typing import Any

import pytest

from clin_jepa.evaluation.drift_table import drift_table
from clin_jepa.evaluation.headline import headline


def drift(**changes: Any) -> dict[str, Any]:
    """A drift section of one hour and 48 h; each figure as (value, low, high) at 48 h."""
    figures = {"drift_percent": (5.0, -3.0, 12.0), "mase": (0.9, 0.8, 1.1), "skill_vs_mean": (0.1, -0.1, 0.2)} | changes
    section: dict[str, Any] = {"context_hours": 24, "horizons": [1, 48], "ci95": {}}
    for name, (value, low, high) in figures.items():
        section[name], section["ci95"][name] = [0.0, value], [[0.0, 0.0], [low, high]]
    return section


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ({"drift_percent": (5.0, -3.0, 12.0)}, "no clear drift"),
        ({"drift_percent": (5.0, 1.0, 12.0)}, "the forecast drifts"),
        ({"drift_percent": (-15.0, -20.0, -9.0)}, "15 % below that of its first hour (95 % interval -20 to -9 %): the error shrinks"),
        ({"drift_percent": (None, None, None)}, "is undefined"),
        ({"mase": (0.9, 0.8, 0.95)}, "beats copying the last state forward (MASE 0.90, 0.80 to 0.95)"),
        ({"mase": (0.9, 0.8, 1.1)}, "cannot be told apart from copying"),
        ({"mase": (1.2, 1.1, 1.3)}, "is worse than copying"),
        ({"mase": (None, None, None)}, "cannot be compared with copying"),
        ({"skill_vs_mean": (0.2, 0.1, 0.3)}, "beats the training mean (skill +0.20, +0.10 to +0.30)"),
        ({"skill_vs_mean": (-0.2, -0.3, -0.1)}, "is worse than the training mean"),
    ],
)
def test_a_claim_is_made_only_where_the_interval_excludes_no_effect(figure: dict[str, Any], expected: str) -> None:
    assert expected in headline(drift(**figure))


def test_the_table_has_a_line_for_each_model_and_horizon(metrics: dict[str, Any]) -> None:
    lines = drift_table(metrics).splitlines()
    assert len(lines) == 2 + 6 * 5
    assert len({len(line) for line in lines[1:]}) == 1


def test_the_table_says_that_windows_were_shortened(metrics: dict[str, Any]) -> None:
    shortened = metrics | {"drift": metrics["drift"] | {"shortened": True, "reason": "only 4 windows"}}
    assert "Shortened: only 4 windows" in drift_table(shortened)
