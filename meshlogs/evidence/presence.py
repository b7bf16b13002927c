"""Which containers logged at all, and when: the proof that silence about refusals means something."""

import numpy as np
import pandas as pd

from meshlogs import schema, times
from meshlogs.joins import numbered

HOUR = "h"
_CONTAINER = ["project", "location", "cluster", "namespace", "pod", "container"]
_UNTIL_LINE = ["time_lower", "insert_id", "source", "line"]


def from_logs(log_entries: pd.DataFrame) -> pd.DataFrame:
    """`app_logged` rows: the first and the last entry of each container in each hour, one for undated lines."""
    rows = log_entries[(log_entries["resource_type"] == "k8s_container") & log_entries["pod"].notna()]
    rows = rows.assign(kind="app_logged", time_lower=rows["time"], time_upper=rows["time"])
    names = [name for name in rows.columns if name in schema.EVIDENCE.names and name != "message"]
    return schema.conform(_ends(rows[names]), schema.EVIDENCE)


def rows(logged: list[tuple], source: str) -> pd.DataFrame:
    """Single lines as rows that `of_lines` takes: (*container, log name, insert id, time [ns], line) of each."""
    table = pd.DataFrame(logged, columns=[*_CONTAINER, "log_name", "insert_id", "time", "line"])
    return table.assign(time=times.column(table["time"].to_numpy("int64")), source=source)


def of_lines(rows: pd.DataFrame) -> pd.DataFrame:
    """`app_logged` rows of single lines."""
    facts = rows.assign(kind="app_logged", time_lower=rows["time"], time_upper=rows["time"])
    return schema.conform(facts.drop(columns="message", errors="ignore"), schema.EVIDENCE)


def thin(evidence: pd.DataFrame) -> pd.DataFrame:
    """The same evidence with only the first and last `app_logged` row of a container's hour.

    Thinning the union of thinned shards gives what thinning all entries at once would.
    """
    logged = evidence["kind"] == "app_logged"
    return pd.concat([evidence[~logged], _ends(evidence[logged])])


def _ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The first and the last row of each container's hour, in the order they had."""
    hour = rows["time_lower"].dt.floor(HOUR)
    cell = numbered([*(rows[name] for name in _CONTAINER), hour])
    time = times.to_ns(rows["time_lower"])
    first, last = np.full((2, cell.max(initial=-1) + 1), [[np.iinfo(np.int64).max], [times.NAT]])
    np.minimum.at(first, cell, time)
    np.maximum.at(last, cell, time)
    begins, ends = time == first[cell], time == last[cell]
    several = (np.bincount(cell[begins]) > 1) | (np.bincount(cell[ends]) > 1)
    tied, edge = several[cell], begins | ends
    if not tied.any():
        return rows[edge]
    chosen = rows[edge & tied].sort_values(_UNTIL_LINE, kind="stable")
    groups = chosen.groupby(pd.Series(cell, rows.index)[chosen.index], sort=False)
    chosen = pd.concat([groups.head(1), groups.tail(1)])
    return pd.concat([rows[edge & ~tied], chosen[~chosen.index.duplicated()]]).sort_index()
