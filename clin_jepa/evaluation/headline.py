"""The evaluation in plain words: does the forecast drift, and does it beat the simplest forecasts?"""

from collections.abc import Mapping
from typing import Any


def headline(drift: Mapping[str, Any]) -> str:
    """Two or three sentences on the arm with true actions at the end of the horizon.

    A claim is made only where the 95 % interval excludes no effect.

    Args:
        drift: The ``drift`` section of ``metrics.json``.

    Returns:
        The sentences.

    >>> figures = {"drift_percent": [0.0, 32.0], "mase": [0.76, 0.83], "skill_vs_mean": [0.38, 0.2]}
    >>> intervals = {"drift_percent": [[0, 0], [20, 44]], "mase": [[0.7, 0.8], [0.75, 0.9]], "skill_vs_mean": [[0.3, 0.4], [-0.1, 0.4]]}
    >>> print(headline({"context_hours": 24, "horizons": [1, 48], **figures, "ci95": intervals}))
    From 24 true hours, the forecast's error 48 h ahead is 32 % above that of its first hour (95 % interval +20 to +44 %): \
the forecast drifts. At 48 h it beats copying the last state forward (MASE 0.83, 0.75 to 0.90) and cannot be told apart from \
the training mean (skill +0.20, -0.10 to +0.40).
    """
    return f"{_drift_sentence(drift)} {_comparison_sentence(drift)}"


def _drift_sentence(drift: Mapping[str, Any]) -> str:
    hour, context = drift["horizons"][-1], drift["context_hours"]
    value, interval = _last(drift, "drift_percent")
    if hour == 1:
        return f"From {context} true hours, only one hour is forecast, so no drift can be seen."
    if value is None:
        return f"From {context} true hours, the growth of the error by {hour} h is undefined: the forecast is not finite, or exact."
    side = "above" if value >= 0 else "below"
    sentence = f"From {context} true hours, the forecast's error {hour} h ahead is {abs(value):.0f} % {side} that of its first hour"
    if interval is None:
        return f"{sentence}; it has no interval."
    low, high = interval
    verdict = "the forecast drifts" if low > 0 else "the error shrinks" if high < 0 else "no clear drift"
    return f"{sentence} (95 % interval {low:+.0f} to {high:+.0f} %): {verdict}."


def _comparison_sentence(drift: Mapping[str, Any]) -> str:
    copy, copy_interval = _last(drift, "mase")
    skill, skill_interval = _last(drift, "skill_vs_mean")
    parts = [
        _comparison("copying the last state forward", "MASE", copy, copy_interval, even=1.0, better=-1, signed=False),
        _comparison("the training mean", "skill", skill, skill_interval, even=0.0, better=1, signed=True),
    ]
    return f"At {drift['horizons'][-1]} h it {' and '.join(parts)}."


def _comparison(
    rival: str, figure: str, value: float | None, interval: list[float] | None, *, even: float, better: int, signed: bool
) -> str:
    form = "+.2f" if signed else ".2f"
    if value is None or interval is None:
        return f"cannot be compared with {rival} ({figure} is undefined)"
    low, high = sorted(better * (bound - even) for bound in interval)
    verdict = f"beats {rival}" if low > 0 else f"is worse than {rival}" if high < 0 else f"cannot be told apart from {rival}"
    return f"{verdict} ({figure} {value:{form}}, {interval[0]:{form}} to {interval[1]:{form}})"


def _last(drift: Mapping[str, Any], figure: str) -> tuple[float | None, list[float] | None]:
    interval = drift["ci95"][figure][-1]
    return drift[figure][-1], None if None in interval else interval
