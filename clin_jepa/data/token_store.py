"""TokenStore: every text of a trajectory store, tokenised once, in memory-mapped files."""

import hashlib
import json
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from clin_jepa.batch import TextSource
from clin_jepa.data.mapped_folder import MappedFolder, written_once
from clin_jepa.data.tokenizer import tokenizer_fingerprint
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError

_FORMAT = 1
_TEXTS_AT_ONCE = 20_000


class TokenStore(MappedFolder, TextSource):
    """Tokens of the unique texts of a store, and for each stay and hour the numbers of its texts.

    Texts are numbered in the order of first occurrence, stay by stay: the static text, then all states, then all actions. Everything
    is memory-mapped: opening costs nothing, memory does not grow with the store, worker processes share the pages.

    Args:
        folder: The folder that `build` wrote.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.token_N: NDArray[Any] = self._map("tokens")
        self.offset_U: NDArray[np.int64] = self._map("offsets")
        self.state_H: NDArray[np.int64] = self._map("states")
        self.action_H: NDArray[np.int64] = self._map("actions")
        self.static_S: NDArray[np.int64] = self._map("statics")
        self.first_row_S: NDArray[np.int64] = self._map("first_rows")

    @property
    def fingerprint(self) -> str:
        """Identity of the tokens: store, tokenizer and settings together."""
        return str(self.about["fingerprint"])

    @property
    def n_texts(self) -> int:
        """Number of unique texts."""
        return len(self.offset_U) - 1

    def gather(self, text_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens (int64, concatenated) and lengths (int64) of the named texts."""
        start, stop = self.offset_U[text_ids], self.offset_U[text_ids + 1]
        pieces = [self.token_N[a:b] for a, b in zip(start, stop, strict=True)]
        return np.concatenate(pieces).astype(np.int64), (stop - start).astype(np.int64)


def open_token_store(
    store: TrajectoryStore, tokenizer: PreTrainedTokenizerBase, folder: Path, max_tokens: int = 4096, progress: bool = True
) -> TokenStore:
    """The tokens of a store; written at the first call, opened afterwards.

    Args:
        store: The trajectory store.
        tokenizer: Its texts end with the tokenizer's end-of-text token, whose hidden state becomes the latent.
        folder: Where token stores are kept; each lies in a folder named by its fingerprint.
        max_tokens: A longer text keeps its first ``max_tokens - 1`` tokens and the end-of-text token.
        progress: Whether a progress bar is shown.

    Raises:
        InputError: If the tokens are not there yet and the folder cannot be written, or an hour of a stay is missing.
    """
    settings = {
        "format": _FORMAT,
        "store": store.fingerprint,
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "max_tokens": max_tokens,
    }
    fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    about = {**settings, "fingerprint": fingerprint}
    return TokenStore(written_once(folder, fingerprint[:16], lambda staging: _build(store, tokenizer, staging, about, progress)))


def _build(store: TrajectoryStore, tokenizer: PreTrainedTokenizerBase, folder: Path, about: dict[str, Any], progress: bool) -> None:
    texts, numbers, n_hours = _number_texts(store)
    np.save(folder / "statics.npy", numbers["static"])
    np.save(folder / "states.npy", numbers["state"])
    np.save(folder / "actions.npy", numbers["action"])
    np.save(folder / "first_rows.npy", np.concatenate([[0], np.cumsum(n_hours)]).astype(np.int64))
    end, max_tokens = tokenizer.eos_token_id, about["max_tokens"]
    kind = np.dtype(np.uint16 if len(tokenizer) <= 2**16 else np.uint32)
    lengths = np.zeros(len(texts), dtype=np.int64)
    n_truncated = 0
    # Block by block to disk: the tokens of a large store do not fit in memory.
    with (folder / "tokens.raw").open("wb") as raw:
        for first in tqdm(range(0, len(texts), _TEXTS_AT_ONCE), desc="tokenise", unit="block", disable=not progress):
            block = tokenizer(texts[first : first + _TEXTS_AT_ONCE].to_list(), add_special_tokens=False)["input_ids"]
            n_truncated += sum(len(ids) >= max_tokens for ids in block)
            rows = [[*ids[: max_tokens - 1], end] for ids in block]
            lengths[first : first + len(rows)] = [len(row) for row in rows]
            np.fromiter(chain.from_iterable(rows), dtype=kind).tofile(raw)
    _as_npy(folder / "tokens.raw", folder / "tokens.npy", kind)
    np.save(folder / "offsets.npy", np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    counts = {"n_texts": len(texts), "n_tokens": int(lengths.sum()), "n_truncated": int(n_truncated), "vocab_size": len(tokenizer)}
    (folder / "about.json").write_text(json.dumps({**about, **counts}, indent=2), encoding="utf-8")


def _as_npy(raw: Path, target: Path, kind: np.dtype[Any]) -> None:
    """Move numbers from a file that holds nothing else into one that numpy maps."""
    count = raw.stat().st_size // kind.itemsize
    with target.open("wb") as npy, raw.open("rb") as numbers:
        np.lib.format.write_array_header_1_0(npy, {"descr": kind.str, "fortran_order": False, "shape": (count,)})
        shutil.copyfileobj(numbers, npy)
    raw.unlink()


def _number_texts(store: TrajectoryStore) -> tuple[pl.Series, dict[str, NDArray[np.int64]], NDArray[np.int64]]:
    """The unique texts in order of first occurrence; for each stay and each hour the number of its texts; hours of each stay."""
    stays = store.stays.select("stay_id", "static_text", "n_hours").with_row_index("stay")
    hours = store.scan_hours().select("stay_id", "hour", "state_text", "action_text").collect()
    hours = hours.join(stays.select("stay_id", "stay"), on="stay_id").sort("stay", "hour")
    counted = hours.group_by("stay", maintain_order=True).agg(pl.len().alias("n"), pl.col("hour").max().alias("last"))
    if counted["stay"].to_list() != list(range(len(stays))) or not (counted["n"] == stays["n_hours"]).all():
        raise InputError(f"{store.path / 'hours'} does not have n_hours rows for each stay: the store is damaged, extract it again")
    rows = pl.concat(
        [
            stays.select("stay", pl.lit(0).alias("kind"), pl.lit(0).cast(pl.Int32).alias("hour"), pl.col("static_text").alias("text")),
            hours.select("stay", pl.lit(1).alias("kind"), pl.col("hour").cast(pl.Int32), pl.col("state_text").alias("text")),
            hours.select("stay", pl.lit(2).alias("kind"), pl.col("hour").cast(pl.Int32), pl.col("action_text").alias("text")),
        ]
    ).sort("stay", "kind", "hour")
    texts = rows["text"].unique(maintain_order=True)
    order = pl.DataFrame({"text": texts}).with_row_index("number")
    rows = rows.join(order, on="text", maintain_order="left")
    numbers = {
        name: rows.filter(pl.col("kind") == kind)["number"].to_numpy().astype(np.int64)
        for kind, name in enumerate(("static", "state", "action"))
    }
    return texts, numbers, counted["n"].to_numpy().astype(np.int64)
