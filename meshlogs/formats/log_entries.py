"""Cloud Logging entries (LogEntry v2), as JSON in any wrapping: sink shards, arrays, pages of the API.

Entries that carry a Kubernetes event are rows of both tables; audit entries that carry a pod object, or a
change of its status, are rows of `pods` too. (cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry)
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import msgspec

from meshlogs import times
from meshlogs.formats import k8s_events, k8s_pods
from meshlogs.formats.documents import Broken, json_documents, load
from meshlogs.formats.shards import Collector, Shard

EXAMPLE = (
    '{"insertId": "…", "logName": "projects/P/logs/stdout", "resource": {…}, "textPayload": "…", "timestamp": "…"}'
)

# Where a person finds the text of a structured payload, best first.
MESSAGE_FIELDS = ("message", "msg", "MESSAGE", "log", "textPayload", "event", "error", "err")
PAYLOADS = ("textPayload", "jsonPayload", "protoPayload")
# Legacy resources and labels, read as the newer ones.
RESOURCES = {"container": "k8s_container", "gke_container": "k8s_container"}
LEGACY = "container.googleapis.com/"
NODE = "compute.googleapis.com/resource_name"

_KEYS = re.compile(rb'"(?:logName|insertId|textPayload|jsonPayload|protoPayload|receiveTimestamp)"')


def sniff(head: bytes, _name: str) -> bool:
    """Whether these first bytes look like log entries."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") and bool(_KEYS.search(head))


def read(path: Path, source: str) -> Shard:
    """The log entries of a file, and the events and pods they carry."""
    data, damage = load(path)
    collector = Collector("log_entries", source)
    for line, value in json_documents(data):
        add(collector, line, value)
    if damage:
        collector.reject(data.count(b"\n") + 1, damage)
    join_split(collector)
    return collector.shard()


def add(collector: Collector, line: int, value) -> None:
    """Sort one document into the collector: an entry, a page of entries, a list, or something broken."""
    if isinstance(value, Broken):
        collector.records += 1
        collector.broken(line, value)
    elif isinstance(value, list):
        for item in value:
            add(collector, line, item)
    elif isinstance(value, dict) and isinstance(value.get("entries"), list) and "logName" not in value:
        for item in value["entries"]:
            add(collector, line, item)
    elif isinstance(value, dict) and set(value) <= {"nextPageToken"}:
        return  # a page without entries
    else:
        collector.records += 1
        reason = _entry(collector, line, value)
        if reason:
            collector.reject(line, reason, _excerpt(value))


def is_entry(value) -> bool:
    """Whether a value is a LogEntry."""
    return isinstance(value, dict) and (
        "logName" in value or "resource" in value or any(key in value for key in PAYLOADS)
    )


def _entry(collector: Collector, line: int, entry) -> str | None:
    """Add one entry; the reason if it cannot be."""
    if not isinstance(entry, dict):
        return f"not a log entry but {type(entry).__name__}"
    if not is_entry(entry):
        return "not a log entry: no logName, resource or payload"
    written = entry.get("timestamp")
    stamp = times.parse_ns(written)
    if stamp == times.NAT:
        found = "missing" if written is None else f"is {str(written)[:40]!r}, not a time such as 2020-03-31T10:41:15.5Z"
        return f"timestamp {found}"
    row = _row(entry, stamp, written)
    collector.add("log_entries", line, row)
    payload = entry.get("jsonPayload")
    if isinstance(payload, dict) and k8s_events.is_event(payload):
        _event(collector, line, row, payload, stamp)
    proto = entry.get("protoPayload")
    if isinstance(proto, dict) and "methodName" in proto:
        _audit(collector, line, row, proto)
    return None


def _row(entry: dict, stamp: int, written: str) -> dict:
    resource = entry.get("resource") if isinstance(entry.get("resource"), dict) else {}
    about = resource.get("labels") if isinstance(resource.get("labels"), dict) else {}
    labels = entry.get("labels") if isinstance(entry.get("labels"), dict) else {}
    log_name = _text(entry.get("logName"))
    log_id = _log_id(log_name)
    kind = _text(resource.get("type"))
    message, payload = _message(entry)
    stream = log_id if log_id in ("stdout", "stderr") else _text(labels.get(f"{LEGACY}stream"))
    received = times.parse_ns(entry.get("receiveTimestamp"))
    return {
        "time": stamp,
        "time_granularity": times.granularity(written),
        "receive_time": None if received == times.NAT else received,
        "insert_id": _text(entry.get("insertId")),
        "log_name": log_name,
        "log_id": log_id,
        "severity": _text(entry.get("severity")) or "DEFAULT",
        "resource_type": _resource(kind, entry),
        "project": _text(about.get("project_id")) or _project(log_name),
        "location": _text(about.get("location") or about.get("zone")),
        "cluster": _text(about.get("cluster_name") or labels.get(f"{LEGACY}cluster_name")),
        "namespace": _text(
            about.get("namespace_name") or about.get("namespace_id") or labels.get(f"{LEGACY}namespace_name")
        ),
        "pod": _text(about.get("pod_name") or about.get("pod_id") or labels.get(f"{LEGACY}pod_name")),
        "container": _text(about.get("container_name") or labels.get(f"{LEGACY}container_name")),
        "node": _text(about.get("node_name")) or _node(labels),
        "stream": stream,
        "message": message,
        "payload": payload,
        "labels": _json(labels) if labels else None,
        "_split": entry.get("split"),
    }


def _resource(kind: str | None, entry: dict) -> str | None:
    """The resource type of the newer model: a legacy cluster's events are about pods or the cluster."""
    if kind != "gke_cluster":
        return RESOURCES.get(kind, kind)
    payload = entry.get("jsonPayload")
    about = payload.get("involvedObject") if isinstance(payload, dict) else None
    return "k8s_pod" if isinstance(about, dict) and about.get("kind") == "Pod" else "k8s_cluster"


def _message(entry: dict) -> tuple[str | None, str | None]:
    """What a person would read, and the structured payload as JSON text."""
    text = entry.get("textPayload")
    if isinstance(text, str):
        return text.removesuffix("\n"), None
    payload = entry.get("jsonPayload")
    if isinstance(payload, dict):
        written = _json(payload)
        told = next((payload[key] for key in MESSAGE_FIELDS if isinstance(payload.get(key), str)), None)
        return (told if told is not None else written), written
    proto = entry.get("protoPayload")
    if isinstance(proto, dict):
        # Audit payloads can hold secrets: a line for people names the call only.
        told = " ".join(str(proto[key]) for key in ("methodName", "resourceName") if proto.get(key))
        return told or _text(proto.get("@type")), _json(_without_bodies(proto))
    return None, None


def _without_bodies(proto: dict) -> dict:
    """An audit payload without request and response, whose objects can hold secrets."""
    return {key: value for key, value in proto.items() if key not in ("request", "response", "metadata")}


def _event(collector: Collector, line: int, row: dict, payload: dict, stamp: int) -> None:
    where = {key: row[key] for key in ("project", "location", "cluster")}
    event = k8s_events.row(payload, where, stamp)
    if event is not None:
        collector.add("events", line, event | {"insert_id": row["insert_id"]})
        if event["pod"] and not row["pod"]:  # legacy entries name the pod in the event only
            row["pod"], row["namespace"] = event["pod"], event["namespace"]


_PODS = re.compile(r"core/v1/namespaces/([^/]+)/pods/([^/]+)(?:/(\w+))?$")


def _audit(collector: Collector, line: int, row: dict, proto: dict) -> None:
    """A pod object in a call's response, or a change of its status, as a row of pods."""
    named = _PODS.match(str(proto.get("resourceName", "")))
    method = str(proto.get("methodName", ""))
    status = proto.get("status")
    failed = isinstance(status, dict) and status.get("code")
    if not named or failed or not method.startswith("io.k8s.core.v1.pods."):
        return
    where = {key: row[key] for key in ("project", "location", "cluster")}
    for body in (proto.get("response"), proto.get("request")):
        if isinstance(body, dict) and k8s_pods.is_pod(body | {"kind": "Pod"}):
            # A create's request has no name yet: the server gives it.
            pod = k8s_pods.row(body | {"kind": "Pod"}, where)
            collector.add(
                "pods", line, pod | {"namespace": pod["namespace"] or named[1], "pod": pod["pod"] or named[2]}
            )
            return
    change = proto.get("request")
    if isinstance(change, dict) and isinstance(change.get("status"), dict):
        pod = {"namespace": named[1], "pod": named[2], **where, **k8s_pods.status_columns(change["status"])}
        collector.add("pods", line, pod)


def join_split(collector: Collector) -> None:
    """Make the parts of a split entry one row again: the text in the order of the parts, the rest of the first."""
    rows = collector.rows("log_entries")
    parts: dict[str, list[dict]] = {}
    for row in rows:
        split = row.pop("_split", None)
        if isinstance(split, dict) and isinstance(split.get("uid"), str):
            row["_part"] = k8s_pods._int(split.get("index"))
            parts.setdefault(split["uid"], []).append(row)
    gone = set()
    for group in parts.values():
        group.sort(key=lambda row: row["_part"])
        group[0]["message"] = "".join(row["message"] or "" for row in group)
        gone |= {id(row) for row in group[1:]}
    if gone:
        rows[:] = [row for row in rows if id(row) not in gone]


@lru_cache(maxsize=4096)
def _log_id(log_name: str | None) -> str | None:
    return unquote(log_name.partition("/logs/")[2]) or None if log_name else None


@lru_cache(maxsize=4096)
def _project(log_name: str | None) -> str | None:
    match = re.match(r"projects/([^/]+)/", log_name or "")
    return match.group(1) if match else None


def _node(labels: dict) -> str | None:
    node = _text(labels.get(NODE))
    return None if node and node.startswith("fluentd") else node  # legacy: the log agent's own pod


def _excerpt(value) -> str:
    """A glimpse of a record; never of one that may hold an audit payload."""
    if isinstance(value, dict) and "protoPayload" in value:
        return "(audit payload not shown)"
    return str(value)[:200]


def _json(value) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, msgspec.EncodeError, TypeError, OverflowError, RecursionError):
        return json.dumps(value, default=str)


def _text(value) -> str | None:
    return value if isinstance(value, str) and value else None
