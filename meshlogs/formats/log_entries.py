"""Cloud Logging entries as JSON: sink files, `gcloud logging read --format=json`, downloads, REST pages."""

import re
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from meshlogs.formats import entry, envelopes, lines, splitter
from meshlogs.formats.tables import Shard, Tables, joined

TITLE = (
    "Cloud Logging entries as JSON: files of a Cloud Storage sink, `gcloud logging read --format=json`, "
    "REST pages, Logs Explorer downloads"
)
EXAMPLE = (
    '{"insertId":"1a","logName":"projects/p/logs/stderr","resource":{"type":"k8s_container","labels":'
    '{"pod_name":"web-67d56cdd-g7fvb","container_name":"web"}},"textPayload":"dial tcp 10.0.0.9:6379: '
    'connect: connection refused","timestamp":"2020-03-31T10:41:15.552128897Z"}'
)

_EMPTY = re.compile(rb"\s*\[\s*\]\s*")
# An object of Kubernetes begins with other keys than an entry, of which an event's payload also has some.
_KUBERNETES = re.compile(
    rb'[\s\x1e]*\{\s*"(?:apiVersion|kind|items|metadata|spec|status|involvedObject|regarding)"\s*:'
)
_OURS = re.compile(rb'(?<!\\)"(?:logName|insertId|receiveTimestamp|entries|nextPageToken)"\s*:')
# What `gcloud logging read --format="json(…)"` leaves of entries: a time, and a payload or a resource.
_TIME = re.compile(rb'(?<!\\)"timestamp"\s*:\s*"\d{4}-\d\d-\d\dT')
_CONTENT = re.compile(
    rb'(?<!\\)"(?:(?:text|json|proto)Payload"\s*:'
    rb'|resource"\s*:\s*\{\s*"(?:labels"\s*:\s*\{|type"\s*:\s*"(?:k8s_|gke_|gce_|container")))'
)
_PAYLOAD_FIRST = re.compile(rb'[\s\[\x1e]*\{\s*"(?:text|json|proto)Payload"\s*:')
# Texts, too, have lines that begin as objects do.
_SURELY_OURS = re.compile(rb'(?<!\\)"logName"\s*:\s*"[^"]*/logs/')
# A message of Pub/Sub among entries.
_MESSAGE = re.compile(rb'"data"\s*:\s*"')
_PAGE = re.compile(rb'\s*\{\s*"(?:entries|nextPageToken)"\s*:')


def sniff(head: bytes, _name: str) -> bool:
    """Whether these first bytes look like LogEntry JSON in any wrapping."""
    if _EMPTY.fullmatch(head):
        return True
    noise = lines.noise_in(head)
    if noise is None or _KUBERNETES.match(head):
        return False
    head = head[len(noise) :]
    if (_SURELY_OURS if noise else _OURS).search(head) or _PAYLOAD_FIRST.match(head):
        return True
    return bool(_TIME.search(head) and _CONTENT.search(head))


def read(file: BinaryIO, source: str) -> Shard:
    """Log entries, and the events and pods inside them, of one file; lines are read one after another."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    head = lines.head_of(file)
    steps = _read_document if is_document(head) else _read_lines
    return tables.chunks("log_entries", steps(tables, head, file))


def is_document(head: bytes) -> bool:
    """Whether values span these first lines: an array, or indented objects, of which no line is a value by itself.

    What stands before the first value does not matter, unless it is an array's.
    """
    noise = lines.noise_in(head) or b""
    if lines.is_cut_array(noise):
        return True
    found = head[len(noise) :].strip(b"\x1e \t\r\n").split(b"\n", lines.LOOK)[: lines.LOOK]
    if found[0][:1] == b"[":
        return True
    if len(found) == 1 or found[0].rstrip()[-1:] not in (b"{", b"[", b","):
        return False
    return not any(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in found)


def _read_lines(tables: Tables, head: bytes, file: BinaryIO) -> Iterator[None]:
    for number, data in enumerate(lines.lines_of(head, file), 1):
        if isinstance(data, lines.Overlong):
            refuse(tables, number, data.reason, data)
        elif not data.isspace():
            add_text(tables, data, number)
        yield


def _read_document(tables: Tables, head: bytes, file: BinaryIO) -> Iterator[None]:
    head = lines.without_noise(head, partial(refuse, tables))
    for found in splitter.records_of(head, file):
        _add_found(tables, found, 1)
        yield


def _add_page(tables: Tables, data: bytes, begins: int) -> None:
    """Add the entries of a page that begins on this line."""
    for found in envelopes.records(data):
        _add_found(tables, found, begins)


def _add_found(tables: Tables, found: envelopes.Record | envelopes.Damage, begins: int) -> None:
    line = begins + found.line - 1
    if isinstance(found, envelopes.Damage):
        refuse(tables, line, found.reason, found.data)
    elif _PAGE.match(found.data):
        refuse(tables, line, "a page of entries inside another", found.data)
    else:
        add_text(tables, found.data, line)


def refuse(tables: Tables, line: int | None, reason: str, data: str | bytes) -> None:
    """Add a record that cannot be read."""
    tables.records += 1
    tables.reject(line, reason, data)


def add_text(tables: Tables, data: bytes, line: int | None) -> entry.Entry | None:
    """Add what a text holds: an entry, which is given back, or a page of entries, several of them, or rejects.

    What Pub/Sub wraps entries in, and the sign that may stand before each (RFC 7464), are taken off.
    """
    data = data.rstrip(b"\r\n").lstrip(b"\x1e")
    try:
        found = entry.decode(data)
        is_message = found.timestamp is None and _MESSAGE.search(data)
        if not found.entries and not found.nextPageToken and not is_message:
            entry.add(tables, found, line, data)
            tables.records += 1
            return found
    except entry.WRONG:
        pass  # the careful road tells what is wrong, if anything is
    if _PAGE.match(data):
        _add_page(tables, data, line or 1)
        return None
    for text, reason in envelopes.values(data.decode("utf-8", "replace")):
        if reason is not None:
            refuse(tables, line, reason, text)
            continue
        for item in _entries_in(envelopes.parse(text)):
            add_value(tables, item, line, text)
    return None


def _entries_in(value) -> Iterator:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict) and "logName" not in value and ("entries" in value or "nextPageToken" in value):
        yield from value["entries"] if isinstance(value.get("entries"), list) else ()
    else:
        yield value


def entry_in(data: bytes) -> entry.Entry | None:
    """The one entry that a text is, if nothing is wrong with it."""
    try:
        return entry.decode(data)
    except entry.WRONG:
        return None


def add_value(tables: Tables, value, line: int | None, text: str) -> None:
    """Add a decoded entry, or one in a message of Pub/Sub, or a reject with `text` as its excerpt."""
    from meshlogs.formats import pubsub  # which reads its entries here

    if pubsub.is_message(value):
        pubsub.add_message(tables, value, line)
        return
    tables.records += 1
    if not isinstance(value, dict):
        tables.reject(line, "not a log entry: not an object", text)
        return
    try:
        entry.add(tables, entry.loosely(value), line, text)
    except RecursionError:
        tables.reject(line, "nested too deeply", text)
