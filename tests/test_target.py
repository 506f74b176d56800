"""The EMA target: how far it moves, and that it is a network of its own."""

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from clin_jepa.encoder import TextEncoder
from clin_jepa.language_model import EncoderConfig
from clin_jepa.target import TargetEncoder, ema_update_, relative_gap

FORMS = pytest.mark.parametrize("adaptation", ["full", "lora"])


def pair(adaptation: str) -> tuple[TextEncoder, TargetEncoder]:
    """An online encoder that has left its target."""
    torch.manual_seed(0)
    encoder = TextEncoder(EncoderConfig(vocab_size=600, adaptation=adaptation, lora_rank=2))  # type: ignore[arg-type]
    target = TargetEncoder(encoder)
    with torch.no_grad():
        for parameter in encoder.online_parameters().values():
            parameter += torch.randn_like(parameter)
    return encoder, target


@FORMS
def test_a_step_moves_the_target_by_one_minus_tau_of_its_gap(adaptation: str) -> None:
    encoder, target = pair(adaptation)
    before = {name: p.clone() for name, p in target.parameters_by_name().items()}

    target.update(0.996)

    for name, parameter in target.parameters_by_name().items():
        gap = encoder.online_parameters()[name] - before[name]
        torch.testing.assert_close(parameter - before[name], (1 - 0.996) * gap, atol=1e-7, rtol=1e-4)


@FORMS
def test_after_n_steps_tau_to_the_n_of_the_gap_is_left(adaptation: str) -> None:
    _, target = pair(adaptation)
    gap = target.gap()

    for _ in range(10):
        target.update(0.9)

    assert target.gap() == pytest.approx(gap * 0.9**10, rel=1e-4)


@FORMS
def test_after_a_copy_target_and_online_are_equal_exactly(adaptation: str) -> None:
    encoder, target = pair(adaptation)
    assert not target.equals_online()

    target.copy_from_online()

    assert target.equals_online()
    assert target.gap() == 0.0
    token_N, length_U = torch.arange(12), torch.tensor([5, 7])
    assert torch.equal(target(token_N, length_U), encoder(token_N, length_U))


@FORMS
def test_target_and_online_share_no_storage(adaptation: str) -> None:
    encoder, target = pair(adaptation)
    online = {p.data_ptr() for p in encoder.online_parameters().values()}

    assert online.isdisjoint({p.data_ptr() for p in target.parameters_by_name().values()})


@FORMS
def test_target_takes_no_gradient(adaptation: str) -> None:
    _, target = pair(adaptation)

    assert not any(p.requires_grad for p in target.parameters_by_name().values())
    assert not target(torch.arange(12), torch.tensor([5, 7])).requires_grad


@FORMS
def test_target_holds_one_parameter_for_each_online_one(adaptation: str) -> None:
    encoder, target = pair(adaptation)

    assert target.parameters_by_name().keys() == encoder.online_parameters().keys()


def test_an_adapter_target_adds_no_module_of_its_own() -> None:
    assert list(pair("lora")[1].parameters()) == []


def test_the_target_of_a_bfloat16_encoder_is_kept_in_float32() -> None:
    # In bfloat16 a step of 0.4 % of the gap is below the rounding of most weights, and the target would stand still.
    for adaptation in ("full", "lora"):
        encoder = TextEncoder(EncoderConfig(vocab_size=600, adaptation=adaptation, dtype="bfloat16"))  # type: ignore[arg-type]
        assert {p.dtype for p in TargetEncoder(encoder).parameters_by_name().values()} == {torch.float32}


@pytest.mark.parametrize("tau", [-0.1, 1.1])
def test_tau_outside_zero_and_one_is_refused(tau: float) -> None:
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        ema_update_({"w": torch.zeros(1)}, {"w": torch.ones(1)}, tau)


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="different names"):
        ema_update_({"w": torch.zeros(1)}, {"v": torch.ones(1)}, 0.5)


def test_the_gap_is_relative_to_the_online_norm() -> None:
    target, online = {"a": torch.tensor([0.0]), "b": torch.tensor([1.0])}, {"a": torch.tensor([3.0]), "b": torch.tensor([5.0])}
    assert relative_gap(target, online) == pytest.approx(((9 + 16) / (9 + 25)) ** 0.5)


def _gap_of_a_shard(rank: int, folder: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    target, online = torch.tensor([0.0, 1.0]), torch.tensor([3.0, 5.0])
    gap = relative_gap({"w": target[rank : rank + 1]}, {"w": online[rank : rank + 1]})
    (folder / f"gap{rank}").write_text(repr(gap))
    distributed.destroy_process_group()


def test_every_process_has_the_gap_of_all_parameters(tmp_path: Path) -> None:
    multiprocessing.spawn(_gap_of_a_shard, (tmp_path,), nprocs=2)

    whole = relative_gap({"w": torch.tensor([0.0, 1.0])}, {"w": torch.tensor([3.0, 5.0])})
    assert [float((tmp_path / f"gap{rank}").read_text()) for rank in range(2)] == [whole, whole]
