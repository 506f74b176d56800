"""Checkpoint files: written whole or not at all, read without running code, refused with the reason, and no larger than what they hold."""

import errno
import os
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clin_jepa.checkpoint import FORMAT, AtomicCheckpointIO, read_checkpoint
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA
from tests.language_models import save_language_model
from tests.training_runs import Run, clinjepa, curriculum, phase

CONTENT: dict[str, Any] = {
    "clin_jepa": {"format": FORMAT, "position": {}, "regime": {}, "schedule_steps": 1, "encoder": {}},
    "state_dict": {"weight": torch.arange(200_000.0)},
    **{name: {} for name in ("hyper_parameters", "optimizer_states", "lr_schedulers", "loops", "callbacks", "TrajectoryDataModule")},
    "global_step": 1,
}
TRAP = "sprung"


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.folder / TRAP}",)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good checkpoint."""
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    return path


def refusal(path: Path) -> str:
    """Why a file is refused, by our reader and by the one that Lightning asks, whatever it asks for."""
    with pytest.raises(InputError) as ours:
        read_checkpoint(path)
    with pytest.raises(InputError) as lightnings:
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)
    assert str(ours.value) == str(lightnings.value)
    assert str(path) in str(ours.value)
    return str(ours.value)


# ---------------------------------------------------------------------- reading


def test_a_good_file_is_read_whole(file: Path) -> None:
    assert torch.equal(read_checkpoint(file)["state_dict"]["weight"], CONTENT["state_dict"]["weight"])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(file: Path, share: float) -> None:
    os.truncate(file, int(file.stat().st_size * share))
    assert "is damaged or not a Clin-JEPA checkpoint" in refusal(file) and "use another checkpoint" in refusal(file)


def test_a_flipped_bit_in_a_tensor_is_found(file: Path) -> None:
    # torch.load alone would return another weight.
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert not torch.equal(torch.load(file, weights_only=True)["state_dict"]["weight"], CONTENT["state_dict"]["weight"])

    assert "is damaged" in refusal(file)


@pytest.mark.parametrize("content", [{"state_dict": {}}, {"weight": torch.zeros(2)}, [1, 2], {"clin_jepa": 3}, {"clin_jepa": {}}], ids=str)
def test_a_file_of_another_tool_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "foreign.ckpt")
    assert "is not a Clin-JEPA checkpoint: use one from a run's checkpoints folder" in refusal(tmp_path / "foreign.ckpt")


def test_a_zip_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "book.ckpt", "w") as parts:
        parts.writestr("page", "text")
    assert "is damaged or not a Clin-JEPA checkpoint" in refusal(tmp_path / "book.ckpt")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path: Path, legacy: bool) -> None:
    torch.save({**CONTENT, "trap": Trap(tmp_path)}, tmp_path / "trap.ckpt", _use_new_zipfile_serialization=not legacy)
    words = "is damaged or not" if legacy else "holds objects other than tensors and plain values, and loading them could run code"

    assert words in refusal(tmp_path / "trap.ckpt")
    assert not (tmp_path / TRAP).exists()


def test_a_bare_pickle_is_refused_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "trap.ckpt").write_bytes(pickle.dumps(Trap(tmp_path)))

    assert "is damaged or not a Clin-JEPA checkpoint" in refusal(tmp_path / "trap.ckpt")
    assert not (tmp_path / TRAP).exists()


@pytest.mark.parametrize("number", [FORMAT - 1, FORMAT + 1])
def test_a_file_of_another_version_is_refused(tmp_path: Path, number: int) -> None:
    torch.save({**CONTENT, "clin_jepa": {"format": number}}, tmp_path / "other.ckpt")
    said = refusal(tmp_path / "other.ckpt")
    assert f"was made by another version of Clin-JEPA (format {number}, this one reads {FORMAT}): use that version" in said


LOST = ["hyper_parameters", "TrajectoryDataModule", "optimizer_states", "loops", "callbacks", "clin_jepa.position"]


@pytest.mark.parametrize("part", LOST)
def test_a_file_that_lacks_a_part_is_refused(file: Path, part: str) -> None:
    content = torch.load(file, weights_only=True)
    owner, _, name = part.rpartition(".")
    del (content[owner] if owner else content)[name]
    torch.save(content, file)
    assert f"lacks {name}: it is no whole Clin-JEPA checkpoint" in refusal(file)


def test_a_folder_is_called_one(tmp_path: Path) -> None:
    assert "is a folder: give a file in it" in refusal(tmp_path)


def test_a_tensor_that_is_marked_as_a_folder_is_refused(file: Path) -> None:
    # torch.load would return whatever lies in memory, and the checksum says nothing of it.
    with zipfile.ZipFile(file) as parts:
        name = next(part.filename for part in parts.infolist() if "/data/" in part.filename)
    content = bytearray(file.read_bytes())
    in_directory = content.rindex(name.encode())
    content[in_directory - 8] |= 0x10  # external attributes, in the archive's directory
    file.write_bytes(content)

    assert "is damaged" in refusal(file)


@pytest.mark.parametrize("verb", ["validate", "test", "predict", "evaluate"])
def test_every_verb_refuses_code(in_one_go: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    torch.save({**in_one_go.checkpoint(), "trap": Trap(tmp_path)}, tmp_path / "trap.ckpt")
    words = ("--config", in_one_go.folder / "config.yaml", "--run", tmp_path / "run") if verb != "evaluate" else ("--run", in_one_go.folder)
    option = "--ckpt_path" if verb != "evaluate" else "--checkpoint"

    assert clinjepa(verb, *words, option, tmp_path / "trap.ckpt") == 2

    assert "could run code" in capsys.readouterr().err
    assert not (tmp_path / TRAP).exists()


def test_a_trained_module_refuses_code(tmp_path: Path) -> None:
    torch.save({**CONTENT, "trap": Trap(tmp_path)}, tmp_path / "trap.ckpt")
    with pytest.raises(InputError, match="could run code"):
        ClinJEPA.from_checkpoint(tmp_path / "trap.ckpt")


def test_checking_a_file_is_cheap(tmp_path: Path) -> None:
    # 0.7 s a gigabyte where this was written; the bound is for slow machines.
    AtomicCheckpointIO().save_checkpoint({**CONTENT, "state_dict": {"weight": torch.zeros(32, 2**20)}}, tmp_path / "large.ckpt")
    begin = time.process_time()
    read_checkpoint(tmp_path / "large.ckpt")
    assert time.process_time() - begin < 3.0


# ---------------------------------------------------------------------- writing


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_as_torch_says_it(*_: object) -> None:
    try:
        full()
    except OSError:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 8394624 vs 8394576")  # noqa: B904 - so does torch


@pytest.mark.parametrize("where", ["torch.save", "torch.save, wrapped", "os.fsync"])
@pytest.mark.parametrize("earlier", [True, False], ids=["with an earlier file", "without one"])
def test_a_full_disk_keeps_the_earlier_file(file: Path, monkeypatch: pytest.MonkeyPatch, where: str, earlier: bool) -> None:
    good = file.read_bytes()
    if not earlier:
        file.unlink()
    if where == "os.fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(torch, "save", full if where == "torch.save" else full_as_torch_says_it)

    with pytest.raises(InputError, match=r"last\.ckpt cannot be written \(No space left on device\).*make room, then continue") as error:
        AtomicCheckpointIO().save_checkpoint(CONTENT, file)

    assert ("the one before it is kept" if earlier else "nothing of it is left") in str(error.value)
    assert [left.read_bytes() for left in file.parent.iterdir()] == [good] * earlier


def test_a_full_disk_ends_the_run_with_a_line(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    save, saved = torch.save, []

    def full_at_the_third(content: Any, file: Any) -> None:
        saved.append(content["global_step"])
        full() if len(saved) == 3 else save(content, file)

    monkeypatch.setattr(torch, "save", full_at_the_third)
    assert run.fit(curriculum(), "--checkpoint_every", "1") == 2

    said = capsys.readouterr().err
    assert "last.ckpt cannot be written (No space left on device), the one before it is kept" in said and "Traceback" not in said
    monkeypatch.undo()
    assert run.fit(curriculum(), "--ckpt_path", "last") == 0


def test_any_other_error_is_not_taken_for_a_full_disk(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        AtomicCheckpointIO().save_checkpoint(CONTENT, file)


def test_the_content_is_on_disk_before_the_name_changes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: done.append(Path(f"/proc/self/fd/{number}").readlink().name) or sync(number))
    monkeypatch.setattr(Path, "replace", lambda path, to: done.append("rename") or replace(path, to))

    AtomicCheckpointIO().save_checkpoint(CONTENT, file)

    assert done == [".last.ckpt.partial", "rename", "checkpoints"]


def test_what_a_killed_process_left_is_replaced(file: Path) -> None:
    left = file.with_name(".last.ckpt.partial")
    left.write_bytes(b"half")

    AtomicCheckpointIO().save_checkpoint(CONTENT, file)

    assert not left.exists()
    read_checkpoint(file)


# ---------------------------------------------------------------------- size


def test_a_lora_checkpoint_is_hardly_larger_than_what_it_must_hold(run: Run, tmp_path: Path) -> None:
    base = save_language_model(tmp_path / "base", hidden_size=256)
    encoder = {"base": str(base), "adaptation": "lora", "lora_rank": 16}
    predictor = {"width": 128, "feed_forward": 512, "layers": 2}
    over = {"model": {"encoder": encoder, "predictor": predictor}, "data": {"max_text_tokens": 48}}
    assert run.fit([phase(1, steps=1), phase(2, steps=1)], over=over) == 0

    state = run.checkpoint("phase2")["state_dict"]
    online, target = ({n: v for n, v in state.items() if "lora_" in n and f".{which}." in n} for which in ("online", "target"))
    predictor_state = {name: v for name, v in state.items() if name.startswith("predictor.")}
    assert len(online) == len(target) > 0 and {*state} == {*online, *target, *predictor_state}
    # Adam keeps two numbers for each that trains.
    needed = 3 * _bytes(online) + _bytes(target) + 3 * _bytes(predictor_state)
    assert run.checkpoint_path("phase2").stat().st_size <= 1.2 * needed


def _bytes(tensors: dict[str, Tensor]) -> int:
    return sum(value.nbytes for value in tensors.values())
