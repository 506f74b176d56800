"""How the arms of a comparison are drawn: the reference in ink, a few in colour, the others grey."""

from collections.abc import Sequence
from dataclasses import dataclass

from clin_jepa.evaluation.inline_svg import DASHES, INK

# More colours are not told apart.
MOST_COLOURED = 6
_COLOURS = ("#2f7de1", "#e08a2c", "#2aa198", "#9b6dd6", "#d2544b", "#b0568f")
_STYLES = ("-", "-", "-", "--", "--", "--")
GREY = "#8a929c"


@dataclass(frozen=True)
class Line:
    """How one arm, baseline or simple forecast is drawn.

    Args:
        label: What a legend says.
        colour: Its colour.
        style: Matplotlib's line style: ``-``, ``--`` or ``:``.
        width: In points.
        opacity: Between 0 and 1.
        is_main: Whether it has a band and an entry of its own in the legend.
    """

    label: str
    colour: str
    style: str = "-"
    width: float = 1.8
    opacity: float = 1.0
    is_main: bool = True


def arm_lines(arms: Sequence[str], reference: str, highlight: Sequence[str] = ()) -> dict[str, Line]:
    """The line of each arm, in the order in which they are drawn: grey ones lie below, the reference on top.

    Args:
        arms: All arms.
        reference: The one in ink.
        highlight: Those in colour, six at most; by default the first ones.

    >>> {arm: line.colour for arm, line in arm_lines(["a", "b", "c"], "a", ["c"]).items()}
    {'b': '#8a929c', 'c': '#2f7de1', 'a': '#010203'}
    """
    coloured = [arm for arm in highlight or arms if arm != reference][:MOST_COLOURED]
    grey = {arm: Line(arm, GREY, width=1.0, opacity=0.5, is_main=False) for arm in arms if arm not in (*coloured, reference)}
    lines = {arm: Line(arm, colour, style) for arm, colour, style in zip(coloured, _COLOURS, _STYLES, strict=False)}
    return {**grey, **lines, reference: Line(f"{reference} (reference)", INK, width=2.2)}


def legend(lines: Sequence[Line]) -> list[dict[str, str]]:
    """Entries of a legend in HTML, in the order given; all grey arms are one entry, the last.

    Args:
        lines: As they are to be read.
    """
    grey = [line.label for line in lines if not line.is_main]
    entries = [{"label": line.label, "colour": _page_colour(line.colour), "dashes": DASHES[line.style]} for line in lines if line.is_main]
    return [*entries, {"label": f"other arms: {', '.join(grey)}", "colour": GREY, "dashes": ""}] if grey else entries


def _page_colour(colour: str) -> str:
    return "currentColor" if colour == INK else colour
