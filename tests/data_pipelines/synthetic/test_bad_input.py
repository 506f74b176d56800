"""What does not fit is refused with a message that names it and the way out; nothing is left behind."""

from pathlib import Path
from typing import Any

import pytest

from clin_jepa.errors import InputError
from data_pipelines.synthetic import workers
from data_pipelines.synthetic.chunks import Chunk
from data_pipelines.synthetic.hospital import Members, build
from data_pipelines.synthetic.synthesize import synthesize


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "neither of stays and scale given"),
        ({"stays": 5, "scale": 0.1}, "both of stays and scale given"),
        ({"stays": 0}, "stays 0 is less than one"),
        ({"scale": 0.0}, "scale 0.0 is not a positive number"),
        ({"scale": float("nan")}, "scale nan is not a positive number"),
        ({"stays": 5, "seed": -1}, "seed -1 is negative"),
        ({"stays": 5, "workers": 0}, "workers 0 is less than one"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        synthesize(tmp_path / "hospital", **settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("overwrite", "message"), [(False, "pass --overwrite true"), (True, "holds no synthetic hospital")])
def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, overwrite: bool, message: str) -> None:
    (tmp_path / "precious.csv").write_text("subject_id\n")
    with pytest.raises(InputError, match=message):
        synthesize(tmp_path, stays=1, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.csv"]


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "hospital").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        synthesize(tmp_path / "hospital", stays=1)
    with pytest.raises(InputError, match="cannot be written"):
        synthesize(tmp_path / "hospital" / "below", stays=1)


def test_an_earlier_hospital_is_replaced_only_if_asked(tmp_path: Path) -> None:
    hospital = synthesize(tmp_path / "hospital", stays=2, workers=1)
    before = (hospital / "icu" / "icustays.csv.gz").read_bytes()
    with pytest.raises(InputError, match="pass --overwrite true"):
        synthesize(hospital, stays=2, seed=1, workers=1)
    assert (hospital / "icu" / "icustays.csv.gz").read_bytes() == before
    synthesize(hospital, stays=2, seed=1, workers=1, overwrite=True)
    assert (hospital / "icu" / "icustays.csv.gz").read_bytes() != before
    assert [path.name for path in tmp_path.iterdir()] == ["hospital"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("a defect"), OSError(28, "No space left on device")])
def test_an_interruption_leaves_nothing_and_keeps_the_earlier_hospital(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    hospital = synthesize(tmp_path / "hospital", stays=2, workers=1)
    before = (hospital / "synthetic_hospital.json").read_bytes()

    def fail_at_the_second(chunk: Chunk) -> Members:
        if chunk.index == 1:
            raise failure
        return build(chunk)

    monkeypatch.setattr(workers, "build", fail_at_the_second)
    expected = InputError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected):
        synthesize(hospital, stays=70, workers=1, overwrite=True)
    with pytest.raises(expected):
        synthesize(tmp_path / "new" / "hospital", stays=70, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["hospital"]
    assert (hospital / "synthetic_hospital.json").read_bytes() == before
