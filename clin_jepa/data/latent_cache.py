"""LatentCache: each text encoded once while the encoder is frozen, in a memory-mapped file."""

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor

from clin_jepa.data.token_store import TokenStore
from clin_jepa.errors import InputError
from clin_jepa.writable_folder import writable_folder

# Of the files; in the folder's name, so that caches of another format are never opened, and are swept as those of other weights are.
_FORMAT = 2
# Tokens of a page: the texts that are encoded together when one of them is missing.
_TOKENS_PER_PAGE = 16_384

Encode = Callable[[Tensor, Tensor], Tensor]


class LatentCache:
    """Latents of a token store's texts under one frozen encoder.

    The files lie in a folder named by the fingerprint of the encoder's weights and of the tokens (the first 16 digits of each): a changed
    online weight or text gives another folder. Of a frozen base that comes from elsewhere the fingerprint reads both ends of each tensor.
    Texts are encoded by *page* - a fixed run of texts - so that a text meets the same neighbours whatever asked for it first. Each page
    has a checksum, looked at when a process first reads the page; a damaged page is encoded anew. Device,
    precision of the forward pass and ``tokens_per_pack`` are not in the fingerprint: latents that another device wrote are a hit, and
    agree up to rounding.

    Args:
        folder: Where caches are kept.
        tokens: The token store.
        encoder_fingerprint: Identity of the encoder's weights.
        latent_dim: Features of a latent.
        dtype: Number format on disk; ``float32`` returns what the encoder gave, ``bfloat16`` halves the file.
        divide: Which pages this process encodes, given those that it misses; by default these. Where several processes share the files
            and work in step, it divides the work among them, with None where this one only runs the encoder along with the others. Asked
            again until it names none, so that all have read what they miss.

    Raises:
        InputError: If the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        tokens: TokenStore,
        encoder_fingerprint: str,
        latent_dim: int,
        dtype: Literal["float32", "bfloat16"] = "float32",
        divide: Callable[[Sequence[int]], Sequence[int | None]] | None = None,
    ) -> None:
        self.tokens, self.latent_dim, self._divide = tokens, latent_dim, divide or list
        self.dtype = getattr(torch, dtype)
        self.fingerprint = f"{encoder_fingerprint[:16]}-{tokens.fingerprint[:16]}-{dtype}-{_FORMAT}"
        self.folder = folder / self.fingerprint
        self.encoded_texts = self.asked_texts = self.missed_texts = 0
        about = {"encoder": encoder_fingerprint, "tokens": tokens.fingerprint, "dtype": dtype, "n_texts": tokens.n_texts}
        writable_folder(folder, "make it writable, give another --run, or encode anew at each step with --model.latent_cache none")
        if not self.folder.is_dir():
            self._create(folder, about)
        for name in ("latents.bin", "pages.bin", "checksums.bin"):
            if not (self.folder / name).is_file():
                raise InputError(f"{self.folder} lacks {name}: delete the folder, and its latents are encoded anew")
        kind = np.float32 if dtype == "float32" else np.uint16
        self._latent_UD: NDArray[Any] = np.memmap(self.folder / "latents.bin", dtype=kind, mode="r", shape=(tokens.n_texts, latent_dim))
        self._first_P = first_text_of_each_page(tokens)
        pages = (len(self._first_P),)
        self._full_P: NDArray[np.uint8] = np.memmap(self.folder / "pages.bin", dtype=np.uint8, mode="r+", shape=pages)
        self._checksum_P: NDArray[np.uint32] = np.memmap(self.folder / "checksums.bin", dtype=np.uint32, mode="r+", shape=pages)
        self._is_verified_P: NDArray[np.bool_] = np.zeros(pages, dtype=bool)

    def _create(self, folder: Path, about: dict[str, Any]) -> None:
        """Make empty files under a temporary name, then rename: half a cache is never seen."""
        with tempfile.TemporaryDirectory(dir=folder, prefix=".latents-") as private:
            # A folder within the private one gets the permissions that the user's umask gives.
            staging = Path(private) / "latents"
            staging.mkdir()
            size = 4 if about["dtype"] == "float32" else 2
            with (staging / "latents.bin").open("wb") as stream:
                stream.truncate(self.tokens.n_texts * self.latent_dim * size)
            pages = len(first_text_of_each_page(self.tokens))
            (staging / "pages.bin").write_bytes(bytes(pages))
            (staging / "checksums.bin").write_bytes(bytes(4 * pages))
            (staging / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
            try:
                os.rename(staging, self.folder)  # noqa: PTH104 - fails, unlike replace, where another process was first
            except OSError:
                if not (self.folder / "about.json").is_file():
                    raise

    @property
    def filled(self) -> float:
        """Share of pages that are encoded, 0 to 1."""
        return float(self._full_P.mean())

    def missing(self, text_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pages that hold one of the texts and are not encoded yet, ascending."""
        pages = np.unique(page_of_text(text_ids, self._first_P))
        for page in pages[(self._full_P[pages] == 1) & ~self._is_verified_P[pages]].tolist():
            if self._checksum(page) == self._checksum_P[page]:
                self._is_verified_P[page] = True
            else:
                rank_zero_warn(f"{self.folder / 'latents.bin'} is damaged at page {page}: its texts are encoded anew")
                self._full_P[page] = 0
        missing: NDArray[np.int64] = pages[self._full_P[pages] == 0]
        return missing

    def _rows_of(self, page: int) -> tuple[int, int]:
        """First text of a page, and the first one behind it."""
        last = self._first_P[page + 1] if page + 1 < len(self._first_P) else self.tokens.n_texts
        return int(self._first_P[page]), int(last)

    def _checksum(self, page: int) -> int:
        first, last = self._rows_of(page)
        return zlib.crc32(self._latent_UD[first:last].data)

    def latents(self, text_ids: Tensor, encode: Encode) -> Tensor:
        """Latents of texts, encoding the pages that are missing.

        Args:
            text_ids: Numbers of the texts, ``[U]`` int64.
            encode: The frozen encoder: tokens ``[N]`` and lengths ``[U]`` to latents ``[U, D]``.

        Returns:
            ``[U, D]`` float32 on the device of ``text_ids``.
        """
        ids = text_ids.cpu().numpy()
        self.asked_texts += len(ids)
        missing = self.missing(ids)
        self.missed_texts += int(np.isin(page_of_text(ids, self._first_P), missing).sum())
        while pages := self._divide(missing.tolist()):
            for page in pages:
                self._encode_page(page, encode)
            missing = self.missing(ids)
        rows = torch.from_numpy(np.ascontiguousarray(self._latent_UD[ids]))
        if self.dtype == torch.bfloat16:
            rows = rows.view(torch.bfloat16)
        return rows.to(text_ids.device, torch.float32)

    def _encode_page(self, page: int | None, encode: Encode) -> None:
        if page is None:
            with torch.no_grad():
                encode(torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64))
            return
        first, last = self._rows_of(page)
        token_N, length_U = self.tokens.gather(np.arange(first, last))
        with torch.no_grad():
            latent_UD = encode(torch.from_numpy(token_N), torch.from_numpy(length_U)).to("cpu", self.dtype).contiguous()
        rows = latent_UD.view(torch.uint16).numpy() if self.dtype == torch.bfloat16 else latent_UD.numpy()
        self._write_rows(first, rows)
        self._checksum_P[page] = zlib.crc32(rows.data)
        self._is_verified_P[page] = True
        # Only now: whatever ends the process or the power, a page that counts as encoded has its rows.
        self._full_P[page] = 1
        self.encoded_texts += last - first

    def _write_rows(self, first: int, rows: NDArray[Any]) -> None:
        """Bring rows to disk by writing, not through the memory map: on a full disk that would end the process without a word."""
        path = self.folder / "latents.bin"
        try:
            with path.open("r+b") as file:
                file.seek(first * rows[0].nbytes)
                file.write(rows.tobytes())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"latents cannot be written to {path} ({error.strerror}): make room, or encode anew at each step with "
                "--model.latent_cache none"
            ) from error


def remove_other_caches(folder: Path, keep: str) -> None:
    """Delete the caches of earlier encoder weights: a run keeps the latents of its newest encoder only."""
    for other in folder.glob("*-*-*"):
        if other.name != keep:
            shutil.rmtree(other, ignore_errors=True)


def first_text_of_each_page(tokens: TokenStore) -> NDArray[np.int64]:
    """First text of each page, ascending: a new page begins where the token count passes a multiple of the page size."""
    marks = np.arange(0, int(tokens.offset_U[-1]), _TOKENS_PER_PAGE)
    first: NDArray[np.int64] = np.unique(np.searchsorted(tokens.offset_U[:-1], marks)).astype(np.int64)
    return first[first < tokens.n_texts]


def page_of_text(text_ids: NDArray[np.int64], first_P: NDArray[np.int64]) -> NDArray[np.int64]:
    """Page of each of some texts.

    >>> page_of_text(np.array([0, 4, 5, 9]), first_P=np.array([0, 5])).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted(first_P, text_ids, side="right") - 1
