"""The DataModule gives the same batches with workers, and refuses what does not fit."""

from dataclasses import fields
from itertools import islice
from pathlib import Path

import pytest
import torch

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.data import datamodule as datamodule_file
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.windows import Windowing
from clin_jepa.errors import InputError


def module(store: Path, **settings: object) -> TrajectoryDataModule:
    return TrajectoryDataModule(str(store), **{"vocab_size": 2048, "batch_size": 2, "windowing": Windowing(hours=24), **settings})  # type: ignore[arg-type]


def equal(one: TrajectoryBatch, other: TrajectoryBatch) -> bool:
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(one) if f.name != "values"]
    if one.values is not None and other.values is not None:
        pairs += [(part.nan_to_num(99.0), twin.nan_to_num(99.0)) for part, twin in zip(_numbers(one), _numbers(other), strict=True)]
    return (one.values is None) == (other.values is None) and all(torch.equal(part, twin) for part, twin in pairs)


def _numbers(batch: TrajectoryBatch) -> tuple[torch.Tensor, torch.Tensor]:
    assert batch.values is not None
    return batch.values.value_BTV, batch.values.static_BC


@pytest.mark.parametrize("values", [False, True])
def test_a_worker_gives_the_batches_of_the_main_process(small_store_path: Path, values: bool) -> None:
    main, worker = module(small_store_path, values=values), module(small_store_path, values=values, num_workers=1)

    for one, other in zip(islice(main.train_dataloader(), 4), islice(worker.train_dataloader(), 4), strict=True):
        assert equal(one, other)


@pytest.mark.parametrize("split", ["tuning", "held_out"])
def test_evaluation_reads_each_window_of_its_split_once_in_order(small_store_path: Path, split: str) -> None:
    datamodule = module(small_store_path)
    loader = datamodule.val_dataloader() if split == "tuning" else datamodule.test_dataloader()

    read = [pair for batch in loader for pair in zip(batch.stay_id_B.tolist(), batch.hour_BT[:, 0].tolist(), strict=True)]

    assert read == [(stay, start) for _, stay, start, _ in datamodule.windows(split).windows.tolist()]  # type: ignore[arg-type]


def test_training_reads_the_training_split_only(small_store_path: Path) -> None:
    datamodule = module(small_store_path)
    stays = set(datamodule.store.stays.filter(datamodule.store.stays["split"] == "train")["stay_id"])

    seen = {stay for batch in islice(datamodule.train_dataloader(), 50) for stay in batch.stay_id_B.tolist()}

    assert seen == stays


def test_tokens_lie_in_the_token_folder(small_store_path: Path, tmp_path: Path) -> None:
    assert module(small_store_path, token_folder=str(tmp_path)).tokens.folder.parent == tmp_path


def test_a_checkpoint_of_another_store_is_refused(small_store_path: Path, store_path: Path) -> None:
    state = module(small_store_path).state_dict()

    with pytest.raises(InputError, match=r"another store or tokenizer.*--data\.store"):
        module(store_path).load_state_dict(state)


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"num_workers": -1}, {"max_text_tokens": 1}], ids=str)
def test_impossible_numbers_are_refused(small_store_path: Path, settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="batch_size"):
        module(small_store_path, **settings)


def test_a_split_without_a_stay_is_refused(small_store_path: Path) -> None:
    with pytest.raises(InputError, match="no stay is in the split"):
        module(small_store_path).windows("nowhere")  # type: ignore[arg-type]


def test_windows_longer_than_every_stay_s_minimum_leave_none(small_store_path: Path) -> None:
    with pytest.raises(InputError, match="no window"):
        module(small_store_path, windowing=Windowing(hours=300, min_hours=300)).train_dataloader()


def test_a_model_s_tokenizer_is_of_the_given_revision(small_store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(base: str, revision: str | None) -> None:
        asked.append((base, revision))
        raise InputError("offline")

    monkeypatch.setattr(datamodule_file, "load_tokenizer", load)
    with pytest.raises(InputError, match="offline"):
        module(small_store_path, tokenizer="qwen3_0_6b", tokenizer_revision="abc").tokenizer()

    assert asked == [("Qwen/Qwen3-0.6B", "abc")]
