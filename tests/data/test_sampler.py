"""The order of training: a pure function of the seed, for any number of ranks and from any point on."""

from itertools import chain, islice

import pytest

from clin_jepa.data.windows import EndlessBatchSampler
from clin_jepa.errors import InputError

N = 11


def stream(n_batches: int, **options: int) -> list[list[int]]:
    return list(islice(EndlessBatchSampler(**{"n_samples": N, "batch_size": 3, "seed": 4, **options}), n_batches))


def test_the_same_seed_gives_the_same_order() -> None:
    assert stream(20) == stream(20)


def test_another_seed_gives_another_order() -> None:
    assert stream(20) != stream(20, seed=5)


def test_each_epoch_is_a_permutation_and_no_two_are_alike() -> None:
    samples = list(chain.from_iterable(stream(N)))  # 3 x 11 samples: three epochs
    epochs = [samples[k : k + N] for k in range(0, 3 * N, N)]

    assert [sorted(epoch) for epoch in epochs] == [list(range(N))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("done", [1, 2, 4, 9])
def test_a_resumed_stream_goes_on_with_the_next_batch(done: int) -> None:
    assert stream(10, first_sample=3 * done) == stream(10 + done)[done:]


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_partition_the_stream(world_size: int) -> None:
    by_rank = [stream(6, rank=rank, world_size=world_size) for rank in range(world_size)]
    in_turn = [batch for step in zip(*by_rank, strict=True) for batch in step]

    assert in_turn == stream(6 * world_size)


def test_another_number_of_ranks_goes_on_where_the_first_stopped() -> None:
    two = [stream(3, rank=rank, world_size=2) for rank in range(2)]
    done = list(chain.from_iterable(batch for step in zip(*two, strict=True) for batch in step))

    assert done + list(chain.from_iterable(stream(4, first_sample=len(done)))) == list(chain.from_iterable(stream(10)))


def test_two_iterations_of_one_sampler_are_equal() -> None:
    sampler = EndlessBatchSampler(n_samples=N, batch_size=3, seed=4)

    assert list(islice(sampler, 9)) == list(islice(sampler, 9))


def test_no_window_is_refused() -> None:
    with pytest.raises(InputError, match="no window"):
        EndlessBatchSampler(n_samples=0, batch_size=1, seed=0)
