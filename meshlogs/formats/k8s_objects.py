"""Kubernetes objects as kubectl prints them in JSON: lists of events and pods, single ones, mixed lists.

Objects of other kinds (ReplicaSets, Nodes …) count as records and are left out knowingly.
"""

import re
from pathlib import Path

from meshlogs.formats import k8s_events, k8s_pods, log_entries
from meshlogs.formats.documents import Broken, json_documents, load
from meshlogs.formats.shards import Collector, Shard

EXAMPLE = '{"apiVersion": "v1", "kind": "List", "items": [{"kind": "Pod", …}]}'

_KEYS = re.compile(rb'"(?:apiVersion|kind|items|involvedObject|metadata)"\s*:')


def sniff(head: bytes, _name: str) -> bool:
    """Whether these first bytes look like a Kubernetes object."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") and bool(_KEYS.search(head))


def read(path: Path, source: str) -> Shard:
    """The events and pods of a file."""
    data, damage = load(path)
    collector = Collector("k8s_objects", source)
    for line, value in json_documents(data):
        add(collector, line, value)
    if damage:
        collector.reject(data.count(b"\n") + 1, damage)
    log_entries.join_split(collector)
    return collector.shard()


def add(collector: Collector, line: int, value, kind: str | None = None) -> None:
    """Sort one object into the collector; `kind` is that of the list it came in."""
    if isinstance(value, Broken):
        collector.records += 1
        collector.broken(line, value)
    elif isinstance(value, list):
        for item in value:
            add(collector, line, item)
    elif isinstance(value, dict) and isinstance(value.get("items"), list):
        inner = str(value.get("kind", "")).removesuffix("List") or None
        for item in value["items"]:
            add(collector, line, item, inner)
    elif isinstance(value, dict) and value.get("items", 0) is None:
        return  # an empty list
    elif log_entries.is_entry(value) and "kind" not in value:
        log_entries.add(collector, line, value)
    else:
        collector.records += 1
        _object(collector, line, value, kind)


def _object(collector: Collector, line: int, value, kind: str | None) -> None:
    if not isinstance(value, dict):
        collector.reject(line, f"not a Kubernetes object but {type(value).__name__}", str(value))
        return
    kind = value.get("kind") or kind
    if kind == "Event" or (kind is None and k8s_events.is_event(value)):
        event = k8s_events.row(value) if k8s_events.is_event(value) else None
        if event is None:
            collector.reject(line, "an event without an object or without a time", _named(value))
        else:
            collector.add("events", line, event)
    elif kind == "Pod" or (kind is None and k8s_pods.is_pod(value)):
        if k8s_pods.is_pod(value):
            collector.add("pods", line, k8s_pods.row(value))
        else:
            collector.reject(line, "a pod without metadata or containers", _named(value))
    elif kind is None:
        collector.reject(line, "no kind: not a Kubernetes object", ", ".join(map(str, list(value)[:8])))


def _named(value: dict) -> str:
    meta = value.get("metadata")
    return str(meta.get("name", "")) if isinstance(meta, dict) else ""
