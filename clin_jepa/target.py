"""The EMA target encoder: a second adapter on the same base, or a full copy where the encoder trains in full."""

import copy
from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from clin_jepa.encoder import TextEncoder
from clin_jepa.shards import aligned, local_shard, sum_over_processes


@torch.no_grad()
def ema_update_(target: Mapping[str, Tensor], online: Mapping[str, Tensor], tau: float) -> None:
    """Move each target parameter by ``1 - tau`` of its gap to the online one, in place and in float32.

    Where both are sharded, each process moves its own shards; nothing is sent.

    Args:
        target: Parameters by name.
        online: The online parameters under the same names, sharded in the same way.
        tau: Share of the target that stays, in [0, 1].

    Raises:
        ValueError: If tau is out of range, or the names or the sharding differ.

    >>> target, online = {"w": torch.zeros(1)}, {"w": torch.ones(1)}
    >>> ema_update_(target, online, tau=0.75)
    >>> target["w"].item()
    0.25
    """
    if not 0.0 <= tau <= 1.0:
        raise ValueError(f"tau is {tau}, it must lie in [0, 1]")
    if target.keys() != online.keys():
        raise ValueError("target and online parameters have different names")
    for name, parameter in target.items():
        if not aligned(parameter, online[name]):
            raise ValueError(f"target and online parameter {name} are sharded in different ways")
        shard = local_shard(parameter)
        shard.lerp_(local_shard(online[name]).to(shard.dtype), 1.0 - tau)


@torch.no_grad()
def relative_gap(target: Mapping[str, Tensor], online: Mapping[str, Tensor]) -> float:
    """Norm of the difference over the norm of the online parameters, 0 where both are equal.

    Where a process group is initialised, both norms are over the parameters of all processes, so that each gets the same number and
    takes the same decision; every process has to call.

    >>> relative_gap({"w": torch.tensor([3.0])}, {"w": torch.tensor([4.0])})
    0.25
    """
    differences = [(local_shard(online[name]).double() - local_shard(p).double()).square().sum() for name, p in target.items()]
    norms = [local_shard(parameter).double().square().sum() for parameter in online.values()]
    difference, norm = sum_over_processes(torch.stack([torch.stack(differences).sum(), torch.stack(norms).sum()])).tolist()
    return float((difference / norm) ** 0.5) if norm else float(difference > 0)


class TargetEncoder(nn.Module):
    """The target's weights, kept in float32, and the forward pass through them.

    With LoRA the target is a second adapter on the encoder's own frozen base and this module holds no parameter of its own; without,
    it holds a full copy.

    Args:
        encoder: The online encoder.
    """

    copy_: TextEncoder | None

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        # Held in a tuple so that the encoder is not registered as a part of its own target.
        self._online = (encoder,)
        self.copy_ = None if encoder.has_adapters else copy.deepcopy(encoder).float().requires_grad_(False)
        for parameter in self.parameters_by_name().values():
            parameter.requires_grad_(False)
        self.copy_from_online()

    @property
    def encoder(self) -> TextEncoder:
        """The online encoder."""
        return self._online[0]

    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        """The target's parameters under the names of their online twins."""
        return self.encoder.adapter_target_parameters() if self.copy_ is None else self.copy_.online_parameters()

    @torch.no_grad()
    def forward(self, token_N: Tensor, length_U: Tensor) -> Tensor:
        """Target latents of texts, ``[U, D]`` float32, without gradient; arguments as in `TextEncoder.forward`."""
        weights = self.encoder.target_weights() if self.copy_ is None else nullcontext()
        with weights:
            latents: Tensor = (self.copy_ or self.encoder)(token_N, length_U)
        return latents

    def update(self, tau: float) -> None:
        """One EMA step towards the online encoder."""
        ema_update_(self.parameters_by_name(), self.encoder.online_parameters(), tau)

    def copy_from_online(self) -> None:
        """Make the target equal to the online encoder."""
        ema_update_(self.parameters_by_name(), self.encoder.online_parameters(), 0.0)

    def gap(self) -> float:
        """Relative distance to the online encoder, in parameter space, as in `relative_gap`."""
        return relative_gap(self.parameters_by_name(), self.encoder.online_parameters())

    def equals_online(self) -> bool:
        """Whether every parameter of the target equals its online twin exactly; where they are sharded, every process has to call."""
        online = {name: local_shard(p) for name, p in self.encoder.online_parameters().items()}
        pairs = [(local_shard(p), online[name]) for name, p in self.parameters_by_name().items()]
        unequal = sum(not torch.equal(target, twin.to(target.dtype)) for target, twin in pairs)
        return int(sum_over_processes(torch.tensor(unequal, device=self.encoder.device))) == 0
