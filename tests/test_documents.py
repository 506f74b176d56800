"""The documents say what is true: links lead somewhere, commands exist, the stay's text is what extraction writes."""

import re
from pathlib import Path

import polars as pl
import pytest

from clin_jepa.cli import _VERBS
from data_pipelines.extract import extract
from data_pipelines.synthetic.synthesize import synthesize

_ROOT = Path(__file__).parents[1]
_DOCUMENTS = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
_STAY = 39816823


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert target.startswith("https://") or (document.parent / target).exists(), target


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda file: file.name)
def test_commands_exist(document: Path) -> None:
    for verb in re.findall(r"^clinjepa (\w+)", document.read_text(), re.MULTILINE):
        assert verb in _VERBS, verb


def test_the_text_of_one_stay(tmp_path: Path) -> None:
    """Made again by the commands of the page."""
    hospital = synthesize(tmp_path / "hospital", stays=40, seed=0, workers=1)
    store = extract("mimic_iv", hospital, tmp_path / "store", threads=1)
    hours = pl.read_parquet(store / "hours" / "*.parquet").filter(pl.col("stay_id") == _STAY)
    stay = pl.read_parquet(store / "stays.parquet").row(by_predicate=pl.col("stay_id") == _STAY, named=True)
    texts = {stay["static_text"], *hours["state_text"], *hours["action_text"]}
    shown = [
        line
        for block in re.findall(r"```text\n(.*?)```", (_ROOT / "docs" / "stay_text.md").read_text(), re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(shown) == 13
    assert [line for line in shown if line not in texts] == []
