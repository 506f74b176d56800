"""Plots as inline SVG: no external asset, and ink that follows the page's light or dark theme."""

import io
import re
from html import escape
from typing import Any

from matplotlib.figure import Figure

# Drawn in this colour, then replaced by the page's own text colour.
INK = "#010203"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


# How a legend in HTML draws matplotlib's line styles.
DASHES = {"-": "", "--": "6 3", ":": "2 3", "-.": "6 3 2 3"}


def inline_svg(plot: Figure, name: str, description: str) -> str:
    """A figure as an element of a page: unique ids, no namespace, no document type, the page's ink and fonts.

    Args:
        plot: The figure.
        name: Prefix of its ids, unique on the page.
        description: What a screen reader says of it.

    Returns:
        An ``<svg>`` element.
    """
    buffer = io.StringIO()
    plot.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = _thinned(re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL))
    root, rest = svg.split(">", maxsplit=1)
    root = re.sub(r'\s(xmlns(:\w+)?|width|height|version)="[^"]*"', "", root)
    svg = f'{root} role="img" aria-label="{escape(description)}">{rest}'.replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)


def _thinned(svg: str) -> str:
    """Without what no eye sees: hundredths of a point, space between elements, and names of fonts, which the page's replace."""
    svg = re.sub(r">\s+<", "><", re.sub(r" font-family: [^;]*;", "", svg))
    return re.sub(r'\b(?:d|x|y)="[^"]*"', lambda match: re.sub(r"\s+", " ", re.sub(r"-?\d+\.\d+", _rounded, match[0])), svg)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
