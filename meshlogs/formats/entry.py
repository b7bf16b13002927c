"""One Cloud Logging LogEntry (v2 JSON) as rows: the same for every envelope it may come in.

An event is a row of `log_entries` and one of `events`; an audit entry about a pod a row of `log_entries`
and, where it holds the pod or a patch of its status, one of `pods`.
The bodies of audit entries (`request`, `response`, `metadata`) are not kept: they hold secrets.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from meshlogs import times
from meshlogs.formats.k8s_events import event_row, is_event
from meshlogs.formats.k8s_pods import is_pod, pod_row, status_row
from meshlogs.formats.tables import (
    Tables,
    compact,
    dated,
    get,
    integer,
    moment,
    text_of,
    texts_of,
    tidy,
    without_newline,
)

# Resource label -> ours, newer name first. (Cloud Logging, monitored resource types)
RESOURCE_LABELS = {
    "project": ("project_id",),
    "location": ("location", "zone"),
    "cluster": ("cluster_name",),
    "namespace": ("namespace_name", "namespace_id"),
    "pod": ("pod_name", "pod_id"),
    "container": ("container_name",),
}
# Entry labels of the legacy agent, for what its resource leaves out.
LEGACY_LABELS = {
    "namespace": "container.googleapis.com/namespace_name",
    "pod": "container.googleapis.com/pod_name",
    "container": "container.googleapis.com/container_name",
    "cluster": "container.googleapis.com/cluster_name",
}
LEGACY = "container.googleapis.com/"  # what their names begin with
_MAYBE_LEGACY = re.compile(rb"container\.googleapis\.com/|\\")  # an escape may hide anything
NODE_LABEL = "compute.googleapis.com/resource_name"
LEGACY_NODE = "fluentd"  # a node's label that begins so is the agent's own pod
STREAM_LABEL = "container.googleapis.com/stream"

# Where a JSON payload keeps what a person would read, first come first served; texts only.
MESSAGE_KEYS = ("message", "msg", "MESSAGE", "log", "textPayload", "text", "error", "err", "event")

# A payload without any of these texts is no event.
EVENT_KEYS = ("involvedObject", "regarding")

AUDIT_BODIES = ("request", "response", "metadata")
POD_METHODS = "io.k8s.core.v1.pods."
DRY_RUN = '"command.gke.io/dryRun"'

# Columns of an entry's row that its resource, log name and severity tell.
ORIGIN = (
    *("log_name", "log_id", "severity", "resource_type", "project", "location", "cluster"),
    *("namespace", "pod", "container"),
)

_ABSENT = (b"", b"null")
_EVENT_MARKS = [f'"{key}"'.encode() for key in EVENT_KEYS]
# What a nested part raises that is JSON of a laxer kind only.
WRONG = (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError)


class Entry(msgspec.Struct, gc=False):
    """The fields of a log entry that are read; nested parts stay JSON text."""

    timestamp: str | None = None
    receiveTimestamp: str | None = None
    insertId: str | None = None
    logName: str | None = None
    severity: str | None = None
    textPayload: str | None = None
    jsonPayload: msgspec.Raw = msgspec.Raw()
    protoPayload: msgspec.Raw = msgspec.Raw()
    resource: msgspec.Raw = msgspec.Raw()
    labels: msgspec.Raw = msgspec.Raw()
    split: msgspec.Raw = msgspec.Raw()
    entries: msgspec.Raw = msgspec.Raw()  # a page of entries.list, not an entry
    nextPageToken: msgspec.Raw = msgspec.Raw()


_TEXTS = ("timestamp", "receiveTimestamp", "insertId", "logName", "severity", "textPayload")
_PARTS = tuple(name for name in Entry.__struct_fields__ if name not in _TEXTS)

Message = msgspec.defstruct("Message", [(name, object, None) for name in MESSAGE_KEYS], gc=False)

_entry = msgspec.json.Decoder(Entry)
_message = msgspec.json.Decoder(Message)


class Place(NamedTuple):
    """What the resource says."""

    resource_type: str | None
    project: str | None
    location: str | None
    cluster: str | None
    namespace: str | None
    pod: str | None
    container: str | None
    node: str | None


class Labels(NamedTuple):
    """What the labels say."""

    text: str | None
    node: str | None
    stream: str | None
    legacy: dict[str, str]


def decode(data: bytes) -> Entry:
    """The entry in a JSON object's text. Raises msgspec.DecodeError where `loosely` may still succeed."""
    return _entry.decode(data)


def is_entry(value: dict) -> bool:
    """Whether a decoded object is a log entry, all of it or the fields that were asked for."""
    return not value.keys().isdisjoint(("logName", "insertId")) or (
        "timestamp" in value and not value.keys().isdisjoint(("textPayload", "jsonPayload", "protoPayload", "resource"))
    )


def origin(resource: bytes, log_name: str | None, severity: str | None) -> tuple | None:
    """The values of `ORIGIN` in an entry's row, then its resource's node and its log's stream; None if unusual."""
    try:
        place = _place(resource)
    except WRONG:
        return None
    if not log_name:
        return None
    log_id = _log_id(log_name)
    return log_name, log_id, severity or "DEFAULT", *place, _stream(log_id)


def loosely(value: dict) -> Entry:
    """The entry in a decoded object whose fields may have any type."""
    value = tidy(value)
    texts = {name: _as_text(value.get(name)) for name in _TEXTS}
    parts = {name: msgspec.Raw(compact(value[name]).encode()) for name in _PARTS if value.get(name) is not None}
    return Entry(**texts, **parts)


def add(tables: Tables, entry: Entry, line: int | None, raw: str | bytes) -> None:
    """Add an entry's rows, or a reject; `raw` is its text for the reject's excerpt.

    Raises one of `WRONG` for nested parts that only `loosely` can decode, before anything is added.
    """
    ns, granularity = dated(entry.timestamp)
    reason = _defect(entry, ns)
    if reason:
        tables.reject(line, reason, raw)
        return
    place = _place(bytes(entry.resource))
    labels = _labels(bytes(entry.labels))
    message, payload, body = _content(entry)
    log_id = _log_id(entry.logName)
    node = labels.node or place.node
    if labels.legacy:
        place = place._replace(**{name: getattr(place, name) or text for name, text in labels.legacy.items()})
    extras = []
    if body is not None:
        if log_id is None and place.resource_type and not place.container and is_event(body):
            log_id = "events"  # its name was not asked for
        if log_id == "events" and is_event(body):
            place, node = _add_event(tables, entry, body, place, node, line, extras)
        elif entry.protoPayload and (row := _audited_pod(body, labels.text)):
            site = {"project": place.project, "location": place.location, "cluster": place.cluster}
            extras.append((tables.pod, row | site | {"line": line}))
    values = (
        ns,
        granularity,
        moment(entry.receiveTimestamp),
        entry.insertId,
        entry.logName,
        log_id,
        entry.severity or "DEFAULT",
        place.resource_type,
        place.project,
        place.location,
        place.cluster,
        place.namespace,
        place.pod,
        place.container,
        node,
        _stream(log_id) or labels.stream,
        message,
        payload,
        labels.text,
        line,
    )
    part = _part(entry)
    if part:
        tables.part(*part, entry.textPayload or message or "", values)
    else:
        tables.entry(values)
    for write, row in extras:
        write(row)


def place_of(entry: Entry) -> tuple | None:
    """(project, location, cluster, namespace, pod, container, log name, insert id) of a pod's container's entry.

    They are those of the row that `add` would add, for an entry that has a time; None if it adds anything else.
    """
    if entry.entries or entry.nextPageToken or entry.protoPayload or bytes(entry.split) not in _ABSENT:
        return None
    try:
        place, log_id = _place(bytes(entry.resource)), _log_id(entry.logName)
    except WRONG:  # texts that are no UTF-8
        return None
    if (
        place.resource_type != "k8s_container"
        or place.pod is None
        or log_id == "events"
        or (_MAYBE_LEGACY.search(bytes(entry.labels)) and _labels(bytes(entry.labels)).legacy)
    ):
        return None
    return (*place[1:7], entry.logName, entry.insertId)


def _defect(entry: Entry, ns: int) -> str | None:
    """Why this is no log entry, None if it is one."""
    payload = entry.textPayload is not None or entry.jsonPayload or entry.protoPayload
    if not (entry.logName or entry.resource or payload):
        return "not a log entry: no logName, no resource, no payload"
    if entry.timestamp is None:
        return "timestamp missing"
    return "timestamp is not a time" if ns == times.NAT else None


def _content(entry: Entry) -> tuple[str | None, str | None, dict | None]:
    """Message, payload text, and the decoded payload where events or audit bodies must be looked at."""
    if entry.textPayload is not None:
        return without_newline(entry.textPayload), None, None
    raw = bytes(entry.jsonPayload)
    if raw not in _ABSENT:
        payload = msgspec.json.format(raw, indent=-1).decode()
        body = msgspec.json.decode(raw) if any(mark in raw for mark in _EVENT_MARKS) else None
        return _said(raw) or payload, payload, body
    raw = bytes(entry.protoPayload)
    if raw in _ABSENT:
        return None, None, None
    body = msgspec.json.decode(raw)
    if not isinstance(body, dict):
        return msgspec.json.format(raw, indent=-1).decode(), None, None
    kept = compact({key: value for key, value in body.items() if key not in AUDIT_BODIES})
    said = [word for key in ("methodName", "resourceName") if (word := text_of(body.get(key)))]
    return " ".join(said) or kept, kept, body


def _said(raw: bytes) -> str | None:
    if not raw.startswith(b"{"):
        return None
    found = _message.decode(raw)
    for name in MESSAGE_KEYS:
        value = getattr(found, name)
        if isinstance(value, str):
            return without_newline(value)
    return None


def _add_event(tables, entry, body, place, node, line, extras) -> tuple[Place, str | None]:
    """Note the event's row; the place and node its log entry has by what the event is about."""
    row = event_row(body, entry.timestamp)
    if place.resource_type == "gke_cluster":
        resource_type = "k8s_pod" if row["pod"] else "k8s_cluster"
        place = place._replace(resource_type=resource_type)
        if row["pod"]:
            place = place._replace(namespace=place.namespace or row["namespace"], pod=place.pod or row["pod"])
    row |= {"project": place.project, "location": place.location, "cluster": place.cluster}
    extras.append((tables.event, row | {"insert_id": entry.insertId, "line": line}))
    return place, node or row["node"]


def _audited_pod(body: dict, labels: str | None) -> dict | None:
    """The row of `schema.PODS` in an audited call on a pod, None if the call tells nothing that holds.

    A response is the pod as it was stored, with what webhooks injected; the request of a create call is
    the pod before that, and is not used. A status patch is in the request.
    """
    if not str(body.get("methodName")).startswith(POD_METHODS):
        return None
    if integer(get(body, "status", "code")) or DRY_RUN in (labels or ""):
        return None
    request, response = body.get("request"), body.get("response")
    if is_pod(response):
        row = pod_row(response)
    elif ".pods.status." in body["methodName"] and isinstance(request, dict):
        row = status_row(request)
        if row["conditions"] is None and row["container_states"] is None:
            return None
    else:
        return None
    path = (text_of(body.get("resourceName")) or "").split("/")
    named = len(path) > 5 and path[2] == "namespaces" and path[4] == "pods"
    row["namespace"] = row["namespace"] or (path[3] if named else None)
    row["pod"] = row["pod"] or (path[5] if named else None)
    return row


def _stream(log_id: str | None) -> str | None:
    return log_id if log_id in ("stdout", "stderr") else None


def _part(entry: Entry) -> tuple[str, int, int | None] | None:
    raw = bytes(entry.split)
    if raw in _ABSENT:
        return None
    split = msgspec.json.decode(raw)
    uid = text_of(get(split, "uid"))
    return (uid, integer(split.get("index")) or 0, integer(split.get("totalSplits"))) if uid else None


@lru_cache(maxsize=4096)
def _log_id(log_name: str | None) -> str | None:
    if not log_name:
        return None
    _, found, log_id = log_name.partition("/logs/")
    return unquote(log_id if found else log_name)


@lru_cache(maxsize=16_384)
def _place(raw: bytes) -> Place:
    resource = msgspec.json.decode(raw) if raw not in _ABSENT else {}
    kind, labels = text_of(get(resource, "type")), texts_of(get(resource, "labels"))
    found = {
        ours: next((labels[name] for name in names if labels.get(name)), None)
        for ours, names in RESOURCE_LABELS.items()
    }
    kind = "k8s_container" if kind == "container" else kind
    return Place(kind, **found, node=labels.get("node_name") or None)


@lru_cache(maxsize=16_384)
def _labels(raw: bytes) -> Labels:
    labels = texts_of(msgspec.json.decode(raw)) if raw not in _ABSENT else {}
    legacy = {ours: labels[name] for ours, name in LEGACY_LABELS.items() if labels.get(name)}
    return Labels(compact(labels) if labels else None, _node(labels), labels.get(STREAM_LABEL), legacy)


def _node(labels: dict[str, str]) -> str | None:
    node = labels.get(NODE_LABEL)
    return None if node and node.startswith(LEGACY_NODE) else node


def _as_text(value) -> str | None:
    return value if isinstance(value, str) or value is None else compact(value)
