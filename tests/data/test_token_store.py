"""Tokens are written once, whole or not at all, and read back by any process."""

import os
import pickle
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clin_jepa.data import token_store
from clin_jepa.data.token_store import TokenStore, open_token_store
from clin_jepa.data.tokenizer import store_tokenizer
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError


@pytest.fixture(scope="module")
def store(small_store_path: Path) -> TrajectoryStore:
    return TrajectoryStore(small_store_path)


def opened(store: TrajectoryStore, folder: Path, vocab_size: int = 1024, max_tokens: int = 4096) -> TokenStore:
    return open_token_store(store, store_tokenizer(store, folder, vocab_size), folder, max_tokens, progress=False)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(f.relative_to(folder)): (f.read_bytes(), f.stat().st_mtime_ns) for f in sorted(folder.rglob("*")) if f.is_file()}


def test_the_second_opening_builds_nothing(store: TrajectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(store, tmp_path)
    before = contents(tmp_path)
    monkeypatch.delattr(token_store, "_build")

    second = opened(TrajectoryStore(store.path), tmp_path)

    assert contents(tmp_path) == before
    assert second.fingerprint == first.fingerprint


def test_two_builds_are_byte_for_byte_equal(store: TrajectoryStore, tmp_path: Path) -> None:
    opened(store, tmp_path / "a")
    opened(store, tmp_path / "b")

    assert [data for data, _ in contents(tmp_path / "a").values()] == [data for data, _ in contents(tmp_path / "b").values()]


@pytest.mark.parametrize("other", [{"vocab_size": 600}, {"max_tokens": 16}], ids=str)
def test_other_settings_get_tokens_of_their_own(store: TrajectoryStore, tmp_path: Path, other: dict[str, int]) -> None:
    assert opened(store, tmp_path, **other).folder != opened(store, tmp_path).folder


def test_a_build_that_breaks_off_leaves_nothing(store: TrajectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_tokenizer(store, tmp_path, 1024)
    before = contents(tmp_path)
    monkeypatch.setattr(np, "save", _no_space)

    with pytest.raises(OSError, match="no space"):
        opened(store, tmp_path)

    assert contents(tmp_path) == before


def _no_space(*_: object) -> None:
    raise OSError("no space left on device")


def test_a_worker_reads_the_files_and_gets_no_copy(store: TrajectoryStore, tmp_path: Path) -> None:
    tokens = opened(store, tmp_path)
    sent = pickle.dumps(tokens)

    assert len(sent) < 500
    assert np.array_equal(pickle.loads(sent).token_N, tokens.token_N)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_and_folders_have_the_permissions_of_the_umask(store: TrajectoryStore, tmp_path: Path) -> None:
    tokens = opened(store, tmp_path)

    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (tokens.folder, *tmp_path.glob("*.json"), *tokens.folder.iterdir())}
    assert len(found) > 7
    assert {path.name: oct(mode) for path, mode in found.items() if mode != (0o750 if path.is_dir() else 0o640)} == {}


def test_a_folder_that_cannot_be_written_is_refused(store: TrajectoryStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    tokenizer = store_tokenizer(store, tmp_path, 1024)

    with pytest.raises(InputError, match=r"file/tokens cannot be written.*--data\.token_folder"):
        open_token_store(store, tokenizer, tmp_path / "file" / "tokens", progress=False)
    with pytest.raises(InputError, match=r"file/tokens cannot be written.*--data\.token_folder"):
        store_tokenizer(store, tmp_path / "file" / "tokens", 1024)


def test_tokens_that_are_there_are_read_where_nothing_can_be_written(
    store: TrajectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(store, tmp_path)
    monkeypatch.setattr(Path, "mkdir", _no_space)

    assert opened(store, tmp_path).fingerprint == first.fingerprint


def test_a_text_that_is_too_long_keeps_its_beginning_and_its_end_token(store: TrajectoryStore, tmp_path: Path) -> None:
    cut, whole = opened(store, tmp_path, max_tokens=8), opened(store, tmp_path)
    end = store_tokenizer(store, tmp_path, 1024).eos_token_id

    for text in range(cut.n_texts):
        short, full = cut.gather(np.array([text]))[0], whole.gather(np.array([text]))[0]
        assert short.tolist() == ([*full[:7], end] if len(full) > 8 else full.tolist())
    assert cut.about["n_truncated"] == sum(whole.offset_U[1:] - whole.offset_U[:-1] > 8)


def test_equal_texts_have_one_number(store: TrajectoryStore, tmp_path: Path) -> None:
    tokens = opened(store, tmp_path)
    hours = store.scan_hours().collect()
    texts = {*hours["state_text"], *hours["action_text"], *store.stays["static_text"]}

    assert tokens.n_texts == len(texts)


def test_the_tokenizer_reads_training_texts_only(store: TrajectoryStore, tmp_path: Path) -> None:
    # A word of the held-out split that is nowhere in training would otherwise become a token.
    from clin_jepa.data.tokenizer import _training_texts

    train = store.stays.filter(store.stays["split"] == "train")["stay_id"]
    hours = store.scan_hours().collect()
    own = hours.filter(hours["stay_id"].is_in(train.implode()))
    allowed = {*own["state_text"], *own["action_text"], *store.stays.filter(store.stays["split"] == "train")["static_text"]}

    assert set(_training_texts(store)) == allowed


def test_a_vocabulary_below_the_bytes_is_refused(store: TrajectoryStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vocab_size 300 is too small"):
        store_tokenizer(store, tmp_path, 300)
