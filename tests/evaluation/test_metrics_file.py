import json
import re
from pathlib import Path
from typing import Any

import pytest

from clin_jepa.errors import InputError
from clin_jepa.evaluation.metrics_file import read_metrics, write_metrics

SECTIONS: dict[str, Any] = {"dataset": {}, "encoder": {}, "run": {}, "drift": {"l1": [0.5, None]}, "collapse": {}}


def test_what_is_written_is_read_back(metrics: dict[str, Any], tmp_path: Path) -> None:
    sections = {name: section for name, section in metrics.items() if name != "schema_version"}
    path = write_metrics(sections, tmp_path / "new" / "evaluation" / "metrics.json")
    assert read_metrics(path) == json.loads(json.dumps(metrics))
    assert list(read_metrics(path)) == ["schema_version", "dataset", "encoder", "run", "drift", "collapse"]


def test_later_sections_appear_only_where_computed(tmp_path: Path) -> None:
    written = read_metrics(write_metrics(SECTIONS | {"geometry": {"ratio": 2.0}}, tmp_path / "metrics.json"))
    assert written["geometry"] == {"ratio": 2.0}
    assert "tasks" not in written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_named(value: float, tmp_path: Path) -> None:
    broken = SECTIONS | {"drift": {"models": {"linear": {"l1": [0.5, value]}}}}
    with pytest.raises(ValueError, match=re.escape("metrics.drift.models.linear.l1[1] is")):
        write_metrics(broken, tmp_path / "metrics.json")
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_is_no_json_is_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("metrics.run.path is of type PosixPath")):
        write_metrics(SECTIONS | {"run": {"path": tmp_path}}, tmp_path / "metrics.json")


def test_missing_and_unknown_sections_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="collapse"):
        write_metrics({name: {} for name in ("dataset", "encoder", "run", "drift")}, tmp_path / "metrics.json")
    with pytest.raises(ValueError, match="geometri"):
        write_metrics(SECTIONS | {"geometri": {}}, tmp_path / "metrics.json")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_metrics(SECTIONS, tmp_path / "metrics.json")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match="No space left on device"):
        write_metrics(SECTIONS | {"tasks": {}}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 2}'])
def test_a_file_that_does_not_fit_is_refused_with_its_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'metrics.json'}")):
        read_metrics(tmp_path / "metrics.json")


def test_a_missing_file_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="clinjepa evaluate"):
        read_metrics(tmp_path / "metrics.json")
