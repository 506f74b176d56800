"""The tables of MIMIC-IV v3.1: their columns, and how a chunk of rows becomes a member of a gzip file."""

import zlib
from collections.abc import Mapping

import numpy as np
import polars as pl

from data_pipelines.synthetic.arrays import MISSING, Ints, Numbers

COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(columns.split())
    for table, columns in {
        "hosp/patients": "subject_id gender anchor_age anchor_year anchor_year_group dod",
        "hosp/admissions": "subject_id hadm_id admittime dischtime deathtime admission_type admit_provider_id admission_location "
        "discharge_location insurance language marital_status race edregtime edouttime hospital_expire_flag",
        "hosp/labevents": "labevent_id subject_id hadm_id specimen_id itemid order_provider_id charttime storetime value valuenum valueuom "
        "ref_range_lower ref_range_upper flag priority comments",
        "hosp/microbiologyevents": "microevent_id subject_id hadm_id micro_specimen_id order_provider_id chartdate charttime spec_itemid "
        "spec_type_desc test_seq storedate storetime test_itemid test_name org_itemid org_name isolate_num quantity ab_itemid ab_name "
        "dilution_text dilution_comparison dilution_value interpretation comments",
        "hosp/prescriptions": "subject_id hadm_id pharmacy_id poe_id poe_seq order_provider_id starttime stoptime drug_type drug "
        "formulary_drug_cd gsn ndc prod_strength form_rx dose_val_rx dose_unit_rx form_val_disp form_unit_disp doses_per_24_hrs route",
        "hosp/d_labitems": "itemid label fluid category",
        "icu/icustays": "subject_id hadm_id stay_id first_careunit last_careunit intime outtime los",
        "icu/chartevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valuenum valueuom warning",
        "icu/inputevents": "subject_id hadm_id stay_id caregiver_id starttime endtime storetime itemid amount amountuom rate rateuom "
        "orderid linkorderid ordercategoryname secondaryordercategoryname ordercomponenttypedescription ordercategorydescription "
        "patientweight totalamount totalamountuom isopenbag continueinnextdept statusdescription originalamount originalrate",
        "icu/outputevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valueuom",
        "icu/procedureevents": "subject_id hadm_id stay_id caregiver_id starttime endtime storetime itemid value valueuom location "
        "locationcategory orderid linkorderid ordercategoryname ordercategorydescription patientweight isopenbag continueinnextdept "
        "statusdescription ORIGINALAMOUNT ORIGINALRATE",
        "icu/d_items": "itemid label abbreviation linksto category unitname param_type lownormalvalue highnormalvalue",
    }.items()
}

DICTIONARIES = ("hosp/d_labitems", "icu/d_items")


def header(table: str) -> bytes:
    """The first member of a table's file: its header line."""
    return _compressed((",".join(COLUMNS[table]) + "\n").encode())


def member(table: str, frame: pl.DataFrame) -> bytes:
    """Rows as CSV in a gzip member of their own; members may be joined.

    Args:
        table: Name such as ``icu/chartevents``.
        frame: Its rows; columns of the table that are not in it stay empty.

    Returns:
        The member; nothing if there are no rows.
    """
    if not len(frame):
        return b""
    columns = [pl.col(name) if name in frame.columns else pl.lit(None, dtype=pl.String).alias(name) for name in COLUMNS[table]]
    text = frame.select(columns).write_csv(include_header=False, datetime_format="%Y-%m-%d %H:%M:%S")
    return _compressed(text.encode())


def _compressed(text: bytes) -> bytes:
    return zlib.compress(text, level=1, wbits=31)


def frame_of(columns: Mapping[str, pl.Series | Ints | Numbers | int | str]) -> pl.DataFrame:
    """Columns as a frame; a single number or word is repeated."""
    arrays = {name: pl.Series(name, values) for name, values in columns.items() if isinstance(values, pl.Series | np.ndarray)}
    return pl.DataFrame(arrays).with_columns(pl.lit(value).alias(name) for name, value in columns.items() if name not in arrays)


def times(seconds: Ints) -> pl.Series:
    """Seconds since 1970 as times, null where missing."""
    time = pl.col("t")
    return pl.DataFrame({"t": seconds}).select(pl.when(time != MISSING).then(time * 1000))["t"].cast(pl.Datetime("ms"))


def dates(seconds: Ints) -> pl.Series:
    """Seconds since 1970 as dates, null where missing."""
    return times(seconds).cast(pl.Date)


def ids(values: Ints) -> pl.Series:
    """Ids, null where missing."""
    return pl.DataFrame({"i": values}).select(pl.when(pl.col("i") != MISSING).then(pl.col("i")))["i"]


def figures(values: Numbers) -> pl.Series:
    """Numbers as MIMIC writes them, null for NaN.

    >>> figures(np.array([80.0, 7.38, np.nan])).to_list()
    ['80', '7.38', None]
    """
    value = pl.col("v")
    whole = value == value.round(0)
    text = pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(value.cast(pl.String))
    return pl.DataFrame({"v": np.asarray(values, dtype=np.float64)}).select(pl.when(value.is_not_nan()).then(text))["v"]


def words(vocabulary: list[str | None], index: Ints) -> pl.Series:
    """Words by their index; -1 is null.

    >>> words(["a", "b"], np.array([1, -1])).to_list()
    ['b', None]
    """
    series = pl.Series([*vocabulary, None], dtype=pl.String)
    return series.gather(np.where(index < 0, len(vocabulary), index))
