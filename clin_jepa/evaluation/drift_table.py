"""The drift table for the terminal: each forecaster's error, drift, MASE and skill at each horizon."""

from collections.abc import Mapping
from typing import Any

from clin_jepa.evaluation.model_names import label

_COLUMNS = (("l1", "L1", ".4f"), ("drift_percent", "drift %", "+.1f"), ("mase", "MASE", ".3f"), ("skill_vs_mean", "skill", "+.3f"))


def drift_table(metrics: Mapping[str, Any]) -> str:
    """A plain-text table, a line for each model and horizon.

    Args:
        metrics: The content of ``metrics.json``.

    Returns:
        The lines, the first of which says what was measured.

    >>> figures = {"l1": [0.5, 0.6], "drift_percent": [0.0, 20.0], "mase": [1.0, 1.0], "skill_vs_mean": [0.2, None]}
    >>> drift = {"context_hours": 24, "horizon_hours": 48, "n_windows": 90, "n_stays": 40, "shortened": False, "horizons": [1, 48]}
    >>> print(drift_table({"drift": {**drift, "models": {"copy_forward": figures}}}))
    Rollout drift: 24 h context, 48 h horizon, 90 windows of 40 stays
    model          hour      L1   drift %    MASE    skill
    Copy-forward      1  0.5000      +0.0   1.000   +0.200
                     48  0.6000     +20.0   1.000        -
    """
    drift = metrics["drift"]
    width = max(12, *(len(label(model)) for model in drift["models"]))
    lines = [
        f"Rollout drift: {drift['context_hours']} h context, {drift['horizon_hours']} h horizon, "
        f"{drift['n_windows']} windows of {drift['n_stays']} stays"
    ]
    if drift["shortened"]:
        lines.append(f"Shortened: {drift['reason']}")
    lines.append(f"{'model':<{width}}   hour      L1   drift %    MASE    skill")
    for model, figures in drift["models"].items():
        for index, hour in enumerate(drift["horizons"]):
            name = label(model) if index == 0 else ""
            l1, drifted, mase, skill = (_cell(figures[figure][index], form) for figure, _, form in _COLUMNS)
            lines.append(f"{name:<{width}}  {hour:>5}  {l1:>6}  {drifted:>8}  {mase:>6}  {skill:>7}")
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
