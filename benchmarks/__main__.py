"""``make bench``: ours against the plain way, on the same machine in the same run; prints a table, writes ``benchmarks/results.json``."""

import argparse
import importlib.metadata
import json
import os
import platform
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cache_by_encoder import measure_cache_by_encoder
from benchmarks.code_commit import code_commit
from benchmarks.compilation import measure_compilation
from benchmarks.encoding import measure_encoding
from benchmarks.epochs import measure_epochs
from benchmarks.evaluation import measure_evaluation
from benchmarks.loading import measure_loading
from benchmarks.material import Material, open_material
from benchmarks.plan_accuracy import measure_plan_accuracy
from benchmarks.rollouts import measure_rollouts
from benchmarks.target_memory import measure_target_memory
from benchmarks.trainer_overhead import measure_trainer_overhead
from benchmarks.training_steps import measure_training_steps
from clin_jepa import __version__
from clin_jepa.atomic_file import write_atomically
from clin_jepa.quiet import silence_expected_notices

RESULTS = Path(__file__).parent / "results.json"

_PARTS: dict[str, Callable[[Material], dict[str, Any]]] = {
    "encoding": measure_encoding,
    "training_steps": measure_training_steps,
    "epochs": measure_epochs,
    "cache_by_encoder": measure_cache_by_encoder,
    "compilation": measure_compilation,
    "target_memory": measure_target_memory,
    "rollouts": measure_rollouts,
    "loading": measure_loading,
    "trainer_overhead": measure_trainer_overhead,
    "evaluation": measure_evaluation,
    "plan_accuracy": measure_plan_accuracy,
}


def main() -> None:
    """Measure all parts, or those named; the results of the others stay as they were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(_PARTS)}; by default all")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench"), help="where stores and runs are written")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    silence_expected_notices()
    warnings.filterwarnings("ignore", category=FutureWarning)
    material = open_material(arguments.folder.resolve())
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in arguments.parts or _PARTS:
        results[name] = {"measured": circumstances(material), **_PARTS[name](material)}
        _show(name, results[name])
        write_atomically(RESULTS, json.dumps(results, indent=2) + "\n")
    print(f"written to {RESULTS}")


def circumstances(material: Material) -> dict[str, Any]:
    """When, on what and with what a part was measured."""
    versions = {name: importlib.metadata.version(name) for name in ("torch", "lightning", "transformers", "peft")}
    machine = {"processor": _processor(), "cores": os.cpu_count(), "torch_threads": torch.get_num_threads()}
    return {
        "on": datetime.now(tz=UTC).date().isoformat(),
        "commit": code_commit(),
        "data": material.source,
        "machine": machine,
        "versions": {"clin-jepa": __version__, "python": platform.python_version(), **versions},
    }


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _show(part: str, results: dict[str, Any]) -> None:
    table = Table(title=part.replace("_", " "))
    for column in ("", "ours", "plain", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    for row in results["rows"]:
        table.add_row(row["name"], _time(row["ours_s"]), _time(row.get("plain_s")), str(row.get("ratio", "-")))
    console = Console(width=110)
    console.print(table)
    for name, value in results.items():
        if name not in ("rows", "measured"):
            console.print(f"  {name}: {value}")


def _time(figures: dict[str, float] | None) -> str:
    if figures is None:
        return "-"
    low, middle, high = (f"{1000 * figures[name]:,.4g}" for name in ("min", "median", "max"))
    return f"{middle} ms ({low} to {high})"


if __name__ == "__main__":
    main()
