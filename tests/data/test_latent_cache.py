"""Cached latents are those of the encoder, whatever asked for them first, and never those of other weights."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.latent_cache import LatentCache, remove_other_caches
from clin_jepa.encoder import TextEncoder
from clin_jepa.errors import InputError
from clin_jepa.language_model import EncoderConfig


@pytest.fixture
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(EncoderConfig(vocab_size=2048)).requires_grad_(False)


class Counted:
    """An encoder that counts its calls."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder, self.calls = encoder, 0

    def __call__(self, token_N: Tensor, length_U: Tensor) -> Tensor:
        self.calls += 1
        return self.encoder(token_N, length_U)


def opened(folder: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder, dtype: str = "float32") -> LatentCache:
    return LatentCache(folder, datamodule.tokens, encoder.fingerprint(), encoder.latent_dim, dtype)  # type: ignore[arg-type]


def fresh(datamodule: TrajectoryDataModule, encoder: TextEncoder, ids: Tensor) -> Tensor:
    token_N, length_U = datamodule.tokens.gather(ids.numpy())
    return encoder(torch.from_numpy(token_N), torch.from_numpy(length_U))


IDS = torch.tensor([3, 40, 41, 7, 200])


def test_cached_latents_equal_fresh_ones(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    cached = opened(tmp_path, datamodule, encoder).latents(IDS, encoder)

    torch.testing.assert_close(cached, fresh(datamodule, encoder, IDS), atol=1e-5, rtol=0)


def test_a_hit_equals_the_miss_before_it_bit_for_bit_without_encoding(
    tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder
) -> None:
    cache, counted = opened(tmp_path, datamodule, encoder), Counted(encoder)
    miss = cache.latents(IDS, counted)
    calls = counted.calls

    assert torch.equal(cache.latents(IDS, counted), miss)
    assert counted.calls == calls > 0


def test_bits_do_not_depend_on_what_was_asked_before(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    everything = torch.arange(datamodule.tokens.n_texts)
    at_once = opened(tmp_path / "a", datamodule, encoder).latents(everything, encoder)
    cache = opened(tmp_path / "b", datamodule, encoder)
    for part in reversed(everything.split(37)):
        cache.latents(part, encoder)

    assert torch.equal(cache.latents(everything, encoder), at_once)


def test_the_cache_survives_reopening(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    first = opened(tmp_path, datamodule, encoder).latents(IDS, encoder)
    counted = Counted(encoder)

    assert torch.equal(opened(tmp_path, datamodule, encoder).latents(IDS, counted), first)
    assert counted.calls == 0


def test_a_changed_weight_never_meets_an_old_latent(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    old = opened(tmp_path, datamodule, encoder).latents(IDS, encoder)
    with torch.no_grad():
        next(iter(encoder.online_parameters().values())).add_(0.01)

    new = opened(tmp_path, datamodule, encoder).latents(IDS, encoder)

    assert not torch.equal(new, old)
    torch.testing.assert_close(new, fresh(datamodule, encoder, IDS), atol=1e-5, rtol=0)


def test_other_tokens_have_a_cache_of_their_own(tmp_path: Path, small_store_path: Path, encoder: TextEncoder) -> None:
    folders = {opened(tmp_path, TrajectoryDataModule(str(small_store_path), vocab_size=n), encoder).folder for n in (600, 2048)}

    assert len(folders) == 2


def test_bfloat16_returns_the_rounded_latents(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    exact = opened(tmp_path, datamodule, encoder).latents(IDS, encoder)

    half = opened(tmp_path, datamodule, encoder, "bfloat16").latents(IDS, encoder)

    assert half.dtype == torch.float32
    assert torch.equal(half, exact.bfloat16().float())


def test_a_page_that_breaks_off_is_encoded_again(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    cache = opened(tmp_path, datamodule, encoder)

    def broken(token_N: Tensor, length_U: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.latents(IDS, broken)

    reopened = opened(tmp_path, datamodule, encoder).latents(IDS, encoder)
    torch.testing.assert_close(reopened, fresh(datamodule, encoder, IDS), atol=1e-5, rtol=0)


def test_a_flipped_bit_is_found_by_the_next_process_and_the_page_encoded_again(
    tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder
) -> None:
    first = opened(tmp_path, datamodule, encoder)
    expected = first.latents(IDS, encoder)
    content = bytearray((first.folder / "latents.bin").read_bytes())
    content[int(IDS[1]) * encoder.latent_dim * 4 + 3] ^= 1
    (first.folder / "latents.bin").write_bytes(content)

    again, counted = opened(tmp_path, datamodule, encoder), Counted(encoder)
    with pytest.warns(UserWarning, match=r"latents\.bin is damaged at page 0: its texts are encoded anew"):
        found = again.latents(IDS, counted)

    assert counted.calls == 1
    assert torch.equal(found, expected)
    assert opened(tmp_path, datamodule, encoder).missing(IDS.numpy()).tolist() == []


def test_hits_and_misses_are_counted(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    cache = opened(tmp_path, datamodule, encoder)
    cache.latents(IDS, encoder)
    assert (cache.asked_texts, cache.missed_texts) == (len(IDS), len(IDS))
    cache.latents(IDS, encoder)
    assert (cache.asked_texts, cache.missed_texts) == (2 * len(IDS), len(IDS))


def test_only_the_newest_encoder_s_cache_is_kept(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    opened(tmp_path, datamodule, encoder)
    with torch.no_grad():
        next(iter(encoder.online_parameters().values())).add_(0.01)
    newest = opened(tmp_path, datamodule, encoder)
    (tmp_path / "notes.txt").write_text("not a cache")

    remove_other_caches(tmp_path, keep=newest.fingerprint)

    assert {file.name for file in tmp_path.iterdir()} == {newest.fingerprint, "notes.txt"}


def test_a_cache_has_the_permissions_of_the_umask(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    before = os.umask(0o027)
    try:
        folder = opened(tmp_path, datamodule, encoder).folder
    finally:
        os.umask(before)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o640}
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    (tmp_path / "file").write_text("a file")

    with pytest.raises(InputError, match=r"file/latents cannot be written.*--model\.latent_cache none"):
        opened(tmp_path / "file" / "latents", datamodule, encoder)


def test_two_that_open_an_empty_folder_at_once_share_one_cache(
    tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[LatentCache] = []
    create = LatentCache._create

    def overtaken(self: LatentCache, *arguments: Any) -> None:
        if not others:  # another process makes the files after this one has found none
            others.append(LatentCache.__new__(LatentCache))
            others[0].__init__(tmp_path, datamodule.tokens, encoder.fingerprint(), encoder.latent_dim)  # type: ignore[misc]
        create(self, *arguments)

    monkeypatch.setattr(LatentCache, "_create", overtaken)
    late, counted = opened(tmp_path, datamodule, encoder), Counted(encoder)
    expected = fresh(datamodule, encoder, IDS)

    torch.testing.assert_close(late.latents(IDS, encoder), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(others[0].latents(IDS, counted), expected, atol=1e-5, rtol=0)
    assert counted.calls == 0


def test_a_cache_that_lacks_a_file_is_named(tmp_path: Path, datamodule: TrajectoryDataModule, encoder: TextEncoder) -> None:
    cache = opened(tmp_path, datamodule, encoder)
    (cache.folder / "checksums.bin").unlink()
    with pytest.raises(InputError, match=r"lacks checksums.bin: delete the folder"):
        opened(tmp_path, datamodule, encoder)
