"""Extract a trajectory store from raw ICU data: ``clinjepa extract``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from clin_jepa.errors import InputError
from data_pipelines.database import Database, check_limits
from data_pipelines.meds import open_meds
from data_pipelines.mimic_iv import open_mimic_iv
from data_pipelines.output_folder import check_output, staged
from data_pipelines.store_writer import write_dataset, write_tables

_PACKAGE = Path(__file__).parent
_SOURCES: dict[str, Callable[[Database, Path], str]] = {"mimic_iv": open_mimic_iv, "meds": open_meds}

# The SQL files of each stage, in the order in which they run; `{source}` is the folder of the source.
_STAGES = {
    "stays": ("sources/{source}/stays.sql", "trajectories/candidates.sql"),
    "events": (
        "sources/{source}/events.sql",
        "sources/{source}/source_rows.sql",
        "sources/mimic_items/mapped_rows.sql",
        "sources/mimic_items/observations.sql",
        "sources/mimic_items/actions.sql",
    ),
    "observations": ("trajectories/placed_observations.sql", "trajectories/cohort.sql"),
    "actions": ("trajectories/placed_actions.sql",),
    "trajectories": (
        "trajectories/hourly_events.sql",
        "trajectories/hours.sql",
        "trajectories/hourly_values.sql",
        "trajectories/split_stays.sql",
        "trajectories/row_counts.sql",
    ),
}
_RULES = {
    "invalid_times": "in- and out-times are missing or reversed",
    "younger_than_18": "the patient is younger than 18 years or of unknown age",
    "not_first_icu_stay": "it is not the first ICU stay of its admission",
    "shorter_than_6_hours": "it is shorter than 6 hours",
    "no_vital_sign": "it has no plausible vital sign",
}


def extract(
    source: Literal["mimic_iv", "meds"],
    input: str | Path,
    output: str | Path,
    time_policy: Literal["charttime", "storetime"] = "charttime",
    memory_limit: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Turn raw ICU data into a trajectory store: hourly texts, a numeric grid, and the cohort's stays with their splits.

    Args:
        source: Layout of the input: ``mimic_iv`` (folders hosp/ and icu/) or ``meds`` (folders data/ and metadata/).
        input: Folder of the raw data; it is only read.
        output: Folder that becomes the trajectory store; it must be new or empty.
        time_policy: When a reading counts: ``charttime``, the time it refers to, or ``storetime``, when it became known.
        memory_limit: Most memory that DuckDB may take, such as 4GB; by default 80 % of the machine.
        threads: Most threads that DuckDB may use; by default all cores.
        seed: Seed of the split into train, tuning and held_out; unused where the data set brings its splits.
        overwrite: Whether a trajectory store that is already in the output folder is replaced.

    Returns:
        The folder of the store.

    Raises:
        InputError: If the input, the output folder or a limit does not fit; the message names it and the way out.
    """
    root, store = Path(input), Path(output)
    check_limits(memory_limit, threads)
    if time_policy not in ("charttime", "storetime"):
        raise InputError(f"time_policy {time_policy!r} is unknown: use charttime or storetime")
    if source not in _SOURCES:
        raise InputError(f"source {source!r} is unknown: use {' or '.join(_SOURCES)}")
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give the folder of the raw data with --input")
    check_output(store, overwrite)
    settings = {"time_policy": time_policy, "seed": seed}
    with staged(store) as staging, Database(staging / "spill", memory_limit, threads) as database:
        _run(database, source, root, staging / "store", settings)
    return store


def _run(database: Database, source: str, root: Path, store: Path, settings: dict[str, Any]) -> None:
    with tqdm(total=len(_STAGES) + 2, desc="extract", unit="stage") as bar:
        bar.set_postfix_str("input")
        for name, value in {**settings, "variables_csv": _PACKAGE / "variables.csv", "units_csv": _PACKAGE / "units.csv"}.items():
            database.set_variable(name, value)
        database.run_file("sources/variables.sql")
        source_version = _SOURCES[source](database, root)
        bar.update()
        for stage, files in _STAGES.items():
            bar.set_postfix_str(stage)
            for file in files:
                database.run_file(file.format(source=source))
            _check_cohort(database, root, stage)
            bar.update()
        bar.set_postfix_str("writing")
        write_tables(database, store)
        write_dataset(database, store, source, source_version, settings)
        bar.update()


def _check_cohort(database: Database, root: Path, stage: str) -> None:
    """Stop where no stay is left, telling which rule dropped how many."""
    if stage not in ("stays", "observations"):
        return
    counts = dict(database.execute("SELECT dropped, count(*) FROM candidates GROUP BY dropped ORDER BY dropped"))
    if counts.pop(None, 0):
        return
    if not counts:
        raise InputError(f"{root}: the cohort is empty: icustays or ICU admission codes list no stay: give the whole data set")
    reasons = "; ".join(f"{n} because {_RULES[rule]}" for rule, n in counts.items())
    raise InputError(f"{root}: the cohort is empty, of {sum(counts.values())} ICU stays were dropped: {reasons}: give more patients")
