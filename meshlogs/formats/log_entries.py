"""Cloud Logging entries as JSON: sink files, `gcloud logging read --format=json`, downloads, REST pages."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from meshlogs.formats import entry, envelopes, splitter
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

_BEGIN = re.compile(rb"\s*[\[{]")
_EMPTY = re.compile(rb"\s*\[\s*\]\s*")
# An object of Kubernetes begins with other keys than an entry, of which an event's payload also has some.
_KUBERNETES = re.compile(rb'\s*\{\s*"(?:apiVersion|kind|items|metadata|spec|status|involvedObject|regarding)"\s*:')
_OURS = re.compile(rb'(?<!\\)"(?:logName|insertId|receiveTimestamp|entries|nextPageToken)"\s*:')
_PAGE = re.compile(rb'\s*\{\s*"(?:entries|nextPageToken)"\s*:')
_LOOK = 64  # lines that tell lines from documents


def sniff(head: bytes, _name: str) -> bool:
    """Whether these first bytes look like LogEntry JSON in any wrapping."""
    if _EMPTY.fullmatch(head):
        return True
    return bool(_BEGIN.match(head) and not _KUBERNETES.match(head) and _OURS.search(head))


def read(file: BinaryIO, source: str) -> Shard:
    """Log entries, and the events and pods inside them, of one file; lines are read one after another."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    first = list(islice(file, _LOOK))
    steps = _read_document(tables, b"".join(first), file) if is_document(first) else _read_lines(tables, first, file)
    return tables.chunks("log_entries", steps)


def is_document(lines: list[bytes]) -> bool:
    """Whether values span these first lines: an array, or indented objects, of which no line is a value by itself."""
    lines = lines[:_LOOK]
    filled = [line.rstrip() for line in lines if line.strip()]
    if not filled or filled[0].lstrip()[:1] == b"[":
        return bool(filled)
    if filled[0][-1:] not in (b"{", b"[", b","):
        return False
    return not any(line[:1] == b"{" and line[-1:] == b"}" for line in filled)


def _read_lines(tables: Tables, first: list[bytes], file: BinaryIO) -> Iterator[None]:
    number = 0
    for lines in (first, file):
        for data in lines:
            number += 1
            if not data.isspace():
                add_text(tables, data, number)
                yield


def _read_document(tables: Tables, first: bytes, file: BinaryIO) -> Iterator[None]:
    for found in splitter.records_of(first, file):
        _add_found(tables, found, 1)
        yield


def _add_page(tables: Tables, data: bytes, begins: int) -> None:
    """Add the entries of a page that begins on this line."""
    for found in envelopes.records(data):
        _add_found(tables, found, begins)


def _add_found(tables: Tables, found: envelopes.Record | envelopes.Damage, begins: int) -> None:
    line = begins + found.line - 1
    if isinstance(found, envelopes.Damage):
        tables.records += 1
        tables.reject(line, found.reason, found.data)
    elif _PAGE.match(found.data):
        tables.records += 1
        tables.reject(line, "a page of entries inside another", found.data)
    else:
        add_text(tables, found.data, line)


def add_text(tables: Tables, data: bytes, line: int | None) -> entry.Entry | None:
    """Add what a text holds: an entry, which is given back, or a page of entries, several of them, or rejects."""
    data = data.rstrip(b"\r\n")
    try:
        found = entry.decode(data)
        if not found.entries and not found.nextPageToken:
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
            tables.records += 1
            tables.reject(line, reason, text)
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
    """Add a decoded entry, or a reject with `text` as its excerpt."""
    tables.records += 1
    if not isinstance(value, dict):
        tables.reject(line, "not a log entry: not an object", text)
        return
    try:
        entry.add(tables, entry.loosely(value), line, text)
    except RecursionError:
        tables.reject(line, "nested too deeply", text)
