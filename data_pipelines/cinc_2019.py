"""The source ``cinc_2019``: PhysioNet/Computing in Cardiology Challenge 2019, early prediction of sepsis, a row an hour."""

import re

from clin_jepa.errors import InputError
from data_pipelines.database import Database, quoted
from data_pipelines.plan import ExtractionPlan
from data_pipelines.source import OpenedSource, Source
from data_pipelines.stay_files import gather_stay_files

COLUMNS = (
    "HR|O2Sat|Temp|SBP|MAP|DBP|Resp|EtCO2|BaseExcess|HCO3|FiO2|pH|PaCO2|SaO2|AST|BUN|Alkalinephos|Calcium|Chloride|Creatinine|"
    "Bilirubin_direct|Glucose|Lactate|Magnesium|Phosphate|Potassium|Bilirubin_total|TroponinI|Hct|Hgb|PTT|WBC|Fibrinogen|Platelets|"
    "Age|Gender|Unit1|Unit2|HospAdmTime|ICULOS|SepsisLabel"
)


_ROW = re.compile(rb"(?:(?:-?[\d.]+|NaN)\|){40}[01]")


def _rows(name: str, content: bytes) -> bytes:
    """The rows of a stay, each with the stay's number in front: ``p000017.psv`` is stay 17."""
    number = re.fullmatch(r"p(\d+)\.psv", name)
    header, *rows = content.split() or [b""]
    if number is None or header != COLUMNS.encode() or not all(map(_ROW.fullmatch, rows)):
        raise InputError(f"{name} is no stay of the Challenge 2019 (pNNNNNN.psv with {COLUMNS[:14]}...): download it again, or remove it")
    return b"".join(b"%d|%s\n" % (int(number.group(1)), row) for row in rows)


def open_cinc_2019(database: Database, plan: ExtractionPlan) -> OpenedSource:
    """Read the stay files and lay the view ``stay_rows`` over them: ``stay_id`` and the Challenge's columns, a row an hour.

    Raises:
        InputError: If there is no stay file, or one of another form.
    """
    raw = plan.work / "raw" / "stay_rows.csv"
    gather_stay_files(plan.root, ".psv", raw, _rows)
    types = ", ".join(f"'{column}': 'DOUBLE'" for column in COLUMNS.split("|"))
    database.execute(
        f"CREATE VIEW stay_rows AS FROM read_csv({quoted(str(raw))}, header = false, delim = '|', auto_detect = false, nullstr = 'NaN', "
        f"columns = {{'stay_id': 'BIGINT', {types}}})"
    )
    database.execute("CREATE TABLE given_splits (subject_id BIGINT, split VARCHAR)")
    counted = "SELECT count(DISTINCT stay_id), count(*), count(DISTINCT stay_id) FILTER (SepsisLabel = 1) FROM stay_rows"
    stays, hours, septic = database.execute(counted)[0]
    lacks = "the Challenge does not tell"
    return OpenedSource(
        "1.0.0",
        {
            **dict.fromkeys(("hospital death", "ICU death", "day of death", "hour of death"), lacks),
            **dict.fromkeys(("po2_arterial", "inr", "norepinephrine", "urine_output"), lacks),
            "length of stay": "the record of a septic stay ends 3 hours after the onset",
        },
        {"stays": int(stays), "hours": int(hours), "septic_stays": int(septic)},
    )


CINC_2019 = Source(
    name="cinc_2019",
    open=open_cinc_2019,
    relations=("stay_rows",),
    shard_sql=("sources/cinc_2019/events.sql", "sources/empty/antibiotics.sql", "sources/empty/cultures.sql"),
    needs="the stay files pNNNNNN.psv, or training_setA.tar.xz",
)
