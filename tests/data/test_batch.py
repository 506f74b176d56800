"""A batch holds each text once, and its index maps give back every text of every hour."""

from dataclasses import replace

import polars as pl
import pytest
import torch

from clin_jepa.batch import TrajectoryBatch, assemble
from clin_jepa.data.datamodule import TrajectoryDataModule

PICKED = [0, 1, -1, 0]  # one window twice


@pytest.fixture(scope="module")
def batch(datamodule: TrajectoryDataModule) -> TrajectoryBatch:
    windows = datamodule.windows("train", "tuning")
    return assemble([windows[k % len(windows)] for k in PICKED], datamodule.tokens)


def decoded(batch: TrajectoryBatch, datamodule: TrajectoryDataModule) -> list[str]:
    tokenizer = datamodule.tokenizer()
    pieces = batch.token_N.split(batch.length_U.tolist())
    assert all(int(piece[-1]) == tokenizer.eos_token_id for piece in pieces)
    return [tokenizer.decode(piece[:-1]) for piece in pieces]


def test_index_maps_reproduce_every_text_of_the_store(batch: TrajectoryBatch, datamodule: TrajectoryDataModule) -> None:
    texts = decoded(batch, datamodule)
    hours = {(row["stay_id"], row["hour"]): row for row in datamodule.store.scan_hours().collect().iter_rows(named=True)}
    statics = dict(datamodule.store.stays.select("stay_id", "static_text").iter_rows())

    for b, stay in enumerate(batch.stay_id_B.tolist()):
        assert texts[batch.static_B[b]] == statics[stay]
        for t in range(int(batch.n_hours[b])):
            row = hours[stay, int(batch.hour_BT[b, t])]
            assert texts[batch.state_BT[b, t]] == row["state_text"]
            assert texts[batch.action_BT[b, t]] == row["action_text"]


def test_hours_are_consecutive_and_padding_is_on_the_right(batch: TrajectoryBatch) -> None:
    for b, n in enumerate(batch.n_hours.tolist()):
        assert batch.mask_BT[b].tolist() == [True] * n + [False] * (batch.mask_BT.shape[1] - n)
        first = int(batch.hour_BT[b, 0])
        assert batch.hour_BT[b, :n].tolist() == list(range(first, first + n))


def test_no_text_is_there_twice(batch: TrajectoryBatch, datamodule: TrajectoryDataModule) -> None:
    texts = decoded(batch, datamodule)

    assert len(texts) == len(set(texts)) == len(batch.text_id_U)


def test_no_text_is_there_unused(batch: TrajectoryBatch) -> None:
    used = torch.cat([batch.static_B, batch.state_BT[batch.mask_BT], batch.action_BT[batch.mask_BT]])

    assert used.unique().tolist() == list(range(len(batch.text_id_U)))


def test_text_numbers_name_the_texts_of_the_token_store(batch: TrajectoryBatch, datamodule: TrajectoryDataModule) -> None:
    token_N, length_U = datamodule.tokens.gather(batch.text_id_U.numpy())

    assert torch.equal(torch.from_numpy(token_N), batch.token_N)
    assert torch.equal(torch.from_numpy(length_U), batch.length_U)


def test_the_order_of_windows_does_not_change_the_texts(batch: TrajectoryBatch, datamodule: TrajectoryDataModule) -> None:
    windows = datamodule.windows("train", "tuning")
    turned = assemble([windows[k % len(windows)] for k in reversed(PICKED)], datamodule.tokens)

    assert torch.equal(turned.token_N, batch.token_N)
    assert torch.equal(turned.state_BT, batch.state_BT.flip(0))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("state_BT", torch.zeros(1, 1, dtype=torch.int64), "state_BT has shape"),
        ("static_B", torch.zeros(9, dtype=torch.int64), "one a window"),
        ("length_U", torch.ones(3, dtype=torch.int64), "length_U"),
        ("static_B", torch.full((4,), 10**6), "static_B points outside"),
    ],
)
def test_a_batch_whose_parts_disagree_is_refused(batch: TrajectoryBatch, field: str, value: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(batch, **{field: value}).validate()


def test_texts_have_the_store_s_own_words(datamodule: TrajectoryDataModule) -> None:
    # Every text of the store, not only those of a batch, survives tokenisation.
    texts = datamodule.store.scan_hours().select(pl.col("state_text").unique()).collect()["state_text"].to_list()
    tokenizer = datamodule.tokenizer()

    assert [tokenizer.decode(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] == texts
