"""A synthetic trajectory store, extracted once for all tests, and finished runs on it."""

from pathlib import Path

import pytest
import torch

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.windows import Windowing
from data_pipelines.extract import extract
from tests.data_pipelines.hospital import write_mimic_iv
from tests.training_runs import Run, curriculum

torch.set_num_threads(1)


_figures: list[tuple[str, object]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the figures that tests record, from whichever process ran them."""
    if report.when == "teardown":
        _figures.extend((report.nodeid, value) for name, value in report.user_properties if name == "largest difference")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures behind the proofs of equality."""
    if _figures:
        terminalreporter.section("largest difference of any weight")
        for test, figure in sorted(_figures, key=str):
            terminalreporter.write_line(f"{test.rpartition('::')[2]}: {figure}")


def _extract_hospital(folder: Path, n_subjects: int) -> Path:
    raw = write_mimic_iv(folder / "raw", n_subjects=n_subjects, seed=1)
    return extract("mimic_iv", raw, folder / "store", threads=1)


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 40 stays with drifting vital signs."""
    return _extract_hospital(tmp_path_factory.mktemp("hospital_40"), 40)


@pytest.fixture(scope="session")
def small_store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 10 stays, for training runs."""
    return _extract_hospital(tmp_path_factory.mktemp("hospital_10"), 10)


@pytest.fixture(scope="session")
def datamodule(small_store_path: Path) -> TrajectoryDataModule:
    """The small store as batches of two windows of at most 24 hours."""
    return TrajectoryDataModule(str(small_store_path), vocab_size=2048, batch_size=2, windowing=Windowing(hours=24))


@pytest.fixture(scope="session")
def in_one_go(small_store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished curriculum of 13 steps, in one go."""
    run = Run(small_store_path, tmp_path_factory.mktemp("finished") / "curriculum")
    assert run.fit(curriculum()) == 0
    return run


@pytest.fixture
def run(small_store_path: Path, tmp_path: Path) -> Run:
    """A run that has not begun."""
    return Run(small_store_path, tmp_path / "run")
