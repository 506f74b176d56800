"""What a source of raw data gives to the extraction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from data_pipelines.database import Database
from data_pipelines.plan import ExtractionPlan


@dataclass(frozen=True)
class OpenedSource:
    """What opening a source found out.

    Attributes:
        version: Version of the data, or ``unknown``.
        unavailable: What this data set cannot tell, with the reason: ``{"sepsis-3": "hosp/prescriptions is missing"}``.
        counts: What the data set holds before any rule of the cohort, to compare with what its publishers say.
    """

    version: str
    unavailable: Mapping[str, str]
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A kind of raw data.

    The extraction runs ``sources/<name>/stays.sql`` on the opened data (view ``stays``), then streams each of ``relations``
    (``sources/<name>/ingest/<relation>.sql``, a SELECT with ``subject_id`` and ``dropped``) once into Parquet by shards of
    subjects, then runs ``shard_sql`` on the relations of each shard; these must leave the views ``observations``, ``actions``,
    ``antibiotics``, ``cultures`` and ``given_sepsis``.

    Attributes:
        name: Name of the source, and of its folder.
        open: Lays views over the raw data of a plan and creates the table ``given_splits``; a source may add to ``listed_variables``.
        relations: Names of the relations that are ingested, the largest first.
        shard_sql: SQL files that run on the relations of a shard.
        needs: What the folder must look like, for messages.
    """

    name: str
    open: Callable[[Database, ExtractionPlan], OpenedSource]
    relations: tuple[str, ...]
    shard_sql: tuple[str, ...]
    needs: str
