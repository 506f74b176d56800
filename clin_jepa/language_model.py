"""The language model behind the encoder: by name, by path, or from scratch; frozen, adapted by LoRA, or trained in full."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedConfig, PreTrainedModel, Qwen3Config

from clin_jepa.errors import InputError
from clin_jepa.last_block import keep_last_tokens_in_last_block
from clin_jepa.packing import PACKED, check_no_sinks, check_packable

ONLINE_ADAPTER, TARGET_ADAPTER = "online", "target"

# Trained from scratch on a vocabulary that is the store's own.
FROM_SCRATCH = ("tiny", "small")
# Hub names of the other presets, and their published shapes (the model cards' config.json), so that a model of that shape can be built
# with random weights and nothing downloaded.
HUB_NAMES = {"qwen3_0_6b": "Qwen/Qwen3-0.6B", "qwen3_8b": "Qwen/Qwen3-8B"}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    },
    "small": {
        "hidden_size": 512,
        "intermediate_size": 1536,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    },
    "qwen3_0_6b": {
        "vocab_size": 151936,
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 40960,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000},
        "tie_word_embeddings": True,
    },
    "qwen3_8b": {
        "vocab_size": 151936,
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 40960,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000},
        "tie_word_embeddings": False,
    },
}


@dataclass(frozen=True)
class EncoderConfig:
    """Which language model encodes the texts, and what of it trains.

    Args:
        base: ``tiny`` or ``small`` (a Qwen3 of 1M or 27M weights, trained from scratch), ``qwen3_0_6b``, ``qwen3_8b``, any causal
            language model's name on the Hugging Face hub, or a local folder.
        revision: Branch, tag or commit of the hub's repository.
        random_weights: Build the model of that shape with random weights; nothing is downloaded. `FROM_SCRATCH` always are.
        adaptation: ``lora`` trains low-rank adapters on a frozen base, ``full`` trains every weight.
        lora_rank: Rank of the adapters.
        lora_alpha: Scale of the adapters.
        lora_targets: Linear layers that get an adapter.
        quantization: ``nf4`` keeps the frozen base in 4 bits (bitsandbytes).
        dtype: Number format of the base weights; with ``bfloat16`` the encoder also computes in it, whatever ``trainer.precision`` says.
        tokens_per_pack: Most tokens that go through the encoder at once.
        activation_checkpointing: Recompute activations in the backward pass instead of keeping them.
        vocab_size: Vocabulary of an encoder of `FROM_SCRATCH`; set from ``--data.vocab_size``.
        weights: A checkpoint of an earlier run (next-token fine-tuning, say) whose encoder weights this run starts from.
    """

    base: str = "tiny"
    revision: str | None = None
    random_weights: bool = False
    adaptation: Literal["lora", "full"] = "full"
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_targets: list[str] = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"])
    quantization: Literal["none", "nf4"] = "none"
    dtype: Literal["float32", "bfloat16"] = "float32"
    tokens_per_pack: int = 16384
    activation_checkpointing: bool = False
    vocab_size: int = 4096
    weights: str | None = None

    def validate(self) -> None:
        """Refuse combinations that cannot train.

        Raises:
            InputError: If a quantised base would have to train in full, or a number is out of range.
        """
        if self.quantization == "nf4" and self.adaptation == "full":
            raise InputError("--model.encoder.quantization nf4 freezes the base: use --model.encoder.adaptation lora with it")
        if self.quantization == "nf4" and self.from_scratch:
            raise InputError("--model.encoder.quantization nf4 needs pretrained weights: random ones are not quantised")
        if self.lora_rank < 1 or self.tokens_per_pack < 1:
            raise InputError("--model.encoder.lora_rank and --model.encoder.tokens_per_pack must be at least 1")

    @property
    def from_scratch(self) -> bool:
        """Whether the weights are random at the start, so that only a shape is needed."""
        return self.base in FROM_SCRATCH or self.random_weights


def build_language_model(config: EncoderConfig) -> PreTrainedModel | PeftModel:
    """The causal language model with packed attention, adapted as configured.

    Args:
        config: Which model, and what of it trains.

    Returns:
        The model; with ``lora`` it carries the adapters `ONLINE_ADAPTER` (trainable) and `TARGET_ADAPTER`, with equal weights.

    Raises:
        InputError: If the name is neither on disk nor reachable, or the model cannot run packed.
    """
    config.validate()
    hf_config = architecture(config)
    check_packable(hf_config)
    model = _from_scratch(config, hf_config) if config.from_scratch else _pretrained(config)
    check_no_sinks(model)
    keep_last_tokens_in_last_block(model)
    model.config.use_cache = False
    if config.adaptation == "lora":
        if config.quantization == "nf4":
            model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        lora = LoraConfig(r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=list(config.lora_targets), task_type="CAUSAL_LM")
        try:
            model = get_peft_model(model, lora, adapter_name=ONLINE_ADAPTER)
        except ValueError as error:
            raise InputError(f"--model.encoder.lora_targets {config.lora_targets}: no such layer in {config.base!r}") from error
        model.add_adapter(TARGET_ADAPTER, lora)
        model.set_adapter(ONLINE_ADAPTER)
    if config.activation_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    return model


def base_identity(config: EncoderConfig, model: PreTrainedModel | PeftModel) -> dict[str, Any]:
    """What a checkpoint says of the base instead of holding its weights: name, revision, shape and vocabulary."""
    hf_config = model.config.to_dict()
    shape = {key: hf_config.get(key) for key in ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")}
    if isinstance(model, PeftModel):
        shape["lora"] = [config.lora_rank, config.lora_alpha, *sorted(config.lora_targets)]
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    if isinstance(model, PeftModel) and not config.from_scratch:
        # Adapters mean something on their own base only. Both ends of each tensor tell bases apart without reading 16 GB.
        for name, parameter in model.named_parameters():
            if f".{ONLINE_ADAPTER}." not in name and f".{TARGET_ADAPTER}." not in name:
                ends = parameter.detach().flatten()
                ends = torch.cat([ends[:1024], ends[-1024:]]).cpu().view(torch.uint8)
                digest.update(name.encode() + ends.numpy().tobytes())
    revision = config.revision or hf_config.get("_commit_hash")
    return {"base": config.base, "revision": revision, "adaptation": config.adaptation, "shape": shape, "hash": digest.hexdigest()}


def architecture(config: EncoderConfig) -> PreTrainedConfig:
    """The shape of the language model, without weights.

    Raises:
        InputError: If the name is neither on disk nor reachable.
    """
    if config.base not in ARCHITECTURES:
        return _load(AutoConfig.from_pretrained, config)
    shape = dict(ARCHITECTURES[config.base])
    if config.base in FROM_SCRATCH:
        shape["vocab_size"] = config.vocab_size
    return Qwen3Config(**shape)


def _from_scratch(config: EncoderConfig, hf_config: PreTrainedConfig) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_config(hf_config, dtype=getattr(torch, config.dtype), attn_implementation=PACKED)
    return model


def _pretrained(config: EncoderConfig) -> PreTrainedModel:
    dtype = getattr(torch, config.dtype)
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": PACKED}
    if config.quantization == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, bnb_4bit_use_double_quant=True
        )
    model: PreTrainedModel = _load(AutoModelForCausalLM.from_pretrained, config, **options)
    for module in model.modules():
        # On a CPU, bitsandbytes would compute in bfloat16 while a model is evaluated, and give other latents than in training.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def _load(from_pretrained: Any, config: EncoderConfig, **options: Any) -> Any:
    name = HUB_NAMES.get(config.base, config.base)
    try:
        return from_pretrained(name, revision=config.revision, **options)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the model {name!r} is neither a local folder with a model nor reachable on the hub: "
            "give a local folder with --model.encoder.base, or go online"
        ) from error
