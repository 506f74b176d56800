"""What the latent cache is worth as the encoder grows: a step of phase 1 with a full cache, and with latents encoded anew."""

from functools import partial
from typing import Any

from transformers import Qwen3Config

from benchmarks.material import Material
from benchmarks.timing import compare
from benchmarks.training_steps import BareTraining, cache_of
from clin_jepa.callbacks import PredictorWarmup
from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.predictor import PredictorConfig

_WINDOWS, _REPEATS = 2, 3
# Between the tiny encoder and Qwen3-0.6B: layers and width.
_SHAPES = {"8 layers of 512": (8, 512), "12 layers of 768": (12, 768)}


def measure_cache_by_encoder(material: Material) -> dict[str, Any]:
    """The predictor of ``encoder/tiny.yaml`` (5 M parameters) on each; ours is with the cache."""
    (batch,) = material.batches(1, batch_size=_WINDOWS)
    regime = PredictorWarmup(1).planned_regime()
    rows = []
    for name, (layers, width) in _SHAPES.items():
        base = material.folder / f"language_model_{layers}"
        shape = {"hidden_size": width, "intermediate_size": 3 * width, "num_hidden_layers": layers, "head_dim": 64, "vocab_size": 4096}
        heads = {"num_attention_heads": width // 64, "num_key_value_heads": width // 128}
        Qwen3Config(**shape, **heads, tie_word_embeddings=True).save_pretrained(base)
        module = ClinJEPA(
            encoder=EncoderConfig(base=str(base), random_weights=True),
            predictor=PredictorConfig(width=256, feed_forward=1024, dropout=0.0, attention_dropout=0.0),
        )
        module.configure_model()
        cached, anew = BareTraining(module, cache_of(material, module)), BareTraining(module)
        millions = sum(p.numel() for p in module.encoder.causal_lm.get_decoder().layers.parameters()) / 1e6
        label = f"step of phase 1, encoder of {name} ({millions:.0f} M)"
        rows.append(compare(label, partial(cached.step, batch, regime), partial(anew.step, batch, regime), repeats=_REPEATS).row())
    return {"rows": rows}
