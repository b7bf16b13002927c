"""Kubernetes events and pods as JSON: `kubectl get events|pods -o json`, API lists, single objects."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from meshlogs.formats import entry, envelopes, splitter
from meshlogs.formats.k8s_events import event_row, is_event
from meshlogs.formats.k8s_pods import is_pod, pod_row
from meshlogs.formats.tables import Shard, Tables, compact, excerpt, get, joined, tidy

TITLE = (
    "Kubernetes events and pods as JSON: `kubectl get events,pods -o json`, API lists (`v1`, "
    "`events.k8s.io/v1`), single objects"
)
LOSES = (
    "the cluster's name; times to the second, but for events that client-go named; of repeated events "
    "all but the first and last"
)
EXAMPLE = (
    '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Event","reason":"Started",'
    '"involvedObject":{"kind":"Pod","name":"web-67d56cdd-g7fvb","fieldPath":"spec.containers{web}"},'
    '"firstTimestamp":"2020-03-31T10:41:15Z","lastTimestamp":"2020-03-31T10:41:15Z","count":1}]}'
)

_OBJECT = re.compile(rb'\s*\{\s*"')
_OURS = re.compile(rb'(?<!\\)"(?:apiVersion|kind)"\s*:\s*"')
_PARTS = re.compile(rb'(?<!\\)"(?:items|metadata|involvedObject|regarding|spec)"\s*:')
_STRICT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def sniff(head: bytes, _name: str) -> bool:
    """Whether these first bytes look like a Kubernetes object or list in JSON."""
    return bool(_OBJECT.match(head) and _OURS.search(head) and _PARTS.search(head))


def read(file: BinaryIO, source: str) -> Shard:
    """Events and pods of one file; objects of other kinds count as records and are otherwise ignored."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    return tables.chunks("k8s_objects", _steps(tables, file))


def _steps(tables: Tables, file: BinaryIO) -> Iterator[None]:
    for found in splitter.records_of(b"", file):
        add_found(tables, found)
        yield


def item_kind(kind) -> str | None:
    """The kind of the items of a list of this kind, which the API leaves out of them; None for a mixed list.

    >>> item_kind("PodList"), item_kind("List")
    ('Pod', None)
    """
    return kind.removesuffix("List") or None if isinstance(kind, str) and kind.endswith("List") else None


def add_found(tables: Tables, found: envelopes.Record | envelopes.Damage, before: int | None = 0) -> None:
    """Add what was found in a document that so many lines stand before."""
    damaged = isinstance(found, envelopes.Damage)
    value, reason = (None, found.reason) if damaged else _decoded(found.data)
    line = found.line + (before or 0)
    if reason is None:
        add(tables, value, line, item_kind(found.kind))
    else:
        tables.records += 1
        tables.reject(line, reason, found.data, is_object=True)


def _decoded(data: bytes) -> tuple[object, str | None]:
    """The value of a JSON text, or why there is none."""
    try:
        return msgspec.json.decode(data), None
    except _STRICT:
        pass  # try again without strictness
    try:
        return tidy(envelopes.parse(data.decode("utf-8", "replace"))), None
    except RecursionError:
        return None, "nested too deeply"
    except ValueError as error:
        return None, f"not JSON: {excerpt(str(error), 80)}"


def add(tables: Tables, value, line: int | None, kind: str | None = None) -> None:
    """Add a decoded object: event, pod, list of them, or log entry; other kinds only count.

    `kind` is that of the items of the list it stood in. What is no object is a reject.
    """
    if isinstance(value, dict) and kind and "kind" not in value:
        value = {**value, "kind": kind}
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        for item in value["items"]:
            add(tables, item, line, item_kind(value.get("kind")))
        return
    tables.records += 1
    if is_event(value):
        tables.event(event_row(value) | {"line": line})
    elif is_pod(value) and isinstance(get(value, "metadata", "name"), str):
        tables.pod(pod_row(value) | {"line": line})
    elif isinstance(value, dict) and entry.is_entry(value):
        entry.add(tables, entry.loosely(value), line, compact(value))
    elif not isinstance(value, dict) or value.get("kind") in ("Event", "Pod"):
        tables.reject(line, "not a Kubernetes object with what its kind needs", _shown(value))
    elif not isinstance(value.get("kind"), str) or "apiVersion" not in value and "metadata" not in value:
        tables.reject(line, "no kind of Kubernetes object, no log entry", _shown(value))


def _shown(value) -> str:
    """The keys of an object, for a reject; values may be secrets."""
    return (
        "{" + ", ".join(map(str, value)) + "}" if isinstance(value, dict) else excerpt(compact(value), is_object=True)
    )
