"""Dividing work among the processes of a node, in step: each page of latents is encoded by one of them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import distributed


def divide_pages(missing: Sequence[int], node: int, device: torch.device) -> list[int | None]:
    """What this process is to encode of the pages that the processes of its node miss; every process has to call.

    Sharded weights are gathered by all processes together, so that each has to run the encoder as often as any other: where a process
    has fewer pages its list ends in None, at which it runs along.

    Args:
        missing: Pages that this process misses.
        node: Number of this process's node; the processes of a node see each other's files at once.
        device: Where collectives work.

    Returns:
        Pages, as many entries on every process; empty where no process misses any.
    """
    most = torch.tensor(len(missing), device=device)
    distributed.all_reduce(most, op=distributed.ReduceOp.MAX)
    if int(most) == 0:
        return []
    gathered: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, (node, [int(page) for page in missing]))
    return assign_pages(gathered, distributed.get_rank())


def assign_pages(missing: Sequence[tuple[int, Sequence[int]]], rank: int) -> list[int | None]:
    """The pages of one process, from what every process misses.

    Args:
        missing: For each process its node and the pages that it misses.
        rank: The process.

    Returns:
        Its pages, None where it only runs along.

    >>> [assign_pages([(0, [4, 7]), (0, [7, 9]), (1, [4])], rank) for rank in range(3)]
    [[4, 9], [7, None], [4, None]]
    """
    nodes = sorted({node for node, _ in missing})
    wanted = {n: sorted({page for node, pages in missing if node == n for page in pages}) for n in nodes}
    ranks = {n: [r for r, (node, _) in enumerate(missing) if node == n] for n in nodes}
    rounds = max(-(-len(wanted[n]) // len(ranks[n])) for n in nodes)
    own = missing[rank][0]
    pages: list[int | None] = list(wanted[own][ranks[own].index(rank) :: len(ranks[own])])
    return pages + [None] * (rounds - len(pages))
