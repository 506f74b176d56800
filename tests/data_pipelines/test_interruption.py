"""An extraction that is killed, starved or doubled: nothing is lost, nothing half-written, the same bytes in the end."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clin_jepa.errors import InputError
from data_pipelines.extract import extract
from data_pipelines.output_folder import work_folder
from tests.data_pipelines.hospital import write_mimic_iv
from tests.data_pipelines.stores import content

_KILLS = 20
_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hospital of 60 stays."""
    return write_mimic_iv(tmp_path_factory.mktemp("drifting"), n_subjects=60)


def _command(raw: Path, output: Path, *options: str) -> list[str]:
    words = ["extract", "--source", "mimic_iv", "--input", str(raw), "--output", str(output), "--shards", "5", "--threads", "2", *options]
    return [sys.executable, "-m", "clin_jepa.cli", *words]


def _start(raw: Path, output: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen(_command(raw, output), cwd=_REPOSITORY, stdout=stream, stderr=stream, start_new_session=True)


def test_killed_at_random_moments(drifting: Path, tmp_path: Path) -> None:
    """Kill -9, again and again: each rerun goes on, and what it completes has the bytes of an undisturbed run."""
    began = time.monotonic()
    undisturbed = content(extract("mimic_iv", drifting, tmp_path / "undisturbed", shards=5, threads=2))
    seconds = time.monotonic() - began + 1.0  # a process of its own has to import first
    moments = random.Random(0)
    (tmp_path / "runs").mkdir()
    output, log, kills, completed = tmp_path / "runs" / "store", tmp_path / "log", 0, 0
    while kills < _KILLS or not completed:
        process = _start(drifting, output, log)
        try:
            process.wait(moments.uniform(0.2, 1.2) * seconds if kills < _KILLS else None)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            if not output.exists():
                continue
            # killed between the move into place and its own end: a store that is there is whole
            assert content(output) == undisturbed
            shutil.rmtree(output)
            continue
        assert process.returncode == 0, log.read_text()
        assert content(output) == undisturbed
        assert [path.name for path in output.parent.iterdir()] == ["store"]
        completed += 1
        shutil.rmtree(output)
    print(f"{kills} kills, {completed} completed runs")


def test_a_full_disk_keeps_what_is_finished(drifting: Path, tmp_path: Path) -> None:
    """A limit on the size of a file stands for the disk's; the rerun completes."""
    limited = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
    limited += "sys.argv = ['clinjepa', *sys.argv[1:]]; from clin_jepa.cli import main; sys.exit(main())"
    command = _command(drifting, tmp_path / "store", "--workers", "1")
    run = subprocess.run([command[0], "-c", limited, *command[3:]], cwd=_REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 2, run.stderr
    assert "the disk is full: free space, or choose another --output, and run again; what is finished is kept" in run.stderr
    assert not (tmp_path / "store").exists()
    assert extract("mimic_iv", drifting, tmp_path / "store", shards=5, threads=2, workers=1).is_dir()


def test_a_second_process_is_refused(drifting: Path, tmp_path: Path) -> None:
    with work_folder(tmp_path / "store", {"by": "another"}), pytest.raises(InputError, match="another clinjepa extract is writing"):
        extract("mimic_iv", drifting, tmp_path / "store")


def test_a_changed_input_starts_anew(drifting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished work of another input is not taken over."""
    raw = Path(shutil.copytree(drifting, tmp_path / "raw"))

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("data_pipelines.extract.gather", stopped)
        with pytest.raises(KeyboardInterrupt):
            extract("mimic_iv", raw, tmp_path / "store")
    write_mimic_iv(raw, n_subjects=8)
    changed = extract("mimic_iv", raw, tmp_path / "store")
    assert content(changed) == content(extract("mimic_iv", raw, tmp_path / "fresh"))


def test_ctrl_c_stops_at_once(drifting: Path, tmp_path: Path) -> None:
    """In the middle of the work: exit code 130, no output, and the rerun completes."""
    log = tmp_path / "log"
    process = _start(drifting, tmp_path / "store", log)
    while not (tmp_path / ".store.partial" / "identity.json").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130, log.read_text()
    assert "interrupted" in log.read_text()
    assert not (tmp_path / "store").exists()
    assert extract("mimic_iv", drifting, tmp_path / "store", shards=5, threads=2).is_dir()
