"""The page of a store's description: one self-contained HTML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import clin_jepa.evaluation
from clin_jepa.atomic_file import write_atomically
from data_pipelines.cohort_rules import RULES
from data_pipelines.description.figures import plot_cohort_flow, plot_lengths_of_stay, plot_presence, plot_token_lengths

_FOLDERS = (Path(__file__).parent, Path(clin_jepa.evaluation.__file__).parent)


def write_page(description: Mapping[str, Any], output: Path) -> Path:
    """Write the page in one step.

    Args:
        description: From `describe.collect`.
        output: The file.

    Raises:
        InputError: If the file cannot be written.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDERS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    figures = {
        "flow": plot_cohort_flow(description["flow"], RULES),
        "los": plot_lengths_of_stay(description["hours_of_stays"]),
        "tokens": plot_token_lengths(description["tokens"]),
        "presence": plot_presence(description["variables"]),
    }
    content = {**description, "plots": {name: Markup(svg) for name, svg in figures.items()}, "rules": RULES}
    return write_atomically(output, environment.get_template("description.html.j2").render(content))
