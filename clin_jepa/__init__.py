"""Clin-JEPA: joint-embedding predictive pretraining on intensive-care trajectories."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("clin-jepa")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
