"""Pictures of a trajectory store, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from clin_jepa.evaluation.inline_svg import INK, STYLE, inline_svg

_BLUE, _ORANGE, _GREEN = "#2f7de1", "#e08a2c", "#2aa198"
_COLOURS = {"state": _BLUE, "action": _ORANGE, "static": _GREEN}


def plot_cohort_flow(stages: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """From all ICU stays to the cohort: a box before and after, and a box for every rule that dropped stays.

    Args:
        stages: From `statistics.flow`.
        words: What each rule means, by its name.
    """
    stays = next(stage for stage in stages if stage["stage"] == "stays")
    rules = [(words.get(rule, rule.replace("_", " ")), n) for rule, n in stays["dropped"]]
    height = 1.5 + 0.5 * max(1, len(rules))
    with mpl.rc_context({**STYLE, "svg.hashsalt": "flow"}):
        plot = Figure(figsize=(8.6, height), layout="constrained")
        axes = plot.add_subplot()
        axes.set_axis_off()
        axes.set_xlim(0, 10)
        axes.set_ylim(-height * 2, 0)

        def box(x: float, y: float, width: float, tall: float, text: str, colour: str, bold: bool = False) -> None:
            shape = FancyBboxPatch((x, y - tall), width, tall, boxstyle="round,pad=0.02,rounding_size=0.15", facecolor=colour, alpha=0.16)
            shape.set_edgecolor(colour)
            axes.add_patch(shape)
            axes.text(x + width / 2, y - tall / 2, text, ha="center", va="center", fontsize=10, fontweight="bold" if bold else "normal")

        end = -height * 2
        box(0.1, -0.1, 3.6, 1.0, f"{stays['in']:,} ICU stays", _BLUE, bold=True)
        box(0.1, end + 1.1, 3.6, 1.0, f"{stays['kept']:,} stays in the cohort", _GREEN, bold=True)
        axes.annotate("", (1.9, end + 1.15), (1.9, -1.15), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.2})
        for index, (rule, n) in enumerate(rules):
            y = -1.35 - index * 1.0
            box(4.6, y + 0.35, 5.2, 0.7, f"{n:,}: {rule}", _ORANGE)
            axes.annotate("", (4.55, y), (1.9, y), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 0.9})
        return inline_svg(plot, "flow", f"{stays['in']} ICU stays, {stays['kept']} in the cohort")


def plot_lengths_of_stay(hours: Sequence[int]) -> str:
    """Histogram of the number of hours of a stay, in days."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": "los"}):
        plot = Figure(figsize=(8.6, 2.8), layout="constrained")
        axes = plot.add_subplot()
        axes.hist([value / 24 for value in hours], bins=[day / 2 for day in range(29)], color=_BLUE, alpha=0.85)
        axes.set_xlabel("length of stay, days (at most 14 are kept)")
        axes.set_ylabel("stays")
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.8)
        return inline_svg(plot, "los", "Histogram of the length of stay")


def plot_token_lengths(rows: Sequence[Mapping[str, Any]]) -> str:
    """Histogram of the tokens of an hourly text, states and actions."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": "tokens"}):
        plot = Figure(figsize=(8.6, 2.8), layout="constrained")
        axes = plot.add_subplot()
        shown = [row for row in rows if row["text"] != "static"]
        end = max(10, max(int(row["p99"]) for row in shown))
        for row in shown:
            axes.hist(
                [min(length, end) for length in row["lengths"]],
                bins=40,
                range=(0, end),
                color=_COLOURS[row["text"]],
                alpha=0.6,
                label=row["text"],
            )
        axes.set_xlabel("tokens of an hour's text (the longest 1 % in the last bar)")
        axes.set_ylabel("texts")
        axes.legend(frameon=False, fontsize=9)
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.8)
        return inline_svg(plot, "tokens", "Histogram of tokens of hourly texts")


def plot_presence(rows: Sequence[Mapping[str, Any]], most: int = 40) -> str:
    """Share of hours and of stays that have a value, for the most frequent variables."""
    shown = list(rows[:most])[::-1]
    with mpl.rc_context({**STYLE, "svg.hashsalt": "presence"}):
        plot = Figure(figsize=(8.6, 0.6 + 0.21 * max(4, len(shown))), layout="constrained")
        axes = plot.add_subplot()
        places = range(len(shown))
        axes.barh(places, [row["stays_percent"] for row in shown], color=_BLUE, alpha=0.22, height=0.8, label="stays")
        axes.barh(places, [row["hours_percent"] for row in shown], color=_BLUE, alpha=0.9, height=0.5, label="hours")
        axes.set_yticks(list(places), [str(row["variable"]).replace("_", " ") for row in shown], fontsize=8)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_xlim(0, 100)
        axes.set_xlabel("% with a value")
        axes.legend(frameon=False, fontsize=9, loc="lower right")
        axes.grid(axis="x", color=INK, alpha=0.12, linewidth=0.8)
        return inline_svg(plot, "presence", "Share of hours and stays with a value, by variable")
