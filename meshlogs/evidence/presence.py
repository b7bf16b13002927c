"""Which containers logged at all, and when: the proof that silence about refusals means something."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from meshlogs import schema, times
from meshlogs.columnar import arrow
from meshlogs.columnar.joins import numbered
from meshlogs.later import Later

pd = Later("pandas")

HOUR = "h"
CONTAINER = ["project", "location", "cluster", "namespace", "pod", "container"]
_UNTOLD = ("message", "time_granularity")  # of a line that a scan does not parse
_UNTIL_LINE = ["time_lower", "insert_id", "source", "line"]


def from_logs(log_entries: pd.DataFrame) -> pd.DataFrame:
    """`app_logged` rows: the first and the last entry of each container in each hour, one for undated lines."""
    rows = log_entries[(log_entries["resource_type"] == "k8s_container") & log_entries["pod"].notna()]
    until = times.column(_until(times.to_ns(rows["time"]))).set_axis(rows.index)
    rows = rows.assign(kind="app_logged", time_lower=rows["time"], time_upper=until)
    names = [name for name in rows.columns if name in schema.EVIDENCE.names and name not in _UNTOLD]
    return schema.conform(rows.loc[_are_ends(rows), names], schema.EVIDENCE)


def rows(logged: list[tuple], source: str) -> pa.Table:
    """Single lines as rows that `of_lines` takes: (*container, log name, insert id, time [ns], line) of each."""
    names = [*CONTAINER, "log_name", "insert_id", "time", "line"]
    table = pa.table(dict(zip(names, map(list, zip(*logged, strict=True)), strict=True)))
    return table.append_column("source", pa.repeat(source, len(table)))


def of_lines(rows: pa.Table) -> pa.Table:
    """`app_logged` rows of single lines (`schema.EVIDENCE`)."""
    names = [name for name in rows.column_names if name in schema.EVIDENCE.names and name not in ("kind", *_UNTOLD)]
    facts = rows.select(names).append_column("kind", pa.repeat(arrow.text("app_logged"), len(rows)))
    facts = facts.append_column("time_lower", rows["time"]).append_column("time_upper", _ends(rows["time"]))
    return schema.conform_arrow(facts, schema.EVIDENCE)


def _ends(time: pa.ChunkedArray) -> pa.Array:
    """`_until` of a column of Arrow; by its bytes, for `to_numpy` loads pandas."""
    column = time.cast(pa.int64()).combine_chunks()
    _, data = column.buffers()
    numbers = _until(np.frombuffer(data or b"", np.int64, len(column), 8 * column.offset))
    missing = None if column.null_count == 0 else np.array([not value.is_valid for value in column])
    return arrow.numbers(numbers, missing)


def _until(time: np.ndarray) -> np.ndarray:
    """Until when [ns] lines may have been written: to the end of a time that a program states to the second."""
    return np.where(time % times.SECOND == 0, time + times.SECOND - 1, time)  # no time is no whole second


def thin(evidence: pd.DataFrame) -> pd.DataFrame:
    """The same evidence with only the first and last `app_logged` row of a container's hour.

    Thinning the union of thinned shards gives what thinning all entries at once would.
    """
    at = np.flatnonzero(evidence["kind"] == "app_logged")
    keep = np.ones(len(evidence), dtype=bool)
    keep[at] = _are_ends(evidence[[*CONTAINER, *_UNTIL_LINE]].take(at))
    return evidence if keep.all() else evidence[keep]


def _are_ends(rows: pd.DataFrame) -> np.ndarray:
    """Whether each row is the first or the last of its container's hour."""
    hour = rows["time_lower"].dt.floor(HOUR)
    cell = numbered([*(rows[name] for name in CONTAINER), hour])
    time = times.to_ns(rows["time_lower"])
    first, last = np.full((2, cell.max(initial=-1) + 1), [[np.iinfo(np.int64).max], [times.NAT]])
    np.minimum.at(first, cell, time)
    np.maximum.at(last, cell, time)
    begins, ends = time == first[cell], time == last[cell]
    several = (np.bincount(cell[begins]) > 1) | (np.bincount(cell[ends]) > 1)
    tied, edge = several[cell], begins | ends
    at = np.flatnonzero(edge & tied)
    if len(at):  # equal times: by what tells them apart
        edge[at] = False
        order = rows[_UNTIL_LINE].take(at).reset_index(drop=True).sort_values(_UNTIL_LINE, kind="stable").index
        groups = pd.Series(order).groupby(cell[at][order], sort=False)
        edge[at[groups.first()]] = edge[at[groups.last()]] = True
    return edge
