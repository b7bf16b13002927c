"""What an export holds and what it lacks: by kind of source and hour, with the query for what is missing."""

import pandas as pd

from meshlogs import schema
from meshlogs.evidence.proxy import PROXY

# What GKE's event exporter writes when it (re)starts. (GoogleCloudPlatform/k8s-stackdriver)
LOSS_MARKER = "Event exporter started watching. Some events may have been lost up to this point."

WITHOUT = {
    "app_logs": "without application logs no refused connection can be found",
    "proxy_logs": "without the proxy's logs its readiness is known only from probes and pod status",
    "events": "without events container starts are known only from pod status and first log lines",
    "pods": "without pod specs it is assumed, not known, what is redirected, held or native",
}
_FILTERS = {
    "app_logs": 'resource.type="k8s_container" resource.labels.container_name!="istio-proxy"',
    "proxy_logs": 'resource.type="k8s_container" resource.labels.container_name="istio-proxy"',
    "events": '(resource.type="k8s_pod" OR resource.type="gke_cluster") log_id("events")',
}


def survey(
    entries: pd.DataFrame,
    duplicates: pd.Series,
    events: pd.DataFrame,
    pods: pd.DataFrame,
    rejects: pd.DataFrame,
) -> pd.DataFrame:
    """One row per kind of source and hour, and one for each kind that is missing (`schema.COVERAGE`).

    `entries` are all log entries that were read, `duplicates` says which are repeats.
    """
    kind = kinds(entries)
    hour = entries["time"].dt.floor("h")
    site = [entries["project"].fillna(""), entries["cluster"].fillna("")]
    groups = entries.assign(
        kind=kind, hour=hour, dropped=duplicates, marker=entries["message"].eq(LOSS_MARKER)
    ).groupby(["kind", *site, "hour"], dropna=False)
    table = groups.agg(
        entries=("time", "size"),
        duplicates=("dropped", "sum"),
        first=("time", "min"),
        last=("time", "max"),
        loss_markers=("marker", "sum"),
    ).reset_index()
    table[["project", "cluster"]] = table[["project", "cluster"]].replace("", None)
    parts = [schema.conform(table, schema.COVERAGE)]
    dumps = events[events["insert_id"].isna()]
    parts.append(_objects("events", dumps, dumps["time_upper"]))
    parts.append(_objects("pods", pods, pods["created"]))
    if len(rejects):
        parts.append(schema.conform([{"kind": "unread", "entries": 0, "rejects": len(rejects)}], schema.COVERAGE))
    together = pd.concat(parts, ignore_index=True)
    together[["rejects", "duplicates", "loss_markers"]] = together[["rejects", "duplicates", "loss_markers"]].fillna(0)
    missing = [_missing(name, entries) for name in WITHOUT if not (together["kind"] == name).any()]
    return schema.conform(pd.concat([together, schema.conform(missing, schema.COVERAGE)]), schema.COVERAGE)


def kinds(entries: pd.DataFrame) -> pd.Series:
    """For each log entry the kind of source it is: app_logs, proxy_logs, events, audit or other."""
    container = entries["resource_type"] == "k8s_container"
    kind = pd.Series("other", index=entries.index, dtype=object)
    kind[container] = "app_logs"
    kind[container & (entries["container"] == PROXY)] = "proxy_logs"
    kind[entries["log_id"] == "events"] = "events"
    kind[entries["log_id"].fillna("").str.startswith("cloudaudit.googleapis.com")] = "audit"
    return kind


def _objects(kind: str, rows: pd.DataFrame, time: pd.Series) -> pd.DataFrame:
    if rows.empty:
        return schema.empty(schema.COVERAGE)
    counts = rows.assign(
        hour=time.dt.floor("h"),
        stamp=time,
        project=rows["project"].fillna(""),
        cluster=rows["cluster"].fillna(""),
    )
    table = (
        counts.groupby(["project", "cluster", "hour"], dropna=False)["stamp"].agg(["size", "min", "max"]).reset_index()
    )
    table = table.rename(columns={"size": "entries", "min": "first", "max": "last"}).assign(kind=kind)
    table[["project", "cluster"]] = table[["project", "cluster"]].replace("", None)
    return schema.conform(table, schema.COVERAGE)


def _missing(kind: str, entries: pd.DataFrame) -> dict:
    span = entries["time"].dropna()
    if kind == "pods":
        query = "kubectl get pods --all-namespaces -o json"
    else:
        query = _FILTERS[kind]
        if len(span):
            first, last = span.min().floor("s"), span.max().ceil("s")
            query += f' timestamp>="{first:%Y-%m-%dT%H:%M:%SZ}" timestamp<="{last:%Y-%m-%dT%H:%M:%SZ}"'
    return {
        "kind": kind,
        "entries": 0,
        "duplicates": 0,
        "rejects": 0,
        "missing": WITHOUT[kind],
        "query": query,
    }
