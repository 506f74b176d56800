"""Run the study, or go on with it: ``python -m study``.

Whatever is finished is kept, unless its design has changed since; a run that was interrupted begins again.
"""

import argparse
import time
from collections.abc import Iterator, Sequence

from study.design import (
    CANDIDATES,
    DATA,
    EVERY_ARM,
    LARGER_ARMS,
    MAIN_ARMS,
    OTHER_ARMS,
    REFERENCE,
    SEEDS,
    VALIDATION,
    Arm,
)
from study.jobs import run_jobs
from study.runs import Result, measure, missing_original, planned_jobs, stores_of
from study.write_up import write_up


def main() -> None:
    """Train and measure what is missing, then write the tables of ``docs``."""
    parser = argparse.ArgumentParser(prog="python -m study", description=__doc__)
    names = [data.name for data in (*DATA, *VALIDATION)]
    arms = [arm.name for arm in EVERY_ARM]
    parser.add_argument("--validation", action="store_true", help="compare candidates for the default recipe, on validation stays")
    parser.add_argument("--data", nargs="*", default=names, choices=names, help="data sets")
    parser.add_argument("--arms", nargs="*", default=arms, choices=arms, help="arms")
    parser.add_argument(
        "--seeds",
        nargs="*",
        type=int,
        help="seeds; by default all, with --validation the first, which is the only one of arms that are not main",
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further arm after so many minutes")
    parser.add_argument("--without_baselines", action="store_true", help="leave the baselines to a later call")
    parser.add_argument("--larger", action="store_true", help="train the larger encoder too, with the first seed; for a GPU")
    parser.add_argument("--accelerator", default="cpu", choices=("cpu", "gpu"), help="where arms are trained and measured")
    parser.add_argument("--workers", type=int, default=1, help="runs at once, each in a process of its own")
    parser.add_argument("--write_up_only", action="store_true", help="train nothing")
    given = parser.parse_args()
    end, measured = time.monotonic() + 60 * given.minutes, [True]
    seeds = given.seeds or (SEEDS[:1] if given.validation else SEEDS)
    results = [
        Result(data, arm, seed, arm == REFERENCE and seed == SEEDS[0] and not given.without_baselines, given.accelerator)
        for arm, seed in planned_runs(given.validation, given.arms, seeds, given.larger)
        for data in (VALIDATION if given.validation else DATA)
        if data.name in given.data and not given.write_up_only
    ]
    if not results and not given.write_up_only:
        parser.error(
            "nothing is asked for: data sets whose names end in _validation, and candidates, go with --validation, larger arms with "
            f"--larger, and arms that are not main with seed {SEEDS[0]}"
        )
    for folder in dict.fromkeys(missing_original(result.data) for result in results if not result.is_there()):
        if folder is not None:
            parser.error(
                f"{folder} is missing: set CLINJEPA_DATA to the folder that holds {folder.name}, or name other data sets with --data"
            )
    if given.workers > 1:
        missing = [result for result in results if not result.is_there()]
        for data in {result.data.name: result.data for result in missing}.values():
            stores_of(data)
        measured += [each for each in run_jobs(planned_jobs(missing), given.workers, end).values() if each is not None]
    else:
        measured += [measure(result) for result in results if time.monotonic() < end]
    write_up()
    raise SystemExit(0 if all(measured) else 1)


def planned_runs(validation: bool, named: Sequence[str], seeds: Sequence[int], larger: bool = False) -> Iterator[tuple[Arm, int]]:
    """The main arms with the first seed, the other arms, then the main arms with the other seeds; or the candidates, seed by seed."""
    for seed in seeds:
        held_out = (*MAIN_ARMS, *OTHER_ARMS, *(LARGER_ARMS if larger else ())) if seed == SEEDS[0] else MAIN_ARMS
        for arm in CANDIDATES if validation else held_out:
            if arm.name in named:
                yield arm, seed


if __name__ == "__main__":
    main()
