"""What an export holds and what it lacks: by kind of source and hour, with the query for what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from meshlogs import schema
from meshlogs.columnar import joins
from meshlogs.evidence.proxy import PROXY
from meshlogs.later import Later
from meshlogs.queries import Scope, queries

pd = Later("pandas")

# What GKE's event exporter writes when it (re)starts. (GoogleCloudPlatform/k8s-stackdriver)
LOSS_MARKER = "Event exporter started watching. Some events may have been lost up to this point."

WITHOUT = {
    "app_logs": "without application logs no refused connection can be found",
    "proxy_logs": "without the proxy's logs its readiness is known only from probes and pod status",
    "events": "without events container starts are known only from pod status and first log lines",
    "pods": "without pod specs it is assumed, not known, what is redirected, held or native",
}

_GROUP = ["kind", "project", "cluster", "hour"]


def count(entries: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Rows to add up (`schema.COVERAGE`): log entries, and events that are none, by kind, cluster and hour."""
    told = pa.table(
        {
            "kind": kinds(entries),
            **{name: pa.array(entries[name], pa.string(), from_pandas=True) for name in ("project", "cluster")},
            "hour": entries["time"].dt.floor("h"),
            "time": entries["time"],
            "marker": entries["message"].eq(LOSS_MARKER).to_numpy(bool, na_value=False),
        }
    )
    groups = told.group_by(_GROUP, use_threads=False)
    table = groups.aggregate([([], "count_all"), ("time", "min"), ("time", "max"), ("marker", "sum")])
    names = {"count_all": "entries", "time_min": "first", "time_max": "last", "marker_sum": "loss_markers"}
    parts = [schema.conform(table.rename_columns(names), schema.COVERAGE)]
    if len(events):
        dumps = events[events["insert_id"].isna()]
        parts.append(_objects("events", dumps, dumps["time_upper"]))
    return pd.concat([part for part in parts if len(part)] or [schema.empty(schema.COVERAGE)], ignore_index=True)


def add_up(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of several `count`s, one for each kind, cluster and hour."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return schema.empty(schema.COVERAGE)
    rows = pd.concat(parts, ignore_index=True)
    groups = rows.groupby([rows[name].fillna("") if name != "hour" else rows[name] for name in _GROUP], dropna=False)
    table = groups.agg(
        {"entries": "sum", "duplicates": "sum", "first": "min", "last": "max", "loss_markers": "sum"}
    ).reset_index()
    return _nameless(table)


def _nameless(table: pd.DataFrame) -> pd.DataFrame:
    table[["project", "cluster"]] = table[["project", "cluster"]].replace("", None)
    return schema.conform(table, schema.COVERAGE)


def survey(counts: pd.DataFrame, pods: pd.DataFrame, rejects: pd.DataFrame) -> pd.DataFrame:
    """One row per kind of source and hour, and one for each kind that is missing (`schema.COVERAGE`).

    `counts` are what `add_up` gave.
    """
    parts = [counts, _objects("pods", pods, pods["created"])]
    if len(rejects):
        parts.append(schema.conform([{"kind": "unread", "entries": 0, "rejects": len(rejects)}], schema.COVERAGE))
    together = pd.concat([part for part in parts if len(part)] or [counts], ignore_index=True)
    together[["rejects", "duplicates", "loss_markers"]] = together[["rejects", "duplicates", "loss_markers"]].fillna(0)
    missing = [_missing(name, counts) for name in WITHOUT if not (together["kind"] == name).any()]
    parts = [together, schema.conform(missing, schema.COVERAGE)]
    return schema.conform(pd.concat([part for part in parts if len(part)], ignore_index=True), schema.COVERAGE)


# What would settle an undetermined start or error, by its reason: the sources to fetch.
SETTLED_BY = {
    "pod_unnamed": (),  # no query: another file name, or another option of kubectl
    "mesh_unknown": ("pods", "events"),
    "no_proxy_evidence": ("proxy_logs", "events"),
    "overlap": ("proxy_logs",),
    "no_app_logs": ("app_logs",),
    "start_not_in_export": ("events", "proxy_logs"),
    "contradiction": ("proxy_logs", "events"),
    "destination_unresolved": ("services",),
    "errors_undated": ("app_logs",),
    "undetermined_errors": (),  # told with the errors themselves
}
_KUBECTL = {
    "pods": "kubectl get pods --namespace {namespace} -o json",
    "services": "kubectl get services --all-namespaces -o json",
}
# A filter names so many pods; beyond that, their namespaces.
_PODS = 40
# Evidence may be stamped this long before the start or after the error that it explains.
_AROUND = timedelta(minutes=10)


def gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Rows for what a finished survey lacks within a cluster (`schema.COVERAGE`).

    A kind of source that other clusters have and this one has not; and hours in which a cluster's applications
    logged but its proxies did not, or the other way round.
    """
    counted = table[table["entries"].gt(0) & table["kind"].isin(WITHOUT) & table["cluster"].notna()]
    rows = []
    for cluster, here in counted.groupby("cluster", sort=True):
        elsewhere = set(counted["kind"]) - set(here["kind"])
        first, last = here["first"].min(), here["last"].max()
        rows += [
            _absent(kind, cluster, f"none of this cluster: {WITHOUT[kind]}", first, last)
            for kind in sorted(elsewhere - {"pods"})
        ]
        hours = {kind: set(here.loc[here["kind"] == kind, "hour"].dropna()) for kind in ("app_logs", "proxy_logs")}
        for kind, other in (("app_logs", "proxy_logs"), ("proxy_logs", "app_logs")):
            if hours[kind] and hours[other]:
                rows += [
                    _absent(kind, cluster, "none in this hour", hour, hour + pd.Timedelta(1, "h"), hour=hour)
                    for hour in sorted(hours[other] - hours[kind])
                ]
    return schema.conform(rows, schema.COVERAGE)


class Question(NamedTuple):
    """What would settle something undetermined: a kind of source, of these pods and this time."""

    kind: str
    what: str  # in words
    scope: Scope

    def asked(self, dialect: str = "logging", table: str | None = None) -> list[str]:
        """The queries that fetch it, or kubectl commands for what no log holds."""
        if self.kind in _KUBECTL:
            names = self.scope.namespaces or ("default",)
            return list(dict.fromkeys(_KUBECTL[self.kind].format(namespace=shlex.quote(name)) for name in names))
        return queries(self.kind, self.scope, dialect, table)


def questions(starts: pd.DataFrame, errors: pd.DataFrame) -> Iterator[Question]:
    """What would settle what is undetermined, by reason and cluster."""
    begun = starts["app_started_lower"].fillna(starts["errors_first"])
    open_starts = starts.assign(first=begun, last=starts["app_started_upper"].fillna(begun), what="starts")
    place = ["reason", "cluster", "namespace", "pod"]
    undecided = joins.plain(errors.loc[errors["verdict"] == "undetermined", [*place, "time"]])
    open_errors = undecided.assign(first=undecided["time"], last=undecided["time"], what="errors")
    open_starts = open_starts[open_starts["outcome"] == "undetermined"]
    both = pd.concat([part[["what", *place, "first", "last"]] for part in (open_starts, open_errors)])
    for (reason, cluster), group in both.groupby(["reason", both["cluster"].fillna("")], sort=True):
        counts = group["what"].value_counts()
        told = ", ".join(
            f"{counts[what]:,} undetermined {what if counts[what] > 1 else what.removesuffix('s')}"
            for what in ("starts", "errors")
            if what in counts
        )
        for kind in SETTLED_BY.get(reason, ()):
            yield Question(kind, f"would settle {told}: {reason}", _scope(kind, cluster, group))


def settle(starts: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    """Rows with the query that would settle what is undetermined, by reason and cluster (`schema.COVERAGE`)."""
    rows = [
        _row(question.kind, question.scope.clusters[0] if question.scope.clusters else None, question)
        for question in questions(starts, errors)
    ]
    return schema.conform(rows, schema.COVERAGE)


def _scope(kind: str, cluster: str, rows: pd.DataFrame) -> Scope:
    """The pods of these rows, or their namespaces where they are many, from a while before to a while after."""
    pods, namespaces = (tuple(sorted(rows[name].dropna().unique())) for name in ("pod", "namespace"))
    first, last = _second(rows["first"].min() - _AROUND), _second(rows["last"].max() + _AROUND)
    if kind in _KUBECTL or len(pods) > _PODS:
        pods = ()
    return Scope(None, (cluster,) if cluster else (), () if pods else namespaces, (), pods, first, last)


def _second(time: pd.Timestamp) -> pd.Timestamp | None:
    return None if pd.isna(time) else time.floor("s")


def _absent(kind, cluster, missing, first, last, hour=None) -> dict:
    scope = Scope(clusters=(cluster,) if cluster else (), first=_second(first), last=_second(last))
    return _row(kind, cluster, Question(kind, missing, scope), hour)


def _row(kind: str, cluster: str | None, question: Question, hour=None) -> dict:
    row = {"kind": kind, "cluster": cluster, "hour": hour, "entries": 0, "duplicates": 0, "rejects": 0}
    asked = (" ".join(query.split("\n")) for query in question.asked())
    return row | {"missing": question.what, "query": "; ".join(asked)}


def kinds(entries: pd.DataFrame) -> np.ndarray:
    """For each log entry the kind of source it is: app_logs, proxy_logs, events, audit or other."""
    container = entries["resource_type"].eq("k8s_container")
    tests = {
        "audit": entries["log_id"].str.startswith("cloudaudit.googleapis.com"),
        "events": entries["log_id"].eq("events"),
        "proxy_logs": container & entries["container"].eq(PROXY),
        "app_logs": container,
    }
    return np.select([test.to_numpy(bool, na_value=False) for test in tests.values()], list(tests), "other")


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


def _missing(kind: str, counts: pd.DataFrame) -> dict:
    first, last = counts["first"].min().floor("s"), counts["last"].max().ceil("s")
    row = _absent(kind, None, WITHOUT[kind], first, last)
    return row | ({"query": "kubectl get pods --all-namespaces -o json"} if kind == "pods" else {})
