"""Jobs begin after those that they need, several at once, and what each returned is kept."""

import os
import signal
import time
from pathlib import Path

import pytest

from study.jobs import Job, run_jobs


def write(file: Path, needed: list[Path], seconds: float = 0.0) -> int:
    """Write when it began and ended; the process that did."""
    assert all(path.is_file() for path in needed)
    began = time.monotonic()
    time.sleep(seconds)
    file.write_text(f"{began} {time.monotonic()}")
    return os.getpid()


def fail() -> None:
    """Break."""
    raise ValueError("on purpose")


def die() -> None:
    """As where there is no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_job_begins_when_those_that_it_needs_have_ended_and_others_do_not_wait_for_it(tmp_path: Path) -> None:
    a, b, c, d = (tmp_path / name for name in "abcd")
    jobs = [
        Job("a", write, (a, [], 0.5)),
        Job("b", write, (b, [a]), ("a",)),
        Job("c", write, (c, [], 0.5)),
        Job("d", write, (d, [b, c]), ("b", "c", "not among them")),
    ]
    returned = run_jobs(jobs, workers=2)
    assert sorted(returned) == ["a", "b", "c", "d"]
    assert os.getpid() not in returned.values()
    began_a, ended_a = map(float, a.read_text().split())
    began_c, ended_c = map(float, c.read_text().split())
    assert max(began_a, began_c) < min(ended_a, ended_c)


def test_none_begins_after_the_end(tmp_path: Path) -> None:
    assert run_jobs([Job("a", write, (tmp_path / "a", []))], workers=2, end=time.monotonic()) == {}
    assert not (tmp_path / "a").exists()


def test_what_breaks_is_not_swallowed() -> None:
    with pytest.raises(ValueError, match="on purpose"):
        run_jobs([Job("a", fail)], workers=1)


def test_a_job_that_is_killed_ends_itself_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [Job("a", die), Job("b", write, (tmp_path / "b", [], 0.5)), Job("c", write, (tmp_path / "c", []))]
    returned = run_jobs(jobs, workers=2)
    assert returned["a"] is False
    assert (tmp_path / "b").is_file() and (tmp_path / "c").is_file()
    assert "a: its process was killed (exit code -9)" in capsys.readouterr().out
