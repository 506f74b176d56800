"""``clinjepa plan`` against the run that it foretells: time and memory of each phase."""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clock import Watch
from benchmarks.material import Material
from benchmarks.timing import spread

_REPEATS = 3
_STEPS = {"PredictorWarmup": 100, "JointRefinement": 30, "EMAAlignment": 30, "HardSync": None, "PredictorFinalization": 100}


def measure_plan_accuracy(material: Material) -> dict[str, Any]:
    """Plan, then the very run, each as a command of its own, three times in turn: medians of foretold over measured."""
    folder = material.folder / "planned"
    folder.mkdir(parents=True, exist_ok=True)
    callbacks: list[dict[str, Any]] = [
        {"class_path": f"clin_jepa.callbacks.{name}", "init_args": {} if steps is None else {"steps": steps}}
        for name, steps in _STEPS.items()
    ]
    trainer = {"accelerator": "cpu", "limit_val_batches": 4, "val_check_interval": 65, "callbacks": callbacks}
    watched = [*callbacks, {"class_path": "benchmarks.clock.Watch"}]
    foretold: dict[str, list[float]] = {}
    measured: dict[str, list[float]] = {}
    for _ in range(_REPEATS):
        words = ["--config", "encoder/tiny.yaml", "--config", _config(folder, trainer), "--data.store", str(material.store)]
        _run("plan", *words, "--output", str(folder / "plan.json"))
        words[3] = _config(folder, {**trainer, "callbacks": watched})
        _run("fit", *words, "--run", str(folder / "run"), "--overwrite", "true")
        plan, found = json.loads((folder / "plan.json").read_text(encoding="utf-8")), Watch.read(folder / "run")
        phases = [phase for phase in plan["phases"] if phase["steps"]]
        for phase in phases:
            foretold.setdefault(f"time of phase {phase['name']}", []).append(phase["seconds"])
            measured.setdefault(f"time of phase {phase['name']}", []).append(found[phase["name"].split()[0]]["seconds"])
        foretold.setdefault("time of all phases", []).append(sum(phase["seconds"] for phase in phases))
        measured.setdefault("time of all phases", []).append(sum(each["seconds"] for each in found.values()))
        foretold.setdefault("memory", []).append(max(phase["peak_bytes"] for phase in phases) / 2**30)
        measured.setdefault("memory", []).append(max(each["peak_bytes"] for each in found.values()) / 2**30)
    ratios = {name: [planned / real for planned, real in zip(foretold[name], measured[name], strict=True)] for name in foretold}
    rows = [_row(name, foretold[name], measured[name]) for name in foretold if name != "memory"]
    return {
        "rows": rows,
        "memory_gb": {"planned": spread(foretold["memory"]), "measured": spread(measured["memory"])},
        "planned_over_measured": {name: spread(values) for name, values in ratios.items()},
    }


def _config(folder: Path, trainer: dict[str, Any]) -> str:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"trainer": trainer, "data": {"batch_size": 4}}), encoding="utf-8")
    return str(path)


def _row(name: str, planned: list[float], measured: list[float]) -> dict[str, Any]:
    """``ours`` is what was planned, ``plain`` what was measured."""
    ratio = statistics.median(one / other for one, other in zip(planned, measured, strict=True))
    return {"name": name, "ours_s": spread(planned), "plain_s": spread(measured), "ratio": round(ratio, 3)}


def _run(*words: str) -> None:
    result = subprocess.run([sys.executable, "-m", "clin_jepa.cli", *words], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"clinjepa {' '.join(words)} ended with {result.returncode}: {result.stderr[-2000:]}")
