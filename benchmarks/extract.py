"""``make bench-extract``: the extraction against a plain DuckDB binning script, on synthetic hospitals of growing size.

Both read the same files with the same threads and memory limit, one after the other. The plain script bins chartevents and labevents
by the hour and does nothing else; the extraction does all of its work: cohort, concepts, scores, texts, numeric grid, labels.
"""

import argparse
import json
import math
import os
import platform
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measured_run import Measured, measure
from clin_jepa import __version__
from data_pipelines.synthetic.synthesize import synthesize

# MIMIC-IV v3.1
_FULL = {"icustays": 94_458, "chartevents": 432_997_491, "labevents": 158_374_764}
_RESULTS = Path(__file__).parent / "results" / "extract.json"


def main() -> None:
    """Measure every size, print a table and write ``benchmarks/results/extract.json``."""
    arguments = _arguments()
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "versions": {"clin-jepa": __version__, "duckdb": duckdb.__version__},
        "memory_limit": arguments.memory_limit,
        "threads": arguments.threads,
        "sizes": [],
    }
    for scale in arguments.scales:
        hospital = arguments.folder / f"hospital_{scale:g}"
        if not (hospital / "icu").is_dir():
            synthesize(hospital, scale=scale)
        results["sizes"].append(_measure_size(hospital, scale, arguments))
        _print_size(results["sizes"][-1])
    if arguments.replicated is not None:
        results["replicated_demo"] = _measure_size(arguments.replicated, None, arguments)
        _print_size(results["replicated_demo"])
    if len(results["sizes"]) > 1:
        results |= _growth(results["sizes"])
        print(
            f"growth exponent {results['growth_exponent']:.2f}, all of MIMIC-IV v3.1 in {results['projected_minutes']:.1f} min (projected)"
        )
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"written to {_RESULTS}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scales", type=float, nargs="+", default=[0.01, 0.03, 0.10], help="shares of MIMIC-IV v3.1")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench_extract"), help="where hospitals and stores are written")
    parser.add_argument("--replicated", type=Path, help="a MIMIC-IV folder to measure besides, such as the demo replicated")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, of which the median counts")
    parser.add_argument("--memory_limit", default="4GB")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def _measure_size(hospital: Path, scale: float | None, arguments: argparse.Namespace) -> dict[str, Any]:
    limits = (arguments.memory_limit, str(arguments.threads))
    plain_output, store = arguments.folder / "plain", arguments.folder / "store"
    plain_command = [sys.executable, "-m", "benchmarks.plain.binning", str(hospital), str(plain_output), *limits]
    words = ["extract", "--source", "mimic_iv", "--input", str(hospital), "--output", str(store)]
    command = [sys.executable, "-m", "clin_jepa.cli", *words, "--memory_limit", limits[0], "--threads", limits[1]]
    plain, ours = [], []
    for _ in range(arguments.repeats):  # in turn, so that a slow spell of the machine meets both
        plain.append(measure(plain_command))
        shutil.rmtree(store, ignore_errors=True)
        ours.append(measure(command))
    dataset = json.loads((store / "dataset.json").read_text(encoding="utf-8"))
    rows = {table: dataset["row_counts"][table]["in"] for table in ("chartevents", "labevents")}
    return {
        "scale": scale,
        "stays": dataset["row_counts"]["stays"]["in"],
        **rows,
        "plain": _median(plain),
        "extract": _median(ours),
        "ratio": statistics.median(mine.wall_s / theirs.wall_s for mine, theirs in zip(ours, plain, strict=True)),
    }


def _median(runs: list[Measured]) -> dict[str, float]:
    names = ("wall_s", "cpu_s", "peak_gb")
    return {name: round(statistics.median(getattr(run, name) for run in runs), 2) for name in names}


def _growth(sizes: list[dict[str, Any]]) -> dict[str, float]:
    """Slope of log seconds over log event rows, from the first size to the last, and the seconds that it foretells."""
    first, last = sizes[0], sizes[-1]
    rows = [size["chartevents"] + size["labevents"] for size in (first, last)]
    seconds = [size["extract"]["wall_s"] for size in (first, last)]
    exponent = math.log(seconds[1] / seconds[0]) / math.log(rows[1] / rows[0])
    # A small run is mostly start-up, which would flatter the slope: at least linear from the largest size on.
    full = seconds[1] * ((_FULL["chartevents"] + _FULL["labevents"]) / rows[1]) ** max(exponent, 1.0)
    return {"growth_exponent": round(exponent, 3), "projected_minutes": round(full / 60, 1)}


def _print_size(size: dict[str, Any]) -> None:
    name = "replicated" if size["scale"] is None else f"{100 * size['scale']:g} %"
    print(f"{name}: {size['stays']:,} stays, {size['chartevents']:,} chartevents, {size['labevents']:,} labevents")
    for label in ("plain", "extract"):
        run = size[label]
        print(f"  {label:<8} {run['wall_s']:8.1f} s wall {run['cpu_s']:8.1f} s CPU {run['peak_gb']:6.2f} GB peak")
    print(f"  ratio    {size['ratio']:8.2f}", flush=True)


if __name__ == "__main__":
    main()
