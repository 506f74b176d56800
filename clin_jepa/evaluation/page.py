"""What the pages of an evaluation share: how a template is filled, and how a figure reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render_page(template: str, content: Mapping[str, Any]) -> str:
    """Fill a template of this folder; a name that it lacks is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(content)


def shown(value: float | None, form: str) -> str:
    """A number with a typographic minus, so that columns of signs line up.

    >>> shown(None, ".2f"), shown(0.5, "+.2f")
    ('-', '+0.50')
    """
    return "-" if value is None else f"{value:{form}}".replace("-", "\N{MINUS SIGN}")


def between(pair: Sequence[float | None], form: str) -> str:
    """An interval.

    >>> between([0.25, 1.0], ".2f")
    '0.25 to 1.00'
    """
    return f"{shown(pair[0], form)} to {shown(pair[1], form)}"
