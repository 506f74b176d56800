"""TextEncoder: a causal language model that turns each text into one latent, the final hidden state at its last token."""

# Shapes: U texts, N tokens of all texts, D latent features, V vocabulary.

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from clin_jepa.language_model import ONLINE_ADAPTER, TARGET_ADAPTER, EncoderConfig, base_identity, build_language_model
from clin_jepa.last_block import keeps_last_tokens
from clin_jepa.packing import Packing, plan_packs
from clin_jepa.shards import whole

# Tokens whose logits are in memory at once: 2048 x 151,936 x 4 bytes is 1.2 GB.
LOSS_CHUNK = 2048


class TextEncoder(nn.Module):
    """Encodes each text on its own; texts travel packed, without padding.

    The latent is the final-layer hidden state (after the model's own last norm) at the end-of-text token: no head, no further
    normalisation. All temporal context lives in the predictor.

    Args:
        config: Which language model, and what of it trains.

    Raises:
        InputError: If the model cannot be found or built.
    """

    # Where the weights are sharded, all processes run the layers together: the most packs that any of them has, given this one's.
    most_packs: Callable[[int], int] = staticmethod(int)

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.lm = build_language_model(config)
        self.lm.train()
        self._identity = base_identity(config, self.lm)

    @property
    def has_adapters(self) -> bool:
        """Whether a frozen base carries the online and the target adapter."""
        return isinstance(self.lm, PeftModel)

    @property
    def has_frozen_base_elsewhere(self) -> bool:
        """Whether the base can be had again by its name, so that a checkpoint need not hold it."""
        return self.has_adapters and not self.config.from_scratch

    @property
    def causal_lm(self) -> Any:
        """The language model with its head, without the adapter wrapper."""
        return self.lm.get_base_model() if isinstance(self.lm, PeftModel) else self.lm

    @property
    def latent_dim(self) -> int:
        """Features of a latent, D."""
        return int(self.lm.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.lm.parameters()).device
        return device

    @property
    def identity(self) -> dict[str, object]:
        """What a checkpoint says of the base instead of holding its frozen weights."""
        return self._identity

    def forward(self, token_N: Tensor, length_U: Tensor) -> Tensor:
        """Latents of texts.

        Args:
            token_N: Token ids of all texts, one after the other, ``[N]`` int64.
            length_U: Tokens of each text, ``[U]`` int64, on any device.

        Returns:
            ``[U, D]`` float32, in the order given.
        """
        latents: list[Tensor] = []
        packs = plan_packs(length_U.cpu(), self.config.tokens_per_pack)
        n_passes = self.most_packs(len(packs))
        for tokens, packing in self._packed(packs, token_N, length_U.cpu(), last_tokens_only=True):
            hidden_UD = self._hidden(tokens, packing)
            latents.append(hidden_UD.float())
        latent_UD = torch.cat(latents).index_select(0, _places(packs, latents[0].device))
        return latent_UD + self._idle_passes(n_passes - len(packs), token_N)

    def next_token_loss_and_latents(self, token_N: Tensor, length_U: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross entropy of each text's next token, over all tokens that have a predecessor, and the latents, of one pass.

        Args:
            token_N: Token ids of all texts, ``[N]`` int64.
            length_U: Tokens of each text, ``[U]`` int64.

        Returns:
            Scalar, nats a token; and ``[U, D]`` float32, in the order given.

        Raises:
            ValueError: If no text has two tokens.
        """
        n_predicted = int((length_U - 1).sum())
        if n_predicted < 1:
            raise ValueError("next-token loss needs a text of at least two tokens")
        packs = plan_packs(length_U.cpu(), self.config.tokens_per_pack)
        n_passes = self.most_packs(len(packs))
        total = torch.zeros((), device=self.device)
        latents: list[Tensor] = []
        for tokens, packing in self._packed(packs, token_N, length_U.cpu()):
            hidden_ND = self._hidden(tokens, packing)
            latents.append(hidden_ND.index_select(0, packing.last_token_U).float())
            ahead = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
            ahead[packing.last_token_U] = False
            source, wanted = hidden_ND[ahead], tokens.roll(-1)[ahead]
            for first in range(0, len(wanted), LOSS_CHUNK):
                chunk = slice(first, first + LOSS_CHUNK)
                total = total + checkpoint(self._summed_cross_entropy, source[chunk], wanted[chunk], use_reentrant=False)
        latent_UD = torch.cat(latents).index_select(0, _places(packs, latents[0].device))
        return total / n_predicted + self._idle_passes(n_passes - len(packs), token_N), latent_UD

    def useful_share(self, length_U: Tensor) -> float:
        """Share of the positions computed for some texts that hold a token, 0 to 1; attention on a CPU pads within a pack.

        Args:
            length_U: Tokens of each text, ``[U]`` int64.
        """
        if self.device.type == "cuda" and self.config.dtype == "bfloat16":
            return 1.0
        length_U = length_U.cpu()
        packs = [Packing(length_U[pack], torch.device("cpu")) for pack in plan_packs(length_U, self.config.tokens_per_pack)]
        return int(length_U.sum()) / sum(packing.positions for packing in packs)

    @contextmanager
    def target_weights(self) -> Iterator[None]:
        """Run the frozen base with the target adapter; the online adapter is back afterwards, as trainable as before."""
        layers = [module for module in self.lm.modules() if isinstance(module, BaseTunerLayer)]
        if not layers:
            raise RuntimeError("an encoder without adapters has its target in a copy of its own")
        # peft's set_adapter also switches requires_grad, which must not move during a step: only the active name is set here.
        for layer in layers:
            layer._active_adapter = [TARGET_ADAPTER]
        try:
            yield
        finally:
            for layer in layers:
                layer._active_adapter = [ONLINE_ADAPTER]

    def online_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that joint refinement trains, by name: the online adapter, or every weight."""
        if not self.has_adapters:
            return dict(self.lm.named_parameters())
        return {name: p for name, p in self.lm.named_parameters() if f".{ONLINE_ADAPTER}." in name}

    def adapter_target_parameters(self) -> dict[str, nn.Parameter]:
        """The target adapter's parameters, under the names of their online twins."""
        pairs = ((name, p) for name, p in self.lm.named_parameters() if f".{TARGET_ADAPTER}." in name)
        return {name.replace(f".{TARGET_ADAPTER}.", f".{ONLINE_ADAPTER}."): p for name, p in pairs}

    def fingerprint(self) -> str:
        """SHA-256 of the base's identity and of every online parameter: other weights give another one.

        Of a frozen base that comes from elsewhere, both ends of each tensor are read; device and precision of the forward pass are not in.
        Where the weights are sharded, every process has to call.
        """
        digest = hashlib.sha256(repr(sorted(self.identity.items())).encode())
        parameters = dict(self.lm.named_parameters()) if self.config.from_scratch else self.online_parameters()
        for name, parameter in sorted(parameters.items()):
            if f".{TARGET_ADAPTER}." in name:
                continue
            digest.update(name.encode())
            digest.update(whole(parameter.detach()).cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _idle_passes(self, count: int, token_N: Tensor) -> Tensor | float:
        """Passes through the layers that only keep step with other processes: a zero, whose gradient keeps their backward in step too."""
        if not count:
            return 0.0
        packing = Packing(torch.ones(1, dtype=torch.int64), self.device)
        return torch.stack([0.0 * self._hidden(token_N[:1].to(self.device), packing).float().sum() for _ in range(count)]).sum()

    def _packed(
        self, packs: list[Tensor], token_N: Tensor, length_U: Tensor, last_tokens_only: bool = False
    ) -> Iterator[tuple[Tensor, Packing]]:
        start_U = length_U.cumsum(0) - length_U
        token_N = token_N.to(self.device, non_blocking=True)
        for pack in packs:
            length, start = length_U[pack], start_U[pack]
            within = torch.arange(int(length.sum())) - (length.cumsum(0) - length).repeat_interleave(length)
            index = (start.repeat_interleave(length) + within).to(token_N.device, non_blocking=True)
            yield token_N.index_select(0, index), Packing(length, token_N.device, last_tokens_only)

    def _hidden(self, tokens: Tensor, packing: Packing) -> Tensor:
        """Final hidden states of a pack's tokens, ``[N, D]``, or of its texts' last tokens, ``[U, D]``."""
        decoder = self.causal_lm.get_decoder()
        # A half-precision base computes in half precision whoever calls, with the trainer's autocast or without it, as in evaluation.
        half = self.config.dtype == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16) if half else nullcontext():
            out = decoder(input_ids=tokens.unsqueeze(0), position_ids=packing.position_N.unsqueeze(0), use_cache=False, packing=packing)
        hidden: Tensor = out.last_hidden_state[0]
        if packing.last_tokens_only and not keeps_last_tokens(self.causal_lm):
            return hidden.index_select(0, packing.last_token_U)
        return hidden

    def _summed_cross_entropy(self, hidden_ND: Tensor, wanted_N: Tensor) -> Tensor:
        logits_NV = self.causal_lm.get_output_embeddings()(hidden_ND).float()
        return cross_entropy(logits_NV, wanted_N, reduction="sum")


def _places(packs: list[Tensor], device: torch.device) -> Tensor:
    """Where each text went when texts were packed, ``[U]``."""
    return torch.argsort(torch.cat(packs).to(device))
