"""The source ``cinc_2012``: PhysioNet/Computing in Cardiology Challenge 2012, in-hospital death, the first 48 hours of a stay."""

import re

from clin_jepa.errors import InputError
from data_pipelines.database import Database, quoted
from data_pipelines.plan import ExtractionPlan
from data_pipelines.source import OpenedSource, Source
from data_pipelines.stay_files import gather_stay_files

_ROW = re.compile(rb"\d\d:\d\d,\w+,-?[\d.]+(e\+\d+)?")


def _rows(name: str, content: bytes) -> bytes:
    """The rows of a stay, each with the stay's number in front; a file that is not named by a number is no stay."""
    if (number := re.fullmatch(r"(\d+)\.txt", name)) is None:
        return b""
    header, *rows = content.split() or [b""]
    if header != b"Time,Parameter,Value" or not all(map(_ROW.fullmatch, rows)):
        raise InputError(f"{name} is no stay of the Challenge 2012 (rows Time,Parameter,Value): download it again, or remove it")
    return b"".join(b"%s,%s\n" % (number.group(1).encode(), row) for row in rows)


def open_cinc_2012(database: Database, plan: ExtractionPlan) -> OpenedSource:
    """Read the stay files, lay the view ``stay_rows`` over them, and read the outcomes.

    Where sets a and b are both there, set b is held out, as in the Challenge, and set a is split into train and tuning.

    Raises:
        InputError: If there is no stay file or one of another form, or a stay is in no outcome file.
    """
    raw = plan.work / "raw" / "stay_rows.csv"
    gather_stay_files(plan.root, ".txt", raw, _rows)
    database.execute(
        f"CREATE VIEW stay_rows AS FROM read_csv({quoted(str(raw))}, header = false, delim = ',', auto_detect = false, "
        "columns = {'stay_id': 'BIGINT', 'clock': 'VARCHAR', 'parameter': 'VARCHAR', 'value': 'DOUBLE'})"
    )
    files = sorted(plan.root.rglob("Outcomes-*.txt"))
    if not files:
        raise InputError(f"{plan.root} holds no Outcomes-a.txt: put the outcome files of the sets beside their stays")
    listed = ", ".join(quoted(str(file)) for file in files)
    database.execute(
        f"CREATE TABLE outcomes AS SELECT *, filename LIKE '%-b.txt' AS is_set_b FROM read_csv([{listed}], header = true, delim = ',', "
        "auto_detect = false, filename = true, columns = {'stay_id': 'BIGINT', 'saps': 'INTEGER', 'sofa': 'INTEGER', "
        "'length_of_stay': 'INTEGER', 'survival': 'INTEGER', 'died': 'INTEGER'})"
    )
    database.run_file("sources/cinc_2012/given_splits.sql")
    counted = "count(DISTINCT stay_id), count(DISTINCT stay_id) FILTER (died = 1), min(stay_id) FILTER (died IS NULL)"
    stays, deaths, without = database.execute(f"SELECT {counted} FROM stay_rows LEFT JOIN outcomes USING (stay_id)")[0]
    if without is not None:
        raise InputError(f"{plan.root}: stay {without} is in no outcome file: put the Outcomes-*.txt of its set beside the stays")
    lacks = ("ICU death", "hour of death", "length of stay", "sepsis-3", "inr", "norepinephrine")
    return OpenedSource("1.0.0", dict.fromkeys(lacks, "the Challenge does not tell"), {"stays": stays, "hospital_deaths": deaths})


CINC_2012 = Source(
    name="cinc_2012",
    open=open_cinc_2012,
    relations=("stay_rows",),
    shard_sql=(
        "sources/cinc_2012/events.sql",
        "sources/empty/antibiotics.sql",
        "sources/empty/cultures.sql",
        "sources/empty/given_sepsis.sql",
    ),
    needs="the stay files NNNNNN.txt, or set-a.tar.xz, with Outcomes-a.txt",
)
