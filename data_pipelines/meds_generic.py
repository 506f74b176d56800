"""Any other MEDS data set: its codes speak for themselves, by description and value; stays come from ICU codes or from a file."""

from collections.abc import Mapping
from pathlib import Path

from clin_jepa.errors import InputError
from data_pipelines.database import Database, quoted
from data_pipelines.meds import event_files, read_splits, read_version
from data_pipelines.plan import ExtractionPlan
from data_pipelines.source import OpenedSource, Source
from data_pipelines.tables import parquet_columns

_STAY_COLUMNS = ("subject_id", "intime", "outtime")


def open_generic_meds(database: Database, plan: ExtractionPlan) -> OpenedSource:
    """Lay the view ``meds`` over the events, find the ICU stays, and make a variable of every code that may speak.

    Args:
        database: Session that gets the views; codes become rows of ``listed_variables``.
        plan: The extraction; ``settings["stays_file"]`` names a file of stays, where the codes do not tell them.

    Raises:
        InputError: If a file or a column is missing or damaged, or neither codes nor a file tell the ICU stays.
    """
    root = plan.root
    version = read_version(root / "metadata" / "dataset.json")
    files = event_files(database, root, ("subject_id", "time", "code", "numeric_value"))
    columns = {name for file in files for name in parquet_columns(database, file)}
    text = "CAST(text_value AS VARCHAR)" if "text_value" in columns else "CAST(NULL AS VARCHAR)"
    listed = ", ".join(quoted(str(file)) for file in files)
    select = (
        "CAST(subject_id AS BIGINT) AS subject_id, CAST(time AS TIMESTAMP) AS time, CAST(code AS VARCHAR) AS code, "
        f"CAST(numeric_value AS FLOAT) AS value, {text} AS text"
    )
    database.execute(f"CREATE VIEW meds AS SELECT {select} FROM read_parquet([{listed}], union_by_name = true)")
    _describe_codes(database, root / "metadata" / "codes.parquet")
    stays_file = plan.settings["stays_file"]
    if stays_file:
        _read_stays(database, Path(stays_file))
    else:
        database.run_file("sources/meds_generic/given_stays.sql")
        if not database.execute("SELECT count(*) FROM given_stays")[0][0]:
            raise InputError(
                f"{root} has no ICU_ADMISSION and ICU_DISCHARGE codes: give a table of subject_id, intime, outtime with --stays_file"
            )
    database.run_file("sources/meds_generic/codes.sql")
    read_splits(database, root / "metadata" / "subject_splits.parquet")
    return OpenedSource(version, _unavailable(database))


def _describe_codes(database: Database, file: Path) -> None:
    database.execute("CREATE TABLE code_descriptions (code VARCHAR, description VARCHAR)")
    if file.is_file() and {"code", "description"} <= set(parquet_columns(database, file)):
        database.execute(
            f"INSERT INTO code_descriptions SELECT code, any_value(description) FROM read_parquet({quoted(str(file))}) GROUP BY code"
        )


def _read_stays(database: Database, file: Path) -> None:
    if not file.is_file():
        raise InputError(f"{file} is missing: give with --stays_file a .csv or .parquet file of ICU stays")
    relation = f"read_parquet({quoted(str(file))})" if file.suffix == ".parquet" else f"read_csv({quoted(str(file))}, header = true)"
    found = {str(row[0]).lower() for row in database.execute(f"DESCRIBE SELECT * FROM {relation}")}
    if missing := [column for column in _STAY_COLUMNS if column not in found]:
        raise InputError(f"{file} lacks the column(s) {', '.join(missing)}: a stay is subject_id, intime, outtime, and stay_id if you like")
    stay = "stay_id" if "stay_id" in found else "row_number() OVER (ORDER BY subject_id, intime)"
    admission = "hadm_id" if "hadm_id" in found else "NULL"
    select = (
        f"CAST({stay} AS BIGINT) AS stay_id, CAST(subject_id AS BIGINT) AS subject_id, CAST({admission} AS BIGINT) AS hadm_id, "
        "CAST(intime AS TIMESTAMP) AS intime, CAST(outtime AS TIMESTAMP) AS outtime"
    )
    database.execute(f"CREATE TABLE given_stays AS SELECT {select} FROM {relation}")
    if database.execute("SELECT 1 FROM given_stays GROUP BY stay_id HAVING count(*) > 1 LIMIT 1"):
        raise InputError(f"{file} names a stay_id more than once: give each stay its own")


def _unavailable(database: Database) -> Mapping[str, str]:
    lacks = "codes of this data set are not mapped to variables"
    needed = (
        "sepsis-3",
        "severity scores",
        "lactate",
        "mbp",
        "mbp_arterial",
        "norepinephrine",
        "po2_arterial",
        "creatinine",
        "urine_output",
    )
    unavailable = dict.fromkeys((*needed, "bilirubin_total", "inr"), lacks)
    if not database.execute("SELECT 1 FROM meds WHERE code = 'MEDS_DEATH' LIMIT 1"):
        unavailable.update(dict.fromkeys(("day of death", "hour of death", "ICU death"), "the data set has no MEDS_DEATH"))
    if not database.execute("SELECT 1 FROM meds WHERE code = 'HOSPITAL_DISCHARGE//DIED' LIMIT 1"):
        unavailable["hospital death"] = "the data set has no HOSPITAL_DISCHARGE//DIED"
    return unavailable


GENERIC_MEDS = Source(
    name="meds_generic",
    open=open_generic_meds,
    relations=("meds",),
    shard_sql=(
        "sources/meds_generic/events.sql",
        "sources/empty/antibiotics.sql",
        "sources/empty/cultures.sql",
        "sources/empty/given_sepsis.sql",
    ),
    needs="the folders data/ and metadata/",
)
