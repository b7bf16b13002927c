"""Which containers logged at all, and when: the proof that silence about refusals means something."""

import pandas as pd

from meshlogs import schema

HOUR = "h"


def from_logs(log_entries: pd.DataFrame) -> pd.DataFrame:
    """`app_logged` rows: the first and the last entry of each container in each hour."""
    rows = log_entries[
        (log_entries["resource_type"] == "k8s_container") & log_entries["pod"].notna() & log_entries["time"].notna()
    ]
    return thin(_evidence(rows.assign(hour=rows["time"].dt.floor(HOUR))))


def thin(evidence: pd.DataFrame) -> pd.DataFrame:
    """The same evidence with only the first and last `app_logged` row of a container's hour.

    Thinning the union of thinned shards gives what thinning all entries at once would.
    """
    logged = evidence["kind"] == "app_logged"
    rows = evidence[logged].sort_values(["time_lower", "insert_id", "source", "line"], kind="stable")
    key = [rows[name].fillna("") for name in ("project", "location", "cluster", "namespace", "pod", "container")]
    groups = rows.groupby([*key, rows["time_lower"].dt.floor(HOUR)], sort=False)
    ends = pd.concat([groups.head(1), groups.tail(1)])
    ends = ends[~ends.index.duplicated()]
    return pd.concat([evidence[~logged], ends.sort_index()])


def _evidence(rows: pd.DataFrame) -> pd.DataFrame:
    groups = rows.sort_values(["time", "insert_id"], kind="stable").groupby(
        [
            rows[name].fillna("")
            for name in ("project", "location", "cluster", "namespace", "pod", "container", "source")
        ]
        + [rows["hour"]],
        sort=False,
    )
    ends = pd.concat([groups.head(1), groups.tail(1)])
    ends = ends[~ends.index.duplicated()].sort_index()
    ends = ends.assign(kind="app_logged", time_lower=ends["time"], time_upper=ends["time"])
    return schema.conform(ends.drop(columns=["message", "payload"]), schema.EVIDENCE)
