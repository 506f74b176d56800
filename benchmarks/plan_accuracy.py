"""``clinjepa plan`` against the run that it foretells: time and memory of each phase."""

import json
import subprocess
import sys
from typing import Any

import yaml

from benchmarks.clock import Watch
from benchmarks.material import Material

_STEPS = {"PredictorWarmup": 100, "JointRefinement": 30, "EMAAlignment": 30, "HardSync": None, "PredictorFinalization": 100}


def measure_plan_accuracy(material: Material) -> dict[str, Any]:
    """Plan first, then the very run, each as a command of its own."""
    folder = material.folder / "planned"
    folder.mkdir(parents=True, exist_ok=True)
    callbacks: list[dict[str, Any]] = [
        {"class_path": f"clin_jepa.callbacks.{name}", "init_args": {} if steps is None else {"steps": steps}}
        for name, steps in _STEPS.items()
    ]
    trainer = {"accelerator": "cpu", "limit_val_batches": 4, "val_check_interval": 65, "callbacks": callbacks}
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"trainer": trainer, "data": {"batch_size": 4}}), encoding="utf-8")
    words = ["--config", "encoder/tiny.yaml", "--config", str(config), "--data.store", str(material.store)]
    _run("plan", *words, "--output", str(folder / "plan.json"))
    trainer["callbacks"] = [*callbacks, {"class_path": "benchmarks.clock.Watch"}]
    config.write_text(yaml.safe_dump({"trainer": trainer, "data": {"batch_size": 4}}), encoding="utf-8")
    _run("fit", *words, "--run", str(folder / "run"), "--overwrite", "true")
    planned = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    watched = Watch.read(folder / "run")
    rows, seconds = [], 0.0
    for phase in planned["phases"]:
        if not phase["steps"]:
            continue
        found = watched[phase["name"].split()[0]]
        seconds += found["seconds"]
        rows.append(_row(f"time of phase {phase['name']}", phase["seconds"], found["seconds"]))
    rows.append(_row("time of all phases", sum(phase["seconds"] for phase in planned["phases"]), seconds))
    peak = max(found["peak_bytes"] for found in watched.values())
    foretold = max(phase["peak_bytes"] for phase in planned["phases"])
    return {
        "rows": rows,
        "memory_gb": {"planned": round(foretold / 2**30, 3), "measured": round(peak / 2**30, 3)},
        "memory_planned_over_measured": round(foretold / peak, 3),
    }


def _row(name: str, planned: float, measured: float) -> dict[str, Any]:
    """``ours`` is what was planned, ``plain`` what was measured."""
    one, other = ({"median": value, "min": value, "max": value} for value in (planned, measured))
    return {"name": name, "ours_s": one, "plain_s": other, "ratio": round(planned / measured, 3)}


def _run(*words: str) -> None:
    result = subprocess.run([sys.executable, "-m", "clin_jepa.cli", *words], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"clinjepa {' '.join(words)} ended with {result.returncode}: {result.stderr[-2000:]}")
