"""The tokenizer: a pretrained model's own, or a byte-level BPE trained on the store's training texts."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from clin_jepa.atomic_file import write_atomically
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.errors import InputError
from clin_jepa.writable_folder import writable_folder

END_OF_TEXT = "<|endoftext|>"

# The way out where the folder of the tokens cannot be written.
OTHER_TOKEN_FOLDER = "give another one with --data.token_folder"

# A piece is a fragment's name with the separator before it, or a number, or what is left (a unit): with this split a frequent
# fragment such as "; heart rate: 88 bpm" becomes three tokens, and no token mixes a number with a name.
_PIECES = Regex(r"; [^\d;]+|\d+(?:\.\d+)?")


def load_tokenizer(base: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a pretrained model.

    Args:
        base: Name on the Hugging Face hub, or a local folder.
        revision: Branch, tag or commit of the hub's repository.

    Raises:
        InputError: If the name is neither a folder with a tokenizer nor reachable.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base, revision=revision)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no tokenizer for {base!r}: it is neither a local folder with one nor reachable on the hub: "
            "give a local folder with --model.encoder.base, or go online"
        ) from error
    return tokenizer


def store_tokenizer(store: TrajectoryStore, folder: Path, vocab_size: int) -> PreTrainedTokenizerBase:
    """The tokenizer trained on the store's training texts; trained at the first call, read afterwards.

    Args:
        store: The trajectory store; only texts of the train split are read.
        folder: Where tokenizers are kept; one file for each store and size.
        vocab_size: Most tokens in the vocabulary.

    Raises:
        InputError: If the size is too small for the 256 bytes, the store has no training stay, or the folder cannot be written.
    """
    if vocab_size < 512:
        raise InputError(f"--data.vocab_size {vocab_size} is too small: a byte-level vocabulary needs at least 512 tokens")
    file = folder / f"bpe-{vocab_size}-{store.fingerprint[:16]}.json"
    if not file.is_file():
        writable_folder(folder, OTHER_TOKEN_FOLDER)
        write_atomically(file, _train(_training_texts(store), vocab_size).to_str())
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(file)), eos_token=END_OF_TEXT, pad_token=END_OF_TEXT)


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Identity of a tokenizer: SHA-256 of its vocabulary and, where it has one, of its full definition."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    definition = backend.to_str() if backend is not None else repr(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(definition.encode()).hexdigest()


def _training_texts(store: TrajectoryStore) -> Iterator[str]:
    train = store.stays.filter(pl.col("split") == "train")
    if train.is_empty():
        raise InputError(f"{store.path}: no stay is in the train split: a tokenizer cannot be trained; give --model.encoder.base a model")
    yield from train["static_text"]
    hours = store.scan_hours().filter(pl.col("stay_id").is_in(train["stay_id"].implode()))
    for column in ("state_text", "action_text"):
        yield from hours.select(pl.col(column).unique(maintain_order=True)).collect().to_series()


def _train(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    pieces = [pre_tokenizers.Split(_PIECES, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pieces)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer
