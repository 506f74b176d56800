"""A training run as a user starts it, timed from within."""

import contextlib
import io
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clock import read_clock
from benchmarks.material import Material
from clin_jepa.cli import main


def fit(material: Material, run: Path, callbacks: list[dict[str, Any]], **settings: Any) -> list[tuple[float, float]]:
    """Train the model of ``encoder/tiny.yaml`` with ``clinjepa fit``, all shipped callbacks and TensorBoard included.

    Args:
        material: The store.
        run: The run folder, replaced if it is there.
        callbacks: The phases.
        settings: Of the config, by section.

    Returns:
        Begin and end of each batch.
    """
    callbacks = [*callbacks, {"class_path": "benchmarks.clock.Clock"}]
    trainer = {"accelerator": "cpu", "limit_val_batches": 0, "enable_model_summary": False, "callbacks": callbacks}
    config = run.parent / f"{run.name}.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(yaml.safe_dump({"trainer": trainer, "data": {"batch_size": 8}, **settings}), encoding="utf-8")
    words = ["fit", "--config", "encoder/tiny.yaml", "--config", str(config), "--data.store", str(material.store), "--run", str(run)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = main([*words, "--overwrite", "true", "--model.predictor.dropout", "0", "--model.predictor.attention_dropout", "0"])
    if code:
        raise RuntimeError(f"clinjepa {' '.join(words)} ended with {code}: {said.getvalue()[-2000:]}")
    return read_clock(run)
