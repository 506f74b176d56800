"""TrajectoryDataModule: streams a trajectory store as batches of windows, in the same order whatever interrupts."""

from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import polars as pl_frames
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from clin_jepa.batch import TrajectoryBatch, assemble
from clin_jepa.data.token_store import TokenStore, open_token_store
from clin_jepa.data.tokenizer import load_tokenizer, store_tokenizer
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.data.value_store import ValueStore, open_value_store
from clin_jepa.data.windows import EndlessBatchSampler, WindowDataset, Windowing
from clin_jepa.errors import InputError
from clin_jepa.language_model import FROM_SCRATCH, HUB_NAMES

Split = Literal["train", "tuning", "held_out"]


class _Collate:
    """Assembles windows into a batch on the worker; a class, so that a spawned worker can unpickle it."""

    def __init__(self, tokens: TokenStore, numbers: ValueStore | None) -> None:
        self.tokens, self.numbers = tokens, numbers

    def __call__(self, windows: list[dict[str, Any]]) -> TrajectoryBatch:
        return assemble(windows, self.tokens, self.numbers)


class TrajectoryDataModule(pl.LightningDataModule):
    """Windows of ICU stays from a trajectory store.

    Texts are tokenised once into memory-mapped files. Training draws an endless stream of windows whose order is a function of the seed
    alone; on resume it goes on with the window after the last one trained on. Validation reads the ``tuning`` split, test and predict the
    ``held_out`` split, in order.

    Args:
        store: Folder that ``clinjepa extract`` wrote.
        tokenizer: ``store`` trains one on the store's training texts (for the ``tiny`` encoder), anything else is a model's name or
            folder; set from ``--model.encoder.base``.
        tokenizer_revision: Branch, tag or commit of the tokenizer's repository on the hub; set from ``--model.encoder.revision``.
        vocab_size: Most tokens of a tokenizer trained on the store.
        max_text_tokens: Longest text; a longer one is cut.
        windowing: How stays are cut into windows.
        batch_size: Windows in a batch of one process.
        num_workers: Processes that assemble batches ahead; 0 assembles in the training process.
        token_folder: Where tokens and tokenizers are kept; by default inside the store.
        values: Whether a batch brings the numbers measured in its hours; set from ``--model.grounding``.
        seed: Seed of the training order; set from ``--seed_everything``.
    """

    def __init__(
        self,
        store: str,
        tokenizer: str = "store",
        tokenizer_revision: str | None = None,
        vocab_size: int = 4096,
        max_text_tokens: int = 4096,
        windowing: Windowing = Windowing(),
        batch_size: int = 8,
        num_workers: int = 0,
        token_folder: str | None = None,
        values: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1 or num_workers < 0 or max_text_tokens < 2:
            raise InputError("--data.batch_size must be at least 1, --data.num_workers 0 and --data.max_text_tokens 2")
        self.store = TrajectoryStore(store)
        self.tokenizer_source, self.tokenizer_revision = tokenizer, tokenizer_revision
        self.vocab_size, self.max_text_tokens = vocab_size, max_text_tokens
        self.windowing = windowing
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.token_folder = Path(token_folder) if token_folder else self.store.path / "tokens"
        self._tokens: TokenStore | None = None
        self.values = values
        self._numbers: ValueStore | None = None
        self._samples_at_load: int | None = None
        self._step_sampler: EndlessBatchSampler | None = None

    @override
    def prepare_data(self) -> None:
        self._open_tokens(progress=True)

    @override
    def setup(self, stage: str) -> None:
        if self._tokens is None:
            self._tokens = self._open_tokens(progress=False)

    @property
    def tokens(self) -> TokenStore:
        """The store's tokens."""
        if self._tokens is None:
            self._tokens = self._open_tokens(progress=True)
        return self._tokens

    @property
    def numbers(self) -> ValueStore | None:
        """The store's numbers, where batches bring them."""
        if self.values and self._numbers is None:
            self._numbers = open_value_store(self.store, self.token_folder)
        return self._numbers

    @property
    def variables(self) -> list[str]:
        """Names of the numbers that batches bring, in the order of their columns; none where they bring none."""
        return [] if self.numbers is None else list(self.numbers.variables)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer: the model's own, or the one trained on the store.

        Raises:
            InputError: If a model's tokenizer cannot be found, or has no end-of-text token.
        """
        if self.tokenizer_source in ("store", *FROM_SCRATCH):
            return store_tokenizer(self.store, self.token_folder, self.vocab_size)
        tokenizer = load_tokenizer(HUB_NAMES.get(self.tokenizer_source, self.tokenizer_source), self.tokenizer_revision)
        if tokenizer.eos_token_id is None:
            raise InputError(f"the tokenizer of {self.tokenizer_source!r} has no end-of-text token, whose state is the latent")
        return tokenizer

    def _open_tokens(self, progress: bool) -> TokenStore:
        return open_token_store(self.store, self.tokenizer(), self.token_folder, self.max_text_tokens, progress)

    def windows(self, *splits: Split) -> WindowDataset:
        """The windows of one or several splits, in the order of the store.

        Raises:
            InputError: If no stay is in them.
        """
        stays = self.store.stays.with_row_index("row").filter(pl_frames.col("split").is_in(splits))
        if stays.is_empty():
            raise InputError(f"{self.store.path}: no stay is in the split {' or '.join(splits)}")
        rows, ids = stays["row"].to_numpy().astype(np.int64), stays["stay_id"].to_numpy().astype(np.int64)
        return WindowDataset(self.tokens, rows, ids, self.windowing)

    @override
    def train_dataloader(self) -> DataLoader[TrajectoryBatch]:
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        windows = self.windows("train")
        sampler = EndlessBatchSampler(len(windows), self.batch_size, self.seed, rank, world, self.samples_trained)
        return self._loader(windows, batch_sampler=sampler)

    def hours_of_step(self) -> NDArray[np.int64]:
        """Hours of each window of the optimizer step under way, in the order of the stream, over all processes and micro-batches."""
        if self._step_sampler is None:
            windows = self.windows("train")
            self._hours_W = windows.windows[:, 3]
            self._step_sampler = EndlessBatchSampler(len(windows), self.batch_size, self.seed)
        first = self.samples_trained
        return self._hours_W[[self._step_sampler.sample(k) for k in range(first, first + self._samples_per_step)]]

    @property
    def samples_trained(self) -> int:
        """Windows of the training stream that went into optimizer steps so far, over all processes."""
        if self.trainer is None:
            return 0
        if self._samples_at_load is not None:
            return self._samples_at_load + (self.trainer.global_step - self._step_at_load) * self._samples_per_step
        return self.trainer.global_step * self._samples_per_step

    @property
    def _samples_per_step(self) -> int:
        assert self.trainer is not None
        return self.batch_size * self.trainer.world_size * self.trainer.accumulate_grad_batches

    @override
    def state_dict(self) -> dict[str, Any]:
        step = self.trainer.global_step if self.trainer is not None else 0
        return {
            "samples_trained": self.samples_trained,
            "global_step": step,
            "seed": self.seed,
            "tokens": self.tokens.fingerprint,
            "tokenizer": self.tokens.about["tokenizer"],
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["tokens"] != self.tokens.fingerprint:
            raise InputError(
                f"the checkpoint was trained on another store or tokenizer than {self.store.path}: "
                "give that store with --data.store, or start a new run"
            )
        self._samples_at_load, self._step_at_load = int(state_dict["samples_trained"]), int(state_dict["global_step"])

    def check_tokenizer(self, checkpoint: Path, state: dict[str, Any]) -> None:
        """Refuse weights that were trained with another tokenizer: their token embeddings would mean something else.

        Args:
            checkpoint: The checkpoint, for the message.
            state: This DataModule's state in it.

        Raises:
            InputError: If the tokenizers differ.
        """
        if state["tokenizer"] != self.tokens.about["tokenizer"]:
            raise InputError(
                f"{checkpoint} was trained with another tokenizer than that of {self.store.path}: a tiny encoder knows the words of its "
                "own store only; use that store, or train a new encoder on this one"
            )

    @override
    def val_dataloader(self) -> DataLoader[TrajectoryBatch]:
        return self._loader(self.windows("tuning"), batch_size=self.batch_size)

    @override
    def test_dataloader(self) -> DataLoader[TrajectoryBatch]:
        return self._loader(self.windows("held_out"), batch_size=self.batch_size)

    @override
    def predict_dataloader(self) -> DataLoader[TrajectoryBatch]:
        return self._loader(self.windows("held_out"), batch_size=self.batch_size)

    def _loader(self, windows: WindowDataset, **options: Any) -> DataLoader[TrajectoryBatch]:
        # Forked workers hang where Polars has run threads; a fork server starts from a clean process.
        workers: dict[str, Any] = {"multiprocessing_context": "forkserver", "persistent_workers": True} if self.num_workers else {}
        return DataLoader(
            windows,  # type: ignore[arg-type]
            collate_fn=_Collate(self.tokens, self.numbers),
            num_workers=self.num_workers,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
            **workers,
            **options,
        )
