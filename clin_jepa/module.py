"""ClinJEPA: the LightningModule that couples encoder, target and predictor, and trains as the current Regime says."""

# Shapes: B windows, T hours, D latent features, U unique texts.

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn.functional import layer_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from typing_extensions import override

from clin_jepa.anti_collapse import AntiCollapseConfig, anti_collapse_loss
from clin_jepa.batch import TrajectoryBatch
from clin_jepa.checkpoint import (
    CHECKPOINT_KEY,
    FORMAT,
    check_encoder,
    encoder_weights,
    read_checkpoint,
    recount_batches,
    without_frozen_base,
)
from clin_jepa.data.latent_cache import LatentCache, remove_other_caches
from clin_jepa.data.shared_work import divide_pages
from clin_jepa.encoder import TextEncoder
from clin_jepa.errors import InputError
from clin_jepa.grounding import GroundingConfig, GroundingHeads
from clin_jepa.language_model import EncoderConfig
from clin_jepa.objective import (
    Reduction,
    hours_from,
    longest_rollout,
    masked_l1,
    rollout_loss,
    rollout_starts,
    rollout_steps,
    teacher_forced_loss,
)
from clin_jepa.optimization import OptimizationConfig, build_optimizer, clip_each_group, warmup_then_cosine
from clin_jepa.predictor import LatentTrajectoryPredictor, PredictorConfig
from clin_jepa.regime import Regime
from clin_jepa.shards import norm
from clin_jepa.step_share import StepPlace, StepShare
from clin_jepa.target import TargetEncoder


@dataclass(frozen=True)
class PhasePosition:
    """Where a run stands in its curriculum.

    Args:
        number: The phase entered last; -1 before the first.
        name: Its name.
        finished: Whether it has ended.
        skipped: Planned optimizer steps that phases which ended early left out, in all.
    """

    number: int = -1
    name: str = "start"
    finished: bool = True
    skipped: int = 0


@dataclass
class Latents:
    """Latents of a batch's hours.

    Args:
        static_BD: Of the static texts.
        state_BTD: Of the states.
        action_BTD: Of the actions.
    """

    static_BD: Tensor
    state_BTD: Tensor
    action_BTD: Tensor


class ClinJEPA(LightningModule):
    """Encoder, EMA target and latent trajectory predictor under one objective.

    What trains, and towards which target, is the `regime`; the phase callbacks set it and nothing else does.

    Args:
        encoder: Which language model encodes the texts, and what of it trains.
        predictor: Size of the predictor.
        optimization: Learning rates and schedule.
        anti_collapse: A further term of the loss, while the encoder trains, that keeps its latents spread out.
        grounding: A further term of the loss, through heads that read measured numbers from latents and hidden states.
        variables: Names of these numbers; set from the store.
        horizon: Steps of the rollout in the loss; a shorter window is rolled out to its end.
        reduction: Over latent features in the loss: ``mean``, or ``sum`` as reported for the published model.
        normalize_latents: Layer norm (without affine) on every latent before the predictor and in the target.
        latent_cache: Number format in which latents of a frozen encoder are kept on disk; ``none`` encodes anew at each step.
        seed: Seed of dropout and rollout starts; set from ``--seed_everything``.
    """

    def __init__(
        self,
        encoder: EncoderConfig = EncoderConfig(),
        predictor: PredictorConfig = PredictorConfig(),
        optimization: OptimizationConfig = OptimizationConfig(),
        anti_collapse: AntiCollapseConfig = AntiCollapseConfig(),
        grounding: GroundingConfig = GroundingConfig(),
        variables: list[str] | None = None,
        horizon: int = 2,
        reduction: Reduction = "mean",
        normalize_latents: bool = False,
        latent_cache: Literal["float32", "bfloat16", "none"] = "float32",
        seed: int = 0,
    ) -> None:
        super().__init__()
        # Frozen base weights are not in a checkpoint; `on_load_checkpoint` checks that everything else is.
        self.strict_loading = False
        self.encoder_config = encoder
        self.predictor_config = predictor
        self.optimization, self.anti_collapse = optimization, anti_collapse
        self.grounding_config, self.variables = grounding, list(variables or [])
        for config in (self.encoder_config, self.predictor_config, self.optimization, self.anti_collapse, self.grounding_config):
            config.validate()
        if horizon < 1:
            raise InputError(f"--model.horizon {horizon} must be at least 1")
        self.horizon, self.reduction, self.normalize_latents = horizon, reduction, normalize_latents
        self.latent_cache, self.seed = latent_cache, seed
        self._set_hparams(
            {
                "encoder": asdict(self.encoder_config),
                "predictor": asdict(self.predictor_config),
                "optimization": asdict(self.optimization),
                "anti_collapse": asdict(self.anti_collapse),
                "grounding": asdict(self.grounding_config),
                "variables": self.variables,
                "horizon": horizon,
                "reduction": reduction,
                "normalize_latents": normalize_latents,
                "latent_cache": latent_cache,
                "seed": seed,
            }
        )
        self.schedule_steps = self.optimization.total_steps
        self.position = PhasePosition()
        self._regime = Regime()
        self._cache: LatentCache | None = None
        self._place = StepPlace()
        self._measured: dict[str, Tensor] = {}
        self.completes_step = True

    # ------------------------------------------------------------------ building and loading

    @override
    def configure_model(self) -> None:
        if hasattr(self, "encoder"):
            return
        self.encoder = TextEncoder(self.encoder_config)
        self.target = TargetEncoder(self.encoder)
        self.predictor = LatentTrajectoryPredictor(self.encoder.latent_dim, self.predictor_config)
        self.grounding: GroundingHeads | None = None
        if self.grounding_config.is_on:
            # The random state is put back: whatever is drawn later is the same with heads and without.
            with torch.random.fork_rng(devices=[]):
                sizes = (self.encoder.latent_dim, self.predictor_config.width)
                self.grounding = GroundingHeads(*sizes, self.variables, self.grounding_config)
        if self.encoder_config.weights:
            path = Path(self.encoder_config.weights)
            checkpoint = read_checkpoint(path)
            trained = {f"lm.{name}": p for name, p in self.encoder.online_parameters().items()}
            self.encoder.load_state_dict(encoder_weights(checkpoint, path, self.encoder.identity, trained), strict=False)
            self.target.copy_from_online()
            if self.grounding is not None:
                self.grounding.start_from(checkpoint)

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> Self:
        """The model of a run's checkpoint, on the CPU, in evaluation mode.

        Args:
            path: A file such as ``runs/demo/checkpoints/phase5.ckpt``.

        Raises:
            InputError: If the file is missing, damaged or no Clin-JEPA checkpoint.
        """
        checkpoint = read_checkpoint(Path(path))
        settings = dict(checkpoint["hyper_parameters"])
        module = cls(
            encoder=EncoderConfig(**{**settings.pop("encoder"), "weights": None}),
            predictor=PredictorConfig(**settings.pop("predictor")),
            optimization=OptimizationConfig(**settings.pop("optimization")),
            anti_collapse=AntiCollapseConfig(**settings.pop("anti_collapse", {})),
            grounding=GroundingConfig(**settings.pop("grounding", {})),
            **settings,
        )
        module.configure_model()
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"], strict=False)
        return module.eval()

    def checkpointed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of a state of this module what a checkpoint holds: all, but for a frozen base that can be had again by its name."""
        return without_frozen_base(state, self.encoder) if self.encoder.has_frozen_base_elsewhere else state

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = self.checkpointed(checkpoint["state_dict"])
        checkpoint[CHECKPOINT_KEY] = {
            "format": FORMAT,
            "position": asdict(self.position),
            "regime": asdict(self._regime),
            "schedule_steps": self.schedule_steps,
            "encoder": self.encoder.identity,
        }

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        about = check_encoder(checkpoint, self.encoder.identity)
        expected = self.checkpointed(self.state_dict())
        unmatched = expected.keys() ^ checkpoint["state_dict"].keys()
        wrong = [name for name, value in checkpoint["state_dict"].items() if name in expected and expected[name].shape != value.shape]
        if unmatched or wrong:
            raise InputError(
                f"the checkpoint does not fit this model: {len(unmatched)} parameters are missing or left over and {len(wrong)} have "
                f"another shape (first: {sorted([*unmatched, *wrong])[0]}): use the run's own config.yaml"
            )
        trained = checkpoint["hyper_parameters"]
        pairs = [(f"predictor.{key}", trained["predictor"][key], getattr(self.predictor_config, key)) for key in ("heads", "residual")]
        for key, theirs, ours in [*pairs, ("normalize_latents", trained["normalize_latents"], self.normalize_latents)]:
            if theirs != ours:
                raise InputError(f"the checkpoint has --model.{key} {theirs}, this run {ours}: use the run's own config.yaml")
        if self._trainer is not None and self._trainer.training:
            recount_batches(checkpoint, self._trainer.accumulate_grad_batches)
        self.position = PhasePosition(**about["position"])
        self.regime = Regime(**about["regime"])

    # ------------------------------------------------------------------ regime and latents

    @property
    def regime(self) -> Regime:
        """What trains now, and towards which target."""
        return self._regime

    @regime.setter
    def regime(self, regime: Regime) -> None:
        self._regime = regime
        self._cache = None

    def online_latents(self, batch: TrajectoryBatch) -> Tensor:
        """Latents of the batch's unique texts under the online encoder, ``[U, D]``.

        With gradient while the encoder trains; from the cache while it is frozen.
        """
        if self.regime.train_encoder and torch.is_grad_enabled():
            latent_UD = self.encoder(batch.token_N, batch.length_U)
        elif self.regime.train_encoder or (cache := self._frozen_cache()) is None:
            with torch.no_grad():
                latent_UD = self.encoder(batch.token_N, batch.length_U)
        else:
            latent_UD = cache.latents(batch.text_id_U, self.encoder)
        return self.normalized(latent_UD)

    def online_target_latents(self, batch: TrajectoryBatch, online_UD: Tensor) -> Tensor:
        """State latents of the online encoder that predictions are compared with, ``[B, T, D]``.

        Without gradient, but for ``online_with_gradient``. Padded hours hold those of some real text.
        """
        return (online_UD if self.regime.target == "online_with_gradient" else online_UD.detach())[batch.state_BT]

    def encoded_by_target(self, batch: TrajectoryBatch) -> Tensor:
        """State latents of the target encoder, whatever the regime, ``[B, T, D]``, without gradient; padding as for the online ones."""
        used_U, place_BT = torch.unique(batch.state_BT, return_inverse=True)
        token_N, length_U = _select_texts(batch.token_N, batch.length_U, used_U)
        return self.normalized(self.target(token_N, length_U))[place_BT]

    def arrange(self, latent_UD: Tensor, batch: TrajectoryBatch) -> Latents:
        """Latents by window and hour."""
        return Latents(latent_UD[batch.static_B], latent_UD[batch.state_BT], latent_UD[batch.action_BT])

    def normalized(self, latent_UD: Tensor) -> Tensor:
        """The latents as predictor and target see them: layer-normed if so configured, else unchanged."""
        return layer_norm(latent_UD, latent_UD.shape[-1:]) if self.normalize_latents else latent_UD

    def latents_from(self, cache: LatentCache | None) -> None:
        """Read the frozen encoder's latents from a cache, until the regime changes, where no trainer provides one."""
        self._cache = cache

    @property
    def encodes_each_batch(self) -> bool:
        """Whether the online encoder runs at each training step: while it trains, and where its latents are not cached."""
        return self.regime.train_encoder or self.latent_cache == "none"

    @property
    def cache_in_use(self) -> LatentCache | None:
        """Where the latents of the frozen encoder come from; None while it trains, and where there is no cache."""
        return self._cache

    def _frozen_cache(self) -> LatentCache | None:
        if self._trainer is None:
            return self._cache
        datamodule = getattr(self._trainer, "datamodule", None)
        if self.latent_cache == "none" or datamodule is None:
            return None
        if self._cache is None:
            trainer, divide = self.trainer, None
            folder = Path(trainer.strategy.broadcast(trainer.default_root_dir)) / "latents"
            if trainer.world_size > 1:
                # What one process writes the others of its node see at once; those of other nodes, on a network's disk, may not.
                folder = folder if trainer.num_nodes == 1 else folder / f"node{trainer.node_rank}"
                divide = partial(divide_pages, node=trainer.node_rank, device=trainer.strategy.root_device)
            fingerprint, dim = self.encoder.fingerprint(), self.encoder.latent_dim
            self._cache = LatentCache(folder, datamodule.tokens, fingerprint, dim, self.latent_cache, divide)
            if trainer.local_rank == 0 and trainer.training:
                remove_other_caches(folder, keep=self._cache.fingerprint)
        return self._cache

    # ------------------------------------------------------------------ steps

    @override
    def on_train_batch_start(self, batch: TrajectoryBatch, batch_idx: int) -> None:
        # Dropout is a function of the position in the run, so that a resumed run draws the very same.
        trainer = self.trainer
        self._place = StepPlace(batch_idx % max(trainer.accumulate_grad_batches, 1), max(trainer.accumulate_grad_batches, 1))
        self.completes_step = self._place.micro_batch == self._place.micro_batches - 1
        torch.manual_seed(self._step_seed(self._place.micro_batch, trainer.global_rank))

    def _step_seed(self, *place: int) -> int:
        """A seed for what is drawn at this optimizer step, in this micro-batch, on this process."""
        return hash((self.seed, self.trainer.global_step, *place)) % 2**63

    @override
    def training_step(self, batch: TrajectoryBatch, batch_idx: int) -> Tensor:
        if self.regime.objective == "next_token":
            parts = self.next_token_losses(batch, self._share(batch))
        else:
            parts = {f"loss_{name}": value for name, value in self.losses(batch, self._share(batch)).items()}
        loss = torch.stack(list(parts.values())).sum()
        self._log_step({"train/loss": loss, **{f"train/{name}": value for name, value in parts.items()}})
        self.log("loss", loss, prog_bar=True, logger=False)
        return loss

    def _log_step(self, values: Mapping[str, Tensor]) -> None:
        """Write figures of an optimizer step: means over its micro-batches and processes."""
        if self._place.micro_batch == 0:
            self._measured = {}
        for name, value in values.items():
            self._measured[name] = self._measured.get(name, 0.0) + value.detach() / self._place.micro_batches
        if self.logs_now:
            self.log_scalars({name: self.trainer.strategy.reduce(value) for name, value in self._measured.items()})

    def log_scalars(self, values: Mapping[str, float | Tensor]) -> None:
        """Write figures of the training loop to the loggers, every ``log_every_n_steps`` optimizer steps, at the optimizer step.

        Unlike ``self.log``, which within an epoch repeats the last value of every name, a figure is written only when it is measured.
        """
        if self.logs_now:
            figures = {name: float(torch.as_tensor(value).detach()) for name, value in values.items()}
            for logger in self.loggers:
                logger.log_metrics(figures, step=self.trainer.global_step)

    @property
    def logs_now(self) -> bool:
        """Whether this optimizer step is one of every ``trainer.log_every_n_steps``; the same on every process."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return self.completes_step and self.trainer.global_step % max(every, 1) == 0

    def _share(self, batch: TrajectoryBatch) -> StepShare:
        """What this batch is of its optimizer step: all processes' micro-batches together are one large batch, however it is cut."""
        trainer = self.trainer
        datamodule: Any = getattr(trainer, "datamodule", None)
        if not hasattr(datamodule, "hours_of_step"):
            return StepShare.all_of_it(batch, self.horizon, self._step_seed())
        first = (self._place.micro_batch * trainer.world_size + trainer.global_rank) * batch.n_windows
        return StepShare.part_of(
            torch.from_numpy(datamodule.hours_of_step()),
            self.horizon,
            self._step_seed(),
            parts=trainer.world_size * self._place.micro_batches,
            own=slice(first, first + batch.n_windows),
        )

    def losses(self, batch: TrajectoryBatch, share: StepShare) -> dict[str, Tensor]:
        """The terms of the training loss under the current regime, by name; their sum is what a step minimises.

        Args:
            batch: Windows of one micro-batch of one process.
            share: What they are of the optimizer step.
        """
        # The EMA target first: what its pass needs is gone before the online pass begins to keep activations.
        target_BTD = self.encoded_by_target(batch) if self.regime.target == "ema" else None
        online_UD = self.online_latents(batch)
        if target_BTD is None:
            target_BTD = self.online_target_latents(batch, online_UD)
        latents = self.arrange(online_UD, batch)
        start_B = rollout_starts(batch.n_hours, self.horizon, share.uniform_B)
        horizon = longest_rollout(batch.mask_BT.shape[1], self.horizon)
        if self.regime.rollout == "chained":
            pred_BTD, rolled_BRD, hidden_BTW = self.predictor.forward_with_rollouts(
                latents.static_BD, latents.state_BTD, latents.action_BTD, start_B, horizon
            )
        else:
            pred_BTD, hidden_BTW = self.predictor.forward_with_hidden(latents.static_BD, latents.state_BTD, latents.action_BTD)
            rolled_BRD = hours_from(pred_BTD, start_B, horizon)
        forced = teacher_forced_loss(pred_BTD, target_BTD, batch.mask_BT, self.reduction, share.hours)
        wanted_BRD, steps_B = hours_from(target_BTD, start_B + 1, horizon), rollout_steps(batch.n_hours, self.horizon)
        rollout = rollout_loss(rolled_BRD, wanted_BRD, steps_B, self.reduction, share.rollout_steps)
        # Processes and micro-batches average their gradients; these are parts of one sum.
        losses = {"teacher_forced": forced * share.scale, "rollout": rollout * share.scale}
        if self.regime.train_encoder and self.anti_collapse.kind != "none":
            state_ND = latents.state_BTD[batch.mask_BT]
            # Of all processes' latents already, on each of them.
            losses["anti_collapse"] = anti_collapse_loss(state_ND, self.anti_collapse, share.seed)
        if self.grounding is not None:
            losses["grounding"] = self._grounding_loss(latents, hidden_BTW, batch, share)
        return losses

    def next_token_losses(self, batch: TrajectoryBatch, share: StepShare) -> dict[str, Tensor]:
        """The terms of the loss of next-token tuning, by name; arguments as in `losses`."""
        loss, latent_UD = self.encoder.next_token_loss_and_latents(batch.token_N, batch.length_U)
        losses = {"next_token_loss": loss}
        if self.grounding is not None:
            latents = self.arrange(self.normalized(latent_UD), batch)
            losses["loss_grounding"] = self._grounding_loss(latents, None, batch, share)
        return losses

    def _grounding_loss(self, latents: Latents, hidden_BTW: Tensor | None, batch: TrajectoryBatch, share: StepShare) -> Tensor:
        assert self.grounding is not None
        if batch.values is None:
            raise InputError("grounding needs batches with numbers: give the TrajectoryDataModule values=True, and the model its variables")
        read = (latents.static_BD, latents.state_BTD, hidden_BTW)
        loss: Tensor = self.grounding(*read, batch.values, batch.mask_BT, share.windows, share.hours)
        return share.scale * loss

    def heads_and_predictor(self) -> Iterator[nn.Parameter]:
        """Parameters of what trains at the predictor's rate."""
        yield from self.predictor.parameters()
        if self.grounding is not None:
            yield from self.grounding.parameters()

    @override
    def validation_step(self, batch: TrajectoryBatch, batch_idx: int) -> dict[str, Any]:
        return self._evaluation_step(batch, "val")

    @override
    def test_step(self, batch: TrajectoryBatch, batch_idx: int) -> dict[str, Any]:
        return self._evaluation_step(batch, "test")

    def _evaluation_step(self, batch: TrajectoryBatch, stage: Literal["val", "test"]) -> dict[str, Any]:
        """Scale-free one-hour errors, as means over windows; the latents go on to the monitors."""
        if self.regime.objective == "next_token":
            loss, _ = self.encoder.next_token_loss_and_latents(batch.token_N, batch.length_U)
            self.log(f"{stage}/next_token_loss", loss, batch_size=batch.n_windows, sync_dist=True)
        latents = self.arrange(self.online_latents(batch), batch)
        pred_BTD, hidden_BTW = self.predictor.forward_with_hidden(latents.static_BD, latents.state_BTD, latents.action_BTD)
        error_B = _window_l1(pred_BTD[:, :-1], latents.state_BTD[:, 1:], batch.mask_BT[:, 1:])
        copy_B = _window_l1(latents.state_BTD[:, :-1], latents.state_BTD[:, 1:], batch.mask_BT[:, 1:])
        figures = {"loss": error_B.mean(), "copy_forward_l1": copy_B.mean(), "mase_h1": (error_B / copy_B.clamp(min=1e-12)).mean()}
        if self.grounding is not None and batch.values is not None:
            figures["grounding"] = self.grounding(latents.static_BD, latents.state_BTD, hidden_BTW, batch.values, batch.mask_BT)
        if stage == "val":
            # Lightning would count the batches that stepped, one behind the optimizer step of all other figures.
            self.log("step", float(self.trainer.global_step), batch_size=batch.n_windows)
        self.log_dict(
            {f"{stage}/{name}": value for name, value in figures.items()},
            batch_size=batch.n_windows,
            sync_dist=True,
            on_step=False,
            on_epoch=True,
        )
        return {"latents": latents, "predicted_BTD": pred_BTD, "l1_B": error_B}

    @override
    def predict_step(self, batch: TrajectoryBatch, batch_idx: int) -> dict[str, Tensor]:
        """Latent of each hour and the prediction of the hour after it."""
        latents = self.arrange(self.online_latents(batch), batch)
        pred_BTD = self.predictor(latents.static_BD, latents.state_BTD, latents.action_BTD)
        keep = batch.mask_BT
        return {
            "stay_id": batch.stay_id_B[:, None].expand_as(keep)[keep],
            "window_start": batch.hour_BT[:, :1].expand_as(keep)[keep],
            "hour": batch.hour_BT[keep],
            "latent": latents.state_BTD[keep],
            "predicted_next": pred_BTD[keep],
        }

    # ------------------------------------------------------------------ optimizer

    @override
    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        steps = self.schedule_steps or self.trainer.max_steps
        if steps is None or steps < 1:
            raise InputError("the schedule needs a length: list phase callbacks, or give --model.optimization.total_steps")
        optimizer = build_optimizer(self.optimization, self.encoder.online_parameters().values(), self.heads_and_predictor())
        scheduler = LambdaLR(optimizer, warmup_then_cosine(steps, self.optimization.warmup_fraction))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @override
    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        if not self.logs_now:
            return
        for group in optimizer.param_groups:
            gradients = [p.grad for p in group["params"] if p.grad is not None]
            figures = {f"train/lr_{group['name']}": group["lr"]}
            if gradients:
                figures[f"train/grad_norm_{group['name']}"] = norm(gradients)
            self.log_scalars(figures)

    @override
    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        if gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            clip_each_group(optimizer, gradient_clip_val)


def _window_l1(pred_BTD: Tensor, target_BTD: Tensor, valid_BT: Tensor) -> Tensor:
    """Mean absolute error of each window, ``[B]``."""
    return torch.stack([masked_l1(p, t, v) for p, t, v in zip(pred_BTD, target_BTD, valid_BT, strict=True)])


def _select_texts(token_N: Tensor, length_U: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens and lengths of some of the packed texts."""
    wanted = torch.zeros(len(length_U), dtype=torch.bool)
    wanted[index := index.cpu()] = True
    return token_N[wanted.repeat_interleave(length_U).to(token_N.device)], length_U[index]
