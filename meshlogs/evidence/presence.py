"""Which containers logged at all, and when: the proof that silence about refusals means something."""

import pandas as pd

from meshlogs import schema

HOUR = "h"
_CONTAINER = ["project", "location", "cluster", "namespace", "pod", "container"]
_UNTIL_LINE = ["time_lower", "insert_id", "source", "line"]


def from_logs(log_entries: pd.DataFrame) -> pd.DataFrame:
    """`app_logged` rows: the first and the last entry of each container in each hour, one for undated lines."""
    rows = log_entries[(log_entries["resource_type"] == "k8s_container") & log_entries["pod"].notna()]
    rows = rows.assign(kind="app_logged", time_lower=rows["time"], time_upper=rows["time"])
    names = [name for name in rows.columns if name in schema.EVIDENCE.names and name != "message"]
    return schema.conform(_ends(rows[names]), schema.EVIDENCE)


def thin(evidence: pd.DataFrame) -> pd.DataFrame:
    """The same evidence with only the first and last `app_logged` row of a container's hour.

    Thinning the union of thinned shards gives what thinning all entries at once would.
    """
    logged = evidence["kind"] == "app_logged"
    return pd.concat([evidence[~logged], _ends(evidence[logged])])


def _ends(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.sort_values(_UNTIL_LINE, kind="stable")
    hour = rows["time_lower"].dt.floor(HOUR)
    groups = rows.groupby([*(rows[name].fillna("") for name in _CONTAINER), hour], sort=False, dropna=False)
    ends = pd.concat([groups.head(1), groups.tail(1)])
    return ends[~ends.index.duplicated()].sort_index()
