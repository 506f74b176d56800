"""The plan of a run: work, memory and time of each phase, from the store, the shapes and the rates of a device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.pytorch import Trainer

from clin_jepa.callbacks import HardSync, JointRefinement, PredictorFinalization, RolloutMonitor
from clin_jepa.callbacks.phase_chain import PhaseChain, PhaseSpan
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.errors import InputError
from clin_jepa.module import ClinJEPA
from clin_jepa.planning.memory import Sizes, activation_bytes, held_bytes, sizes_of
from clin_jepa.planning.operations import encoder_operations, head_operations, predictor_operations
from clin_jepa.planning.rates import Rates, described
from clin_jepa.planning.saved_activations import Kind, meta_encoder
from clin_jepa.planning.workload import MicroBatch, Workload
from clin_jepa.predictor import LatentTrajectoryPredictor
from clin_jepa.regime import Regime

# Of the device's memory that a micro-batch may fill.
_FILL = 0.9


@dataclass(frozen=True)
class PhasePlan:
    """What one phase will cost.

    Args:
        name: Number and name.
        steps: Optimizer steps.
        tokens: That the encoder and the target process, validations included, of one process.
        seconds: Expected.
        peak_bytes: Memory of one process at most.
    """

    name: str
    steps: int
    tokens: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Plan:
    """What a run will cost.

    Args:
        phases: One after the other.
        parameters: By part.
        windows: Of the training split.
        hours: In them.
        texts: In the store.
        tokens_per_epoch: Of unique texts, by micro-batch.
        unique_share: Unique texts of a micro-batch among all that its windows name.
        largest_batch_size: Windows of a micro-batch that fit.
        memory_bytes: Of the device.
        processes: That work in step.
    """

    phases: tuple[PhasePlan, ...]
    parameters: dict[str, int]
    windows: int
    hours: int
    texts: int
    tokens_per_epoch: int
    unique_share: float
    largest_batch_size: int
    memory_bytes: int
    processes: int

    @property
    def seconds(self) -> float:
        """Of all phases."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def peak_bytes(self) -> int:
        """Of the phase that needs most."""
        return max(phase.peak_bytes for phase in self.phases)


class Planner:
    """Adds up a run.

    Args:
        module: Its model, not built.
        data: Its store.
        trainer: Its devices, callbacks and validations.
        rates: Of the device.
        base_bytes: What the process holds before the model is built.
        memory_bytes: Of the device.

    Raises:
        InputError: If no phase is listed, or the rates are those of another encoder.
    """

    def __init__(
        self, module: ClinJEPA, data: TrajectoryDataModule, trainer: Trainer, rates: Rates, base_bytes: int, memory_bytes: int
    ) -> None:
        self.module, self.data, self.rates = module, data, rates
        # Lightning sets its settings as attributes that its annotations do not know.
        self._trainer: Any = trainer
        self.base_bytes, self.memory_bytes = base_bytes, memory_bytes
        self.chain = PhaseChain.of_trainer(trainer, module.optimization.total_steps)
        if not self.chain.spans:
            raise InputError("there is nothing to plan: list phase callbacks in trainer.callbacks, as curriculum.yaml does")
        self.kind: Kind = rates.kind
        if rates.encoder != (wanted := described(module.encoder_config)):
            raise InputError(f"the rates are those of a {rates.encoder}, and this run has a {wanted}: measure them with this config")
        self.processes = trainer.world_size
        sharded = type(trainer.strategy).__name__ == "ClinJEPAStrategy"
        hybrid = sharded and getattr(trainer.strategy, "hybrid", False)
        self.shards = (trainer.num_devices if hybrid else self.processes) if sharded else 1
        self.accumulate = trainer.accumulate_grad_batches
        self.workload = Workload(data, self.processes)
        self.encoder = meta_encoder(module.encoder_config)
        with torch.device("meta"):
            predictor = LatentTrajectoryPredictor(self.encoder.latent_dim, module.predictor_config)
        self.sizes: Sizes = sizes_of(module, self.encoder, predictor)
        self.sampled = self.workload.sampled(self.chain.end * self.accumulate)
        self.validation = self._validation_batches()
        self.largest = max(self.sampled, key=lambda batch: batch.tokens)

    def plan(self) -> Plan:
        """The whole run."""
        phases: list[PhasePlan] = []
        room: list[int] = []
        first = self.chain.spans[0]
        cached = False
        # A phase trained alone takes the optimizer's state over from the phases before it.
        encoder_has_state = first.start > 0 and first.phase.number > JointRefinement.number
        for span, regime in self._regimes():
            seconds, tokens = self._work(span, regime, cached)
            held = self.base_bytes + held_bytes(self.module, self.sizes, regime, self.shards, encoder_has_state)
            growing = activation_bytes(self.module, self.encoder, self.largest, regime, self.kind) if span.steps else 0
            phases.append(PhasePlan(f"{span.phase.number} {span.phase.name}", span.steps, tokens, seconds, held + growing))
            if span.steps:
                # Each window is taken to need as much as those of the largest sampled micro-batch.
                room.append(int((_FILL * self.memory_bytes - held) * self.largest.windows / growing))
            cached = not regime.train_encoder and (cached or span.steps > 0)
            encoder_has_state = encoder_has_state or regime.train_encoder
        texts = sum(len(batch.length_U) for batch in self.sampled)
        named = sum(batch.named_texts for batch in self.sampled)
        windows = len(self.workload.train)
        per_epoch = sum(batch.tokens for batch in self.sampled) / len(self.sampled) * windows / self.data.batch_size
        return Plan(
            phases=tuple(phases),
            parameters=self._parameters(),
            windows=windows,
            hours=int(self.workload.train.windows[:, 3].sum()),
            texts=self.data.tokens.n_texts,
            tokens_per_epoch=round(per_epoch),
            unique_share=texts / named,
            largest_batch_size=max(min(room, default=0), 0),
            memory_bytes=self.memory_bytes,
            processes=self.processes,
        )

    def _regimes(self) -> Iterator[tuple[PhaseSpan, Regime]]:
        """Each phase with its regime; without hard sync after the encoder was trained, finalization stays with the EMA target."""
        apart = False
        for span in self.chain.spans:
            regime = span.phase.planned_regime()
            if isinstance(span.phase, PredictorFinalization) and apart:
                regime = replace(regime, target="ema")
            apart = (apart or (regime.train_encoder and regime.target == "ema")) and not isinstance(span.phase, HardSync)
            yield span, regime

    # ------------------------------------------------------------------ time

    def _work(self, span: PhaseSpan, regime: Regime, cached: bool) -> tuple[float, int]:
        """Seconds and tokens of a phase."""
        rates, micro = self.rates, span.steps * self.accumulate
        if not micro:
            return 0.0, 0
        seconds, tokens = 0.0, 0
        validations = micro // self._validation_interval() if self.validation else 0
        for batch in self.sampled:
            share = micro / len(self.sampled)
            if regime.train_encoder:
                seconds += share * self._operations(batch.length_U) / rates.encoder_training
                tokens += round(share * batch.tokens)
                if regime.objective == "next_token":
                    # The backward pass computes the logits anew: 4 passes where the rate stands for 3.
                    seconds += share * 4 / 3 * head_operations(self.encoder, batch.length_U) / rates.encoder_training
            elif self.module.latent_cache == "none":
                seconds += share * self._operations(batch.length_U) / rates.encoder_forward
                tokens += round(share * batch.tokens)
            if regime.target == "ema" and regime.objective == "jepa":
                seconds += share * self._operations(batch.state_length_U) / rates.encoder_forward
                tokens += round(share * int(batch.state_length_U.sum()))
            if regime.objective == "jepa":
                seconds += share * self._predictor_operations(batch) / rates.predictor_training
        for batch in self.validation:
            if regime.train_encoder:
                passes = 2 if regime.objective == "next_token" else 1
                seconds += validations * passes * self._operations(batch.length_U) / rates.encoder_forward
                tokens += validations * passes * batch.tokens
            if regime.target == "ema":
                seconds += validations * self._operations(batch.state_length_U) / rates.encoder_forward
                tokens += validations * int(batch.state_length_U.sum())
            seconds += validations * self._predictor_operations(batch) / rates.predictor_forward
            seconds += validations * rates.rollout_s * self._rolls_out(batch)
        if not regime.train_encoder and self.module.latent_cache != "none" and not cached:
            drawn = micro * self.processes * self.data.batch_size
            validated = sum(batch.windows for batch in self.validation) if validations else 0
            length_U = self.workload.lengths_to_encode(drawn, [("tuning", validated)])
            seconds += self._operations(length_U) / rates.encoder_forward / self.processes
            tokens += int(length_U.sum()) // self.processes
        moved = (self.sizes.predictor if regime.objective == "jepa" else 0) + self.sizes.encoder * regime.train_encoder
        moved += self.sizes.target * (regime.target == "ema")
        return seconds + span.steps * moved / rates.optimizer / self.shards, tokens

    def _operations(self, length_U: torch.Tensor) -> int:
        return encoder_operations(self.encoder, length_U)

    def _predictor_operations(self, batch: MicroBatch) -> int:
        return batch.windows * predictor_operations(self.module.predictor_config, self.encoder.latent_dim, batch.hours)

    def _rolls_out(self, batch: MicroBatch) -> bool:
        return any(batch.hours >= monitor.context + monitor.horizon for monitor in rollout_monitors(self._trainer))

    def _validation_interval(self) -> int:
        interval = self._trainer.val_check_interval
        return int(interval) if isinstance(interval, int) else 2**62

    def _validation_batches(self) -> list[MicroBatch]:
        limit = self._trainer.limit_val_batches
        if not limit:
            return []
        batches = -(-len(self.data.windows("tuning")) // self.data.batch_size)
        return self.workload.validation("tuning", min(limit, batches) if isinstance(limit, int) else round(limit * batches))

    def _parameters(self) -> dict[str, int]:
        every = sum(p.numel() for p in self.encoder.parameters())
        trained = self.sizes.encoder
        frozen = every - trained - self.sizes.target if self.encoder.has_adapters else 0
        return {"encoder, frozen": frozen, "encoder, trained": trained, "target": self.sizes.target, "predictor": self.sizes.predictor}


def rollout_monitors(trainer: Any) -> list[RolloutMonitor]:
    """Those among a trainer's callbacks."""
    return [callback for callback in trainer.callbacks if isinstance(callback, RolloutMonitor)]


def as_rows(phases: Sequence[PhasePlan]) -> list[list[str]]:
    """Cells of a table: phase, steps, tokens, time, memory."""
    return [
        [phase.name, f"{phase.steps:,}", f"{phase.tokens:,}", readable_time(phase.seconds), f"{phase.peak_bytes / 2**30:.2f} GB"]
        for phase in phases
    ]


def readable_time(seconds: float) -> str:
    """Seconds, minutes or hours, whatever reads best.

    >>> [readable_time(value) for value in (5.2, 300, 90_000)]
    ['5 s', '5 min', '25.0 h']
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
