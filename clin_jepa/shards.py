"""Tensors that may be sharded over processes: what this process holds of them, and the whole."""

from collections.abc import Iterable

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor


def local_shard(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: its shard where it is sharded, else the tensor itself; both share storage with it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor. Where it is sharded, every process has to call, and each gets a copy."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def sharded_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """A whole tensor, equal on every process, in the sharding and on the device of another of its shape."""
    tensor = tensor.to(pattern.device)
    if not isinstance(pattern, DTensor):
        return tensor
    return distribute_tensor(tensor, pattern.device_mesh, pattern.placements, src_data_rank=None)


def aligned(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are cut the same way, so that their shards belong together."""
    if isinstance(one, DTensor) and isinstance(other, DTensor):
        return bool(one.device_mesh == other.device_mesh and one.placements == other.placements and one.shape == other.shape)
    return isinstance(one, DTensor) == isinstance(other, DTensor) and one.shape == other.shape


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in place; itself where there is one process."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(tensor)
    return tensor


def norm(tensors: Iterable[Tensor]) -> Tensor:
    """L2 norm of several tensors together, whole; where they are sharded, every process has to call."""
    total: Tensor = torch.nn.utils.get_total_norm(tensors)
    return whole(total)
