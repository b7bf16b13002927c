"""Log entries that `meshlogs convert` wrote: which rows may matter, and counts of the others.

The rows are dated and placed already, so they are sifted as they lie in memory; what passes is extracted as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import coverage, schema, times
from meshlogs.columnar.joins import numbered
from meshlogs.evidence import presence
from meshlogs.evidence.refused import MESH
from meshlogs.formats.arrays import Odd
from meshlogs.later import Later
from meshlogs.reading.blocks import Stretch
from meshlogs.reading.table_rows import groups_in, rows_holding

pd, pq = Later("pandas"), Later("pyarrow.parquet")

BATCH = 20_000  # rows at a time
_COUNTED = ["time", "resource_type", "log_id", "project", "cluster", "container"]


def blocks(file: BinaryIO, stretch: Stretch) -> Iterator[pa.Table]:
    """The rows (`schema.LOG_ENTRIES`) of the groups that begin in a stretch of a file, so many at a time.

    Raises Odd for another table, ArrowException, OSError or SchemaError for one that is damaged.
    """
    if not file.seekable():
        raise Odd
    try:
        table = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise Odd from error
    if not is_converted(table.schema_arrow):
        raise Odd
    for batch in table.iter_batches(BATCH, row_groups=groups_in(table, stretch)):
        yield schema.conform_arrow(pa.Table.from_batches([batch]), schema.LOG_ENTRIES, "log_entries")


def is_converted(layout: pa.Schema) -> bool:
    """Whether a table has the columns of `schema.LOG_ENTRIES`, and no others."""
    return set(layout.names) == set(schema.LOG_ENTRIES.names)


def sifted(rows: pa.Table, places: Callable[[memoryview], list[int]]) -> tuple[pa.Table, pd.DataFrame]:
    """The rows that may matter to any step, and what there is of the others (`schema.COVERAGE`).

    Of those of applications, which hold nothing suspect, the first and last of each container's hour stay.
    """
    others = pc.or_(pc.equal(rows["log_id"], "events"), pc.starts_with(rows["log_id"], "cloudaudit"))
    others = pc.or_(pc.fill_null(others, False), pc.is_in(rows["container"], pa.array(MESH)))
    of_pod = pc.and_(pc.equal(rows["resource_type"], "k8s_container"), pc.is_valid(rows["pod"]))
    plain = pc.and_not(pc.and_(of_pod, pc.is_valid(rows["time"])), others)
    plain = np.array(pc.fill_null(plain, False))
    # A message that is a part of a payload stands there, its unusual letters perhaps as escapes, which are suspect.
    text = pc.coalesce(rows["payload"], rows["message"]).combine_chunks()
    plain[rows_holding([("message", text)], places)] = False
    at = np.flatnonzero(plain)
    plain[at[_may_be_ends(rows.select([*presence.CONTAINER, "time"]).take(at))]] = False
    others = schema.conform(rows.select(_COUNTED).filter(pa.array(plain)), schema.LOG_ENTRIES)
    return rows.filter(pa.array(~plain)), coverage.count(others, schema.empty(schema.EVENTS))


def _may_be_ends(rows: pa.Table) -> np.ndarray:
    """Whether no row of the container's hour was before, or none after."""
    time = rows["time"].cast(pa.int64()).to_numpy()
    hour = pd.Series(time // (3600 * times.SECOND))
    cell = numbered([*(rows[name].to_pandas() for name in presence.CONTAINER), hour])
    first, last = np.full((2, cell.max(initial=-1) + 1), [[np.iinfo(np.int64).max], [times.NAT]])
    np.minimum.at(first, cell, time)
    np.maximum.at(last, cell, time)
    return (time == first[cell]) | (time == last[cell])
