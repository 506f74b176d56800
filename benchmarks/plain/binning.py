"""The yardstick of ``make bench-extract``: a plain DuckDB script that does nothing but bin chartevents and labevents by the hour."""

import sys
from pathlib import Path

import duckdb

_ICU = "CREATE TABLE icu AS SELECT subject_id, stay_id, intime, outtime FROM read_csv('{root}/icu/icustays.csv.gz')"
_CHART = """
COPY (
    SELECT i.stay_id, date_diff('hour', i.intime, c.charttime) AS hour, c.itemid, avg(c.valuenum) AS mean, count(*) AS n
    FROM read_csv('{root}/icu/chartevents.csv.gz') c
    JOIN icu i ON i.stay_id = c.stay_id AND c.charttime BETWEEN i.intime AND i.outtime
    WHERE c.valuenum IS NOT NULL
    GROUP BY ALL
) TO '{output}/chart.parquet'
"""
_LAB = """
COPY (
    SELECT i.stay_id, date_diff('hour', i.intime, l.charttime) AS hour, l.itemid, avg(l.valuenum) AS mean, count(*) AS n
    FROM read_csv('{root}/hosp/labevents.csv.gz') l
    JOIN icu i ON i.subject_id = l.subject_id AND l.charttime BETWEEN i.intime AND i.outtime
    WHERE l.valuenum IS NOT NULL
    GROUP BY ALL
) TO '{output}/lab.parquet'
"""


def main(root: str, output: str, memory_limit: str, threads: str) -> None:
    """Bin both tables into one Parquet file each."""
    Path(output).mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(config={"threads": int(threads), "memory_limit": memory_limit, "temp_directory": f"{output}/spill"})
    for statement in (_ICU, _CHART, _LAB):
        connection.execute(statement.format(root=root, output=output))


if __name__ == "__main__":
    main(*sys.argv[1:])
