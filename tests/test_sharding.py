"""Encoder, target and predictor cut over two processes (gloo): averaged, synced, clipped, saved and loaded as they are on one."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.optimization import build_optimizer, clip_each_group
from clin_jepa.predictor import PredictorConfig
from clin_jepa.shards import local_shard, sharded_like, whole
from clin_jepa.strategy import shard_model
from clin_jepa.target import ema_update_

TAU = 0.9
# Seven tokens on one process, four on the other.
TEXTS = [(torch.arange(7), torch.tensor([3, 4])), (torch.arange(20, 24), torch.tensor([4]))]


def build(adaptation: str) -> ClinJEPA:
    """A model whose online encoder has left its target; the same on every process."""
    torch.manual_seed(0)
    module = ClinJEPA(
        encoder=EncoderConfig(vocab_size=601, adaptation=adaptation.partition(", ")[0], lora_rank=3),  # type: ignore[arg-type]
        predictor=PredictorConfig(layers=2, width=30, heads=2, feed_forward=50, max_hours=5),
    )
    module.configure_model()
    with torch.no_grad():
        for parameter in module.encoder.online_parameters().values():
            parameter += 0.1 * torch.randn_like(parameter)
    return module


def sharded(adaptation: str) -> ClinJEPA:
    """Cut over both processes; with ``hybrid`` whole on each, as two nodes of one process are."""
    kind, _, hybrid = adaptation.partition(", ")
    module = build(kind)
    names = ("replicate", "shard") if hybrid else ("shard",)
    shard_model(module, init_device_mesh("cpu", (2, 1) if hybrid else (2,), mesh_dim_names=names))
    return module


def gathered(module: ClinJEPA) -> dict[str, Tensor]:
    return {name: whole(value.detach()).clone() for name, value in module.state_dict().items()}


def encode_without_gradient(module: ClinJEPA) -> None:
    # A root unit that stayed whole after this would let what follows land in a buffer.
    token_N, length_U = TEXTS[distributed.get_rank()]
    with torch.no_grad():
        module.encoder(token_N, length_U)
    module.target(token_N, length_U)


def every_parameter_is_a_shard(adaptation: str, folder: Path) -> None:
    module = sharded(adaptation)
    encode_without_gradient(module)
    assert all(isinstance(parameter, DTensor) for parameter in module.parameters())


def target_storage_is_not_the_online_one(adaptation: str, folder: Path) -> None:
    module = sharded(adaptation)
    online = {local_shard(p).untyped_storage().data_ptr() for p in module.encoder.online_parameters().values() if local_shard(p).numel()}
    target = {local_shard(p).untyped_storage().data_ptr() for p in module.target.parameters_by_name().values() if local_shard(p).numel()}
    assert online and target and not online & target


def an_ema_step_is_exact(adaptation: str, folder: Path) -> None:
    alone, module = build(adaptation), sharded(adaptation)
    encode_without_gradient(module)
    for _ in range(3):
        module.target.update(TAU)
        ema_update_(alone.target.parameters_by_name(), alone.encoder.online_parameters(), TAU)
    expected = alone.state_dict()
    for name, value in gathered(module).items():
        assert torch.equal(value, expected[name]), name
    assert module.target.gap() == pytest.approx(alone_gap(alone), rel=1e-12)


def alone_gap(alone: ClinJEPA) -> float:
    online = alone.encoder.online_parameters()
    pairs = [(online[name].double(), p.double()) for name, p in alone.target.parameters_by_name().items()]
    difference = sum(float((a - b).detach().square().sum()) for a, b in pairs)
    return (difference / sum(float(a.detach().square().sum()) for a, _ in pairs)) ** 0.5


def a_hard_sync_survives_saving_and_loading(adaptation: str, folder: Path) -> None:
    module = sharded(adaptation)
    encode_without_gradient(module)
    module.target.copy_from_online()
    assert module.target.equals_online()
    saved = gathered(module)
    if distributed.get_rank() == 0:
        torch.save(saved, folder / "saved.pt")
    distributed.barrier()

    later, state = sharded(adaptation), torch.load(folder / "saved.pt", weights_only=True)
    assert not later.target.equals_online()
    own = later.state_dict()
    later.load_state_dict({name: sharded_like(value, own[name]) for name, value in state.items()})
    assert later.target.equals_online()
    for name, value in gathered(later).items():
        assert torch.equal(value, saved[name]), name


def one_shard_that_differs_is_seen_by_all(adaptation: str, folder: Path) -> None:
    module = sharded(adaptation)
    module.target.copy_from_online()
    assert module.target.equals_online()
    if distributed.get_rank() == 1:
        name = next(name for name, p in module.target.parameters_by_name().items() if local_shard(p).numel())
        local_shard(module.target.parameters_by_name()[name]).view(-1)[0] += 1.0
    assert not module.target.equals_online()
    assert module.target.gap() > 0.0


def groups_are_clipped_as_on_one_process(adaptation: str, folder: Path) -> None:
    clipped = []
    for module in (build(adaptation), sharded(adaptation)):
        encoder, predictor = module.encoder.online_parameters(), dict(module.predictor.named_parameters())
        for place, (name, parameter) in enumerate(sorted({**encoder, **predictor}.items())):
            size = 3.0 if name in encoder else 1e-4  # the encoder's norm is far above the limit, the predictor's below
            values = torch.full(parameter.shape, size * (1 + place % 3))
            parameter.grad = sharded_like(values, parameter)
        clip_each_group(build_optimizer(module.optimization, encoder.values(), predictor.values()), 1.0)
        clipped.append({name: whole(p.grad) for name, p in {**encoder, **predictor}.items() if p.grad is not None})
    for name, value in clipped[0].items():
        torch.testing.assert_close(clipped[1][name], value, rtol=1e-5, atol=0.0)
    predictor_norm = torch.nn.utils.get_total_norm([clipped[0][name] for name in clipped[0] if name in predictor])
    encoder_norm = torch.nn.utils.get_total_norm([clipped[0][name] for name in clipped[0] if name in encoder])
    assert float(encoder_norm) == pytest.approx(1.0, rel=1e-3)
    assert 0.0 < float(predictor_norm) < 0.9


def processes_with_fewer_packs_keep_step(adaptation: str, folder: Path) -> None:
    alone, module = build(adaptation), sharded(adaptation)
    length_U = torch.tensor([4, 5, 6] if distributed.get_rank() else [6])
    token_N = torch.arange(int(length_U.sum()))
    expected = alone.encoder(token_N, length_U)

    def most(count: int) -> int:
        counts = torch.tensor(count)
        distributed.all_reduce(counts, op=distributed.ReduceOp.MAX)
        return int(counts)

    module.encoder.most_packs = most
    object.__setattr__(module.encoder.config, "tokens_per_pack", 6)  # one pack here, three there
    found = module.encoder(token_N, length_U)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0.0)
    found.square().sum().backward()
    expected.square().sum().backward()

    # FSDP averages the gradients of the processes, each of its own texts.
    for name, parameter in alone.encoder.online_parameters().items():
        assert parameter.grad is not None, name
        distributed.all_reduce(parameter.grad)
        gradient = module.encoder.online_parameters()[name].grad
        assert gradient is not None, name
        torch.testing.assert_close(whole(gradient), parameter.grad / 2, atol=1e-4, rtol=1e-4)


CHECKS: list[Callable[[str, Path], None]] = [
    every_parameter_is_a_shard,
    target_storage_is_not_the_online_one,
    an_ema_step_is_exact,
    a_hard_sync_survives_saving_and_loading,
    one_shard_that_differs_is_seen_by_all,
    groups_are_clipped_as_on_one_process,
    processes_with_fewer_packs_keep_step,
]


@pytest.mark.parametrize("adaptation", ["full", "lora", "lora, hybrid"])
def test_on_two_processes(adaptation: str, tmp_path: Path) -> None:
    multiprocessing.spawn(_process, (adaptation, tmp_path), nprocs=2)

    assert sorted(file.name for file in tmp_path.glob("*.done")) == sorted(f"{check.__name__}.done" for check in CHECKS)


def _process(rank: int, adaptation: str, folder: Path) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    try:
        for check in CHECKS:
            check(adaptation, folder)
            if rank == 0:
                (folder / f"{check.__name__}.done").touch()
    finally:
        distributed.destroy_process_group()
