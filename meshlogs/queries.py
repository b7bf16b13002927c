"""The filters that fetch evidence from Cloud Logging: as query language, as a gcloud command line, as SQL.

What a refused line looks like comes from the one table of signatures, so a query finds what the analysis finds.
Resource types are today's (`k8s_container`, `k8s_pod`) and, beside them, those of before 2019 (`container`,
`gke_cluster`). Names and times are quoted for each dialect: they may come from a hostile log.

Sources: cloud.google.com/logging/docs/view/logging-query-language, .../docs/export/bigquery (renamed columns),
.../docs/analyze/views (`_AllLogs`).
"""

from __future__ import annotations

import json
import re
import shlex
from typing import NamedTuple

from meshlogs import times
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.signatures import TRIGGER
from meshlogs.later import Later

pd = Later("pandas")

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
    workloads: tuple[str, ...] = ()  # the pods whose names begin so
    pods: tuple[str, ...] = ()
    first: pd.Timestamp | None = None
    last: pd.Timestamp | None = None


def query(
    kind: str,
    *,
    dialect: str = "logging",
    project=None,
    clusters=(),
    namespaces=(),
    workloads=(),
    pods=(),
    since=None,
    until=None,
    table: str | None = None,
) -> list[str]:
    """The queries for one kind of evidence (`KINDS`) in a dialect (`DIALECTS`); several where one would be too long.

    Limited to these names, all texts, and to since <= time <= until (as `times.moment` takes them; UTC if they name
    no zone). A workload is told by the beginning of its pods' names. `table` is the dataset of a BigQuery sink
    (`PROJECT.DATASET`) or a Log Analytics view (`PROJECT.LOCATION.BUCKET._AllLogs`).
    Raises ValueError for an unknown kind or dialect, for what is no time, and unless since < until.

    >>> print(query("events", pods=["web-67d56cdd-g7fvb"], since="2020-03-31")[0])
    resource.type=("k8s_pod" OR "gke_cluster")
    log_id("events")
    (resource.labels.pod_name="web-67d56cdd-g7fvb" OR jsonPayload.involvedObject.name="web-67d56cdd-g7fvb")
    timestamp>="2020-03-31T00:00:00Z"
    """
    first, last = times.span(since, until)
    names = (tuple(clusters), tuple(namespaces), tuple(workloads), tuple(pods))
    return queries(kind, Scope(project, *names, first, last), dialect, table)


def queries(kind: str, scope: Scope | None = None, dialect: str = "logging", table: str | None = None) -> list[str]:
    """Like `query`, for a scope."""
    if kind not in KINDS or dialect not in DIALECTS:
        raise ValueError(f"no kind {kind!r} or dialect {dialect!r}; there are {', '.join([*KINDS, *DIALECTS])}")
    scope = scope or Scope()
    write = {"logging": _logging, "gcloud": _gcloud, "bigquery": _bigquery, "log-analytics": _analytics}[dialect]
    groups = [scope.pods[at : at + _PODS] for at in range(0, len(scope.pods), _PODS)] or [()]
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
    if scope.workloads:
        parts.append(_begins(kind, scope.workloads))
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


# The API server's calls that tell a pod's spec or status.
_POD_METHODS = r"^io[.]k8s[.]core[.]v1[.]pods[.](create|delete|update|patch|status[.](patch|update))$"

_LOGGING = {
    "refused": _refused,
    "app_logs": lambda: _container(f'resource.labels.container_name!="{PROXY}"'),
    "proxy_logs": lambda: _container(f'resource.labels.container_name="{PROXY}"'),
    "events": lambda: 'resource.type=("k8s_pod" OR "gke_cluster")\nlog_id("events")',
    "audit": lambda: (
        'log_id("cloudaudit.googleapis.com/activity")\nresource.type="k8s_cluster"\n'
        f"protoPayload.methodName=~{_text(_POD_METHODS)}"
    ),
}
# Legacy events name their pod in the payload, audit entries in the resource.
_ELSEWHERE = {
    ("events", "pod_name"): "jsonPayload.involvedObject.name",
    ("events", "namespace_name"): "jsonPayload.involvedObject.namespace",
}


# An audit entry names its object by a path.
_IN_PATHS = {"pod_name": "pods", "namespace_name": "namespaces"}


def _in_path(label: str, names: tuple[str, ...], more: str = "") -> str:
    return f"(^|/){_IN_PATHS[label]}/({'|'.join(map(_escaped, names))}){more}(/|$)"


def _escaped(name: str) -> str:
    """A name as a pattern; RE2 knows no other escapes than those of signs."""
    return re.sub(r"([^\w\s-])", r"\\\1", name)


def _begins(kind: str, workloads: tuple[str, ...]) -> str:
    """Pods whose names begin so."""
    if kind == "audit":
        return f"protoPayload.resourceName=~{_text(_in_path('pod_name', workloads, more='(-[^/]*)?'))}"
    pattern = _text(_beginning(workloads))
    name = f"resource.labels.pod_name=~{pattern}"
    return f"({name} OR {_ELSEWHERE[kind, 'pod_name']}=~{pattern})" if kind == "events" else name


def _beginning(names: tuple[str, ...]) -> str:
    return f"^({'|'.join(map(_escaped, names))})(-|$)"


def _any_of(path: str, names: tuple[str, ...], kind: str) -> str:
    name = path.rpartition(".")[2]
    if kind == "audit" and name in _IN_PATHS:
        return f"protoPayload.resourceName=~{_text(_in_path(name, names))}"
    listed = f"({' OR '.join(map(_text, names))})" if len(names) > 1 else _text(names[0])
    other = _ELSEWHERE.get((kind, name))
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


class _Columns(NamedTuple):
    """Where a table keeps what a query asks for."""

    text: str
    payload: str  # as a text
    label: str  # of the resource; {} stands for its name
    object: str  # the name of the object that an event is about
    method: str
    resource: str  # of an audit entry
    log: str | None = None


_SINK = _Columns(
    text="textPayload",
    payload="TO_JSON_STRING(jsonPayload)",
    label="resource.labels.{}",
    object="jsonPayload.involvedobject.name",
    method="protopayload_auditlog.methodName",
    resource="protopayload_auditlog.resourceName",
)
_VIEW = _Columns(
    text="text_payload",
    payload="TO_JSON_STRING(json_payload)",
    label="JSON_VALUE(resource.labels.{})",
    object="JSON_VALUE(json_payload.involvedObject.name)",
    method="proto_payload.audit_log.method_name",
    resource="proto_payload.audit_log.resource_name",
    log="log_id",
)
_LOGS = {"events": ("events",), "audit": ("cloudaudit_googleapis_com_activity",)}


def _bigquery(kind: str, scope: Scope, table: str | None) -> str:
    """A sink's dataset: a table for each log, or for each log and day; keys of payloads are lower-cased there."""
    payload = "protopayload_auditlog" if kind == "audit" else "jsonPayload"
    text = "CAST(NULL AS STRING)" if kind in _LOGS else "textPayload"
    selects = [
        f"SELECT timestamp, receiveTimestamp, insertId, logName, severity, resource, {text} AS textPayload, "
        f"TO_JSON_STRING({payload}) AS {payload}\nFROM {_table(table or 'PROJECT.DATASET', log)}\n"
        f"WHERE {_where(kind, scope, _SINK)}\n  AND {_days(scope)}"
        for log in _LOGS.get(kind, ("stdout", "stderr"))
    ]
    return "\nUNION ALL\n".join(selects) + "\nORDER BY timestamp"


def _days(scope: Scope) -> str:
    """The tables to read: the partitioned one, whose name has no suffix, and those of the days in question."""
    first, last = (None if time is None else f"{time.tz_convert('UTC'):_%Y%m%d}" for time in (scope.first, scope.last))
    limits = [f"_TABLE_SUFFIX {sign} '{day}'" for sign, day in ((">=", first), ("<=", last)) if day]
    days = " AND ".join(limits) or "REGEXP_CONTAINS(_TABLE_SUFFIX, '^_[0-9]{8}$')"
    return f"(_TABLE_SUFFIX = '' OR ({days}))"


def _analytics(kind: str, scope: Scope, table: str | None) -> str:
    """A Log Analytics view: one table for all logs, payloads and labels as JSON."""
    return (
        "SELECT timestamp, receive_timestamp, insert_id, log_name, log_id, severity, resource, labels, text_payload,\n"
        f"  json_payload, proto_payload\nFROM {_table(table or 'PROJECT.LOCATION.BUCKET._AllLogs')}\n"
        f"WHERE {_where(kind, scope, _VIEW)}\nORDER BY timestamp"
    )


def _where(kind: str, scope: Scope, columns: _Columns) -> str:
    return "\n  AND ".join([*_of_kind(kind, columns), *_of_scope(kind, scope, columns)])


def _of_kind(kind: str, columns: _Columns) -> list[str]:
    if kind == "events":
        only = [f"{columns.log} = 'events'"] if columns.log else []
        return ["resource.type IN ('k8s_pod', 'gke_cluster')", *only]
    if kind == "audit":
        only = [f"{columns.log} = 'cloudaudit.googleapis.com/activity'"] if columns.log else []
        return [*only, f"REGEXP_CONTAINS({columns.method}, {_string(_POD_METHODS)})"]
    container = columns.label.format("container_name")
    parts = ["resource.type IN ('k8s_container', 'container')"]
    parts.append(f"{container} {'=' if kind == 'proxy_logs' else '!='} {_string(PROXY)}")
    if kind == "refused":
        pattern = _string(TRIGGER)
        parts.append(
            f"(REGEXP_CONTAINS({columns.text}, {pattern})\n    OR REGEXP_CONTAINS({columns.payload}, {pattern}))"
        )
    return parts


def _of_scope(kind: str, scope: Scope, columns: _Columns) -> list[str]:
    parts = []
    for name, values in (
        ("project_id", (scope.project,) if scope.project else ()),
        ("cluster_name", scope.clusters),
        ("namespace_name", scope.namespaces),
        ("pod_name", scope.pods),
    ):
        listed = f"IN ({', '.join(map(_string, values))})"
        if values and kind == "audit" and name in _IN_PATHS:
            parts.append(f"REGEXP_CONTAINS({columns.resource}, {_string(_in_path(name, values))})")
        elif values and kind == "events" and name == "pod_name":
            parts.append(f"({columns.label.format(name)} {listed} OR {columns.object} {listed})")
        elif values:
            parts.append(f"{columns.label.format(name)} {listed}")
    if scope.workloads and kind == "audit":
        path = _in_path("pod_name", scope.workloads, more="(-[^/]*)?")
        parts.append(f"REGEXP_CONTAINS({columns.resource}, {_string(path)})")
    elif scope.workloads:
        names = [columns.label.format("pod_name"), *([columns.object] if kind == "events" else [])]
        begins = [f"REGEXP_CONTAINS({name}, {_string(_beginning(scope.workloads))})" for name in names]
        parts.append(f"({' OR '.join(begins)})" if len(begins) > 1 else begins[0])
    for sign, stamp in ((">=", scope.first), ("<=", scope.last)):
        if stamp is not None:
            parts.append(f"timestamp {sign} TIMESTAMP {_string(_micro(stamp, up=sign == '<='))}")
    return parts


def _micro(time: pd.Timestamp, up: bool) -> str:
    """BigQuery knows microseconds."""
    return _stamp(time.ceil("us") if up else time.floor("us"))


def _string(value: str) -> str:
    """A string literal of GoogleSQL, whatever is in it."""
    letters = (
        _LETTERS.get(letter) or (letter if letter.isprintable() else f"\\U{ord(letter):08x}") for letter in value
    )
    return f"'{''.join(letters)}'"


_LETTERS = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _table(name: str, log: str | None = None) -> str:
    """A quoted path of a table; anything that a path cannot hold is dropped."""
    clean = re.sub(r"[^\w.\-]", "", name)
    return f"`{clean}{f'.{log}*' if log else ''}`"
