"""The filters that fetch evidence from Cloud Logging: as query language, as a gcloud command line, as SQL.

What a refused line looks like comes from the one table of signatures, so a query finds what the analysis finds.
Resource types are today's (`k8s_container`, `k8s_pod`) and, beside them, those of before 2019 (`container`,
`gke_cluster`). Names and times are quoted for each dialect: they may come from a hostile log.

Sources: cloud.google.com/logging/docs/view/logging-query-language, .../docs/export/bigquery (renamed columns),
.../docs/analyze/views (`_AllLogs`).
"""

import json
import re
import shlex
from typing import NamedTuple

import pandas as pd

from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.signatures import TRIGGER

# What can be asked for, and what for: the guide's steps.
KINDS = {
    "refused": "refused connections in the applications' logs (the guide's steps 1 to 3)",
    "proxy_logs": "the proxy's own lines: when it started, was ready, ended",
    "events": "events of the pods: containers created, started, killed; failed probes (the guide's steps 4 to 6)",
    "audit": "the API server's audit entries of pods: their specs and status",
    "app_logs": "all lines of the applications: that they logged at all",
}
DIALECTS = ("logging", "gcloud", "bigquery", "log-analytics")
# Filters of the Logging query language may have so many characters; longer lists of pods are split.
LONGEST = 20_000
_PODS = 100

# Where a payload keeps its text. (Cloud Logging agents for Kubernetes)
_TEXTS = (
    "textPayload",
    "jsonPayload.message",
    "jsonPayload.msg",
    "jsonPayload.log",
    "jsonPayload.error",
    "jsonPayload.err",
)


class Scope(NamedTuple):
    """What a query is limited to; None or empty: not limited. Times have a zone, first <= time <= last."""

    project: str | None = None
    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    first: pd.Timestamp | None = None
    last: pd.Timestamp | None = None


def queries(kind: str, scope: Scope | None = None, dialect: str = "logging", table: str | None = None) -> list[str]:
    """The queries for one kind of evidence (`KINDS`) in a dialect (`DIALECTS`); several where one would be too long.

    `table` is the dataset of a BigQuery sink (`PROJECT.DATASET`) or a Log Analytics view
    (`PROJECT.LOCATION.BUCKET._AllLogs`). Raises ValueError for an unknown kind or dialect.
    """
    if kind not in KINDS or dialect not in DIALECTS:
        raise ValueError(f"no kind {kind!r} or dialect {dialect!r}; there are {', '.join([*KINDS, *DIALECTS])}")
    scope = scope or Scope()
    write = {"logging": _logging, "gcloud": _gcloud, "bigquery": _bigquery, "log-analytics": _analytics}[dialect]
    pods = scope.pods or (None,)
    groups = [tuple(filter(None, pods[at : at + _PODS])) for at in range(0, len(pods), _PODS)]
    return [write(kind, scope._replace(pods=group), table) for group in groups]


# Logging query language


def _logging(kind: str, scope: Scope, _table: str | None = None) -> str:
    parts = [_LOGGING[kind]()]
    if scope.project:
        parts.append(f"resource.labels.project_id={_text(scope.project)}")
    for label, names in (
        ("cluster_name", scope.clusters),
        ("namespace_name", scope.namespaces),
        ("pod_name", scope.pods),
    ):
        if names:
            parts.append(_any_of(f"resource.labels.{label}", names, kind))
    parts += [
        f'timestamp{sign}"{_stamp(time)}"'
        for sign, time in ((">=", scope.first), ("<=", scope.last))
        if time is not None
    ]
    return "\n".join(parts)


def _container(what: str) -> str:
    return f'resource.type=("k8s_container" OR "container")\n{what}'


def _refused() -> str:
    pattern = _text(TRIGGER)
    return _container(
        f'resource.labels.container_name!="{PROXY}"\n({" OR ".join(f"{path}=~{pattern}" for path in _TEXTS)})'
    )


_LOGGING = {
    "refused": _refused,
    "app_logs": lambda: _container(f'resource.labels.container_name!="{PROXY}"'),
    "proxy_logs": lambda: _container(f'resource.labels.container_name="{PROXY}"'),
    "events": lambda: 'resource.type=("k8s_pod" OR "gke_cluster")\nlog_id("events")',
    "audit": lambda: (
        'log_id("cloudaudit.googleapis.com/activity")\nresource.type="k8s_cluster"\n'
        'protoPayload.methodName=~"^io\\\\.k8s\\\\.core\\\\.v1\\\\.pods\\\\.(create|delete|update|patch|status\\\\.(patch|update))$"'
    ),
}
# Legacy events name their pod in the payload, audit entries in the resource.
_ELSEWHERE = {
    ("events", "resource.labels.pod_name"): "jsonPayload.involvedObject.name",
    ("events", "resource.labels.namespace_name"): "jsonPayload.involvedObject.namespace",
}


def _any_of(path: str, names: tuple[str, ...], kind: str) -> str:
    if kind == "audit" and path.endswith(("pod_name", "namespace_name")):
        part = "pods" if path.endswith("pod_name") else "namespaces"
        told = [f"protoPayload.resourceName=~{_text(f'(^|/){part}/{re.escape(name)}(/|$)')}" for name in names]
        return f"({' OR '.join(told)})" if len(told) > 1 else told[0]
    listed = f"({' OR '.join(map(_text, names))})" if len(names) > 1 else _text(names[0])
    other = _ELSEWHERE.get((kind, path))
    return f"({path}={listed} OR {other}={listed})" if other else f"{path}={listed}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=True)


def _stamp(time: pd.Timestamp) -> str:
    return time.tz_convert("UTC").isoformat().replace("+00:00", "Z")


def _gcloud(kind: str, scope: Scope, _table: str | None = None) -> str:
    """A command line; the filter names times, or the command would only look back a day."""
    words = ["gcloud", "logging", "read", _logging(kind, scope), "--order=asc", "--format=json"]
    if scope.project:
        words.append(f"--project={scope.project}")
    if scope.first is None:
        words.append("--freshness=30d")
    return shlex.join(words)


# SQL


def _bigquery(kind: str, scope: Scope, table: str | None) -> str:
    """A sink's dataset: a table for each log; keys of payloads are lower-cased there."""
    dataset = table or "PROJECT.DATASET"
    logs = {"events": ["events"], "audit": ["cloudaudit_googleapis_com_activity"]}.get(kind, ["stdout", "stderr"])
    payload = {"audit": "protopayload_auditlog"}.get(kind, "jsonPayload")
    text = "CAST(NULL AS STRING)" if kind in ("events", "audit") else "textPayload"
    where = [*_sql_kind(kind, "textPayload", "TO_JSON_STRING(jsonPayload)", "resource.labels.container_name", "resource.type",
                        "protopayload_auditlog.methodName"),
             *_sql_scope(scope, "resource.labels.{}", "timestamp",
                         pod="jsonPayload.involvedobject.name" if kind == "events" else None, kind=kind,
                         resource="protopayload_auditlog.resourceName")]  # fmt: skip
    selects = [
        f"SELECT timestamp, receiveTimestamp, insertId, logName, severity, resource, {text} AS textPayload, "
        f"TO_JSON_STRING({payload}) AS {payload}\nFROM {_table(dataset, log)}\nWHERE {_all(where)}"
        for log in logs
    ]
    return "\nUNION ALL\n".join(selects) + "\nORDER BY timestamp"


def _analytics(kind: str, scope: Scope, table: str | None) -> str:
    """A Log Analytics view: one table for all logs, payloads and labels as JSON."""
    where = _sql_kind(
        kind, "text_payload", "TO_JSON_STRING(json_payload)", "JSON_VALUE(resource.labels.container_name)", "resource.type",
        "proto_payload.audit_log.method_name", log="log_id",
    )  # fmt: skip
    where += _sql_scope(
        scope, "JSON_VALUE(resource.labels.{})", "timestamp", kind=kind,
        pod="JSON_VALUE(json_payload.involvedObject.name)" if kind == "events" else None,
        resource="proto_payload.audit_log.resource_name",
    )  # fmt: skip
    return (
        "SELECT timestamp, receive_timestamp, insert_id, log_name, log_id, severity, resource, labels, text_payload,\n"
        f"  json_payload, proto_payload\nFROM {_table(table or 'PROJECT.LOCATION.BUCKET._AllLogs')}\n"
        f"WHERE {_all(where)}\nORDER BY timestamp"
    )


def _sql_kind(kind, text, payload, container, resource, method, log=None) -> list[str]:
    if kind == "events":
        return [f"{resource} IN ('k8s_pod', 'gke_cluster')", *([f"{log} = 'events'"] if log else [])]
    if kind == "audit":
        only = [f"{log} = 'cloudaudit.googleapis.com/activity'"] if log else []
        return [*only, f"REGEXP_CONTAINS({method}, {_string('^io[.]k8s[.]core[.]v1[.]pods[.]')})"]
    parts = [f"{resource} IN ('k8s_container', 'container')"]
    if kind == "proxy_logs":
        return [*parts, f"{container} = {_string(PROXY)}"]
    parts.append(f"{container} != {_string(PROXY)}")
    if kind == "refused":
        pattern = _string(TRIGGER)
        parts.append(f"(REGEXP_CONTAINS({text}, {pattern})\n    OR REGEXP_CONTAINS({payload}, {pattern}))")
    return parts


def _sql_scope(scope: Scope, label: str, time: str, *, pod, kind, resource) -> list[str]:
    parts = []
    for name, values in (
        ("project_id", (scope.project,) if scope.project else ()),
        ("cluster_name", scope.clusters),
        ("namespace_name", scope.namespaces),
        ("pod_name", scope.pods),
    ):
        if not values:
            continue
        listed = f"IN ({', '.join(map(_string, values))})"
        if kind == "audit" and name in ("namespace_name", "pod_name"):
            part = "namespaces" if name == "namespace_name" else "pods"
            names = "|".join(map(re.escape, values))
            parts.append(f"REGEXP_CONTAINS({resource}, {_string(f'(^|/){part}/({names})(/|$)')})")
        elif name == "pod_name" and pod:
            parts.append(f"({label.format(name)} {listed} OR {pod} {listed})")
        else:
            parts.append(f"{label.format(name)} {listed}")
    for sign, stamp in ((">=", scope.first), ("<=", scope.last)):
        if stamp is not None:
            parts.append(f"{time} {sign} TIMESTAMP {_string(_micro(stamp, up=sign == '<='))}")
    return parts


def _micro(time: pd.Timestamp, up: bool) -> str:
    """BigQuery knows microseconds."""
    return _stamp(time.ceil("us") if up else time.floor("us"))


def _all(parts: list[str]) -> str:
    return "\n  AND ".join(parts) if parts else "TRUE"


def _string(value: str) -> str:
    """A string literal of GoogleSQL, whatever is in it."""
    escaped = json.dumps(value, ensure_ascii=True)[1:-1].replace("'", "\\'")
    return f"'{escaped}'"


def _table(name: str, log: str | None = None) -> str:
    """A quoted path of a table; anything that a path cannot hold is dropped."""
    clean = re.sub(r"[^\w.\-]", "", name)
    return f"`{clean}{'.' + log if log else ''}`"
