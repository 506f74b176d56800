"""The sharding strategy: FSDP2 over one data-parallel mesh, from one CPU process to several nodes of GPUs.

Registered with Lightning as ``clinjepa_fsdp2``: ``--trainer.strategy clinjepa_fsdp2``.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy, StrategyRegistry
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.distributed_c10d import default_pg_timeout
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.optim import Optimizer
from typing_extensions import override

from clin_jepa.encoder import TextEncoder
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA
from clin_jepa.predictor import LatentTrajectoryPredictor
from clin_jepa.shards import aligned, sharded_like, whole

STRATEGY_NAME = "clinjepa_fsdp2"


class ClinJEPAStrategy(ModelParallelStrategy):
    """Shards encoder, target and predictor over all processes (FSDP2), with one plan for online and target.

    Units are the blocks of the language models and of the predictor; each is gathered when it runs and cut again right after, in
    evaluation too, so that between steps every parameter is a shard. A 4-bit base is replicated, its adapters are sharded. Checkpoints are
    those of a single device: whole tensors in one file, so that a run goes on with any number of processes and any strategy.

    Args:
        hybrid: Shard within a node and replicate over nodes, instead of sharding over all processes.
        process_group_backend: ``gloo`` or ``nccl``; by default what suits the device.
        timeout: How long a collective may wait before the run is given up.
    """

    def __init__(self, hybrid: bool = False, process_group_backend: str | None = None, timeout: timedelta = default_pg_timeout) -> None:
        super().__init__(save_distributed_checkpoint=False, process_group_backend=process_group_backend, timeout=timeout)
        self.hybrid = hybrid

    @property
    @override
    def lightning_restore_optimizer(self) -> bool:
        return True

    @override
    def setup_environment(self) -> None:
        self._data_parallel_size, self._tensor_parallel_size = self.num_nodes * self.num_processes, 1
        super().setup_environment()

    def sharding_mesh(self) -> DeviceMesh:
        """The processes: one dimension to shard over, or with ``hybrid`` nodes to replicate over and their processes to shard over."""
        kind = self.root_device.type
        if not self.hybrid:
            return init_device_mesh(kind, (self.world_size,), mesh_dim_names=("shard",))
        return init_device_mesh(kind, (self.num_nodes, self.num_processes), mesh_dim_names=("replicate", "shard"))

    @override
    def setup(self, trainer: Trainer) -> None:
        module = self.lightning_module
        if not isinstance(module, ClinJEPA):
            raise TypeError(f"{STRATEGY_NAME} shards a ClinJEPA, not a {type(module).__name__}")
        if module.optimization.optimizer == "adamw_8bit":
            raise InputError(
                "--model.optimization.optimizer adamw_8bit cannot step sharded parameters: use adamw with "
                f"--trainer.strategy {STRATEGY_NAME}"
            )
        self._check_equal_start(module)
        shard_model(module, self.sharding_mesh())
        for encoder in _encoders(module):
            encoder.most_packs = self._most_over_processes
        super().setup(trainer)

    @override
    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Whole tensors of what a checkpoint holds, on the CPU of the first process; every process has to call."""
        assert isinstance(self.lightning_module, ClinJEPA)
        return self._gathered(self.lightning_module.checkpointed(self.lightning_module.state_dict()))

    @override
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.lightning_module is not None
        own = self.lightning_module.state_dict()
        state = {name: sharded_like(value, own[name]) for name, value in checkpoint["state_dict"].items() if name in own}
        self.lightning_module.load_state_dict(state, strict=False)

    @override
    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimizer's state as a single device would have it, on the CPU of the first process; every process has to call."""
        state = getattr(optimizer, "_optimizer", optimizer).state_dict()
        return {**state, "state": {number: self._gathered(values) for number, values in state["state"].items()}}

    @override
    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            state = {
                number: {
                    name: sharded_like(value, parameters[number])
                    if isinstance(value, Tensor) and value.shape == parameters[number].shape
                    else value
                    for name, value in values.items()
                }
                for number, values in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: _PATH, storage_options: Any | None = None) -> None:
        ParallelStrategy.save_checkpoint(self, checkpoint, filepath, storage_options)

    @override
    def load_checkpoint(self, checkpoint_path: _PATH, weights_only: bool | None = None) -> dict[str, Any]:
        return self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=weights_only)

    def _gathered(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Each tensor whole, one after the other; empty on all processes but the first."""
        gathered: dict[str, Any] = {}
        for name, value in tensors.items():
            full = whole(value.detach()) if isinstance(value, Tensor) else value
            if self.is_global_zero:
                gathered[name] = full.cpu() if isinstance(full, Tensor) else full
        return gathered

    def _most_over_processes(self, count: int) -> int:
        most = torch.tensor(count, device=self.root_device)
        distributed.all_reduce(most, op=distributed.ReduceOp.MAX)
        return int(most)

    def _check_equal_start(self, module: ClinJEPA) -> None:
        """FSDP2 shards what each process holds: all must have built the same weights."""
        trained = (*module.encoder.online_parameters().values(), *module.heads_and_predictor())
        sums = [float(p.detach().double().sum()) for p in trained]
        digests: list[Any] = [None] * self.world_size
        distributed.all_gather_object(digests, hash(tuple(sums)))
        if len(set(digests)) != 1:
            raise RuntimeError("the processes start from different weights: give all of them the same --seed_everything and files")


def shard_model(module: ClinJEPA, mesh: DeviceMesh) -> None:
    """Shard encoder, target copy and predictor in place.

    Args:
        module: The built model, on the CPU or on the mesh's device.
        mesh: One dimension, or two to replicate over the first and shard over the second.

    Raises:
        RuntimeError: If online and target parameters ended up cut in different ways.
    """
    for encoder in _encoders(module):
        base = _replicated_base(encoder)
        for block in _blocks(encoder):
            _shard(block, mesh, base)
        _shard(encoder, mesh, base)
        register_fsdp_forward_method(encoder, "next_token_loss_and_latents")
    for block in module.predictor.blocks:
        _shard(block, mesh)
    _shard(module.predictor, mesh)
    if module.grounding is not None:
        _shard(module.grounding, mesh)
    methods = (
        LatentTrajectoryPredictor.rollout,
        LatentTrajectoryPredictor.forward_with_hidden,
        LatentTrajectoryPredictor.forward_with_rollouts,
        LatentTrajectoryPredictor.hidden,
    )
    for method in methods:
        register_fsdp_forward_method(module.predictor, method.__name__)
    online = module.encoder.online_parameters()
    unaligned = [name for name, target in module.target.parameters_by_name().items() if not aligned(target, online[name])]
    if unaligned:
        raise RuntimeError(f"online and target encoder are sharded in different ways, first at {unaligned[0]}")


def _shard(unit: nn.Module, mesh: DeviceMesh, ignored: set[nn.Parameter] | None = None) -> None:
    # Left at its default, a root stays whole after a forward pass without gradient: an EMA step or a hard sync would then write into a
    # buffer that is thrown away.
    fully_shard(unit, mesh=mesh, reshard_after_forward=True, ignored_params=ignored)


def _encoders(module: ClinJEPA) -> list[TextEncoder]:
    copy = module.target.copy_
    return [module.encoder] if copy is None else [module.encoder, copy]


def _blocks(encoder: TextEncoder) -> list[nn.Module]:
    return list(encoder.causal_lm.get_decoder().layers)


def _replicated_base(encoder: TextEncoder) -> set[nn.Parameter]:
    """The parameters of a 4-bit base, which each process keeps whole: a quantised tensor is not cut."""
    if encoder.config.quantization == "none":
        return set()
    adapters = {*encoder.online_parameters().values(), *encoder.adapter_target_parameters().values()}
    return {p for p in encoder.parameters() if p not in adapters}


def register_strategy() -> None:
    """Make the strategy known to Lightning by its name."""
    StrategyRegistry.register(STRATEGY_NAME, ClinJEPAStrategy, description="FSDP2 over a data-parallel mesh, for ClinJEPA", override=True)
