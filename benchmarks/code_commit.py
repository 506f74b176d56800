"""Which code a figure was measured with."""

import subprocess
from collections.abc import Sequence
from pathlib import Path


def code_commit(besides: Sequence[str] = ()) -> str:
    """The commit of the code; with a plus where files differ from it, ``unknown`` outside a git checkout.

    Args:
        besides: Files and folders that may differ, as paths from the top of the checkout; results that a measurement writes, say.
    """
    head = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", *(f":(top,exclude){path}" for path in besides))
    return head + ("+" if changed else "") if head else "unknown"


def _git(*words: str) -> str:
    try:
        said = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git here
        return ""
    return said.stdout.strip()
