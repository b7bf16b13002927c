"""Log entries in Pub/Sub messages: pulled with gcloud, pushed to an endpoint, or one message a line.

A sink to Pub/Sub puts one LogEntry, as JSON, into the `data` of each message, in base64; subscribers may have
compressed it. A message that holds something else is a reject. Messages may be delivered twice: entries are told
apart by their time and insert id, as everywhere. (cloud.google.com/logging/docs/export/pubsub)
"""

import base64
import binascii
import io
import json
import re
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from meshlogs.formats import entry, envelopes, log_entries, splitter, streams
from meshlogs.formats.tables import Shard, Tables, get, joined

TITLE = "Pub/Sub messages of a sink: `gcloud pubsub subscriptions pull --format=json`, push bodies, one a line"
LOSES = ""
EXAMPLE = (
    '[{"ackId":"a1","message":{"data":"'
    + base64.b64encode(log_entries.EXAMPLE.encode()).decode()
    + '","attributes":{"logging.googleapis.com/timestamp":"2020-03-31T10:41:15.552128897Z"},"messageId":"1",'
    '"publishTime":"2020-03-31T10:41:17.1Z"}}]\n'
)

# Where the data of a message is. A pull dump and a push body have the first two, the message itself the last.
MESSAGE = {"data", "message_id"}  # columns of messages that a subscription wrote to files, as Avro
DATA = (("message", "data"), ("receivedMessage", "message", "data"), ("data",))

_MESSAGE = re.compile(
    rb'\s*[\[{,\s]*"(?:ackId|ack_id|message|receivedMessages?|received_messages|subscription|deliveryAttempt|data|attributes'
    rb'|messageId|message_id|publishTime|publish_time|orderingKey)"\s*:'
)
# `{` in base64, or the begin of a gzip stream; else what only messages have beside their data.
_DATA = re.compile(rb'"data"\s*:\s*"(?:e[wy][A-Za-z0-9+/_-]|H4sI)')
_TELLING = re.compile(rb'"(?:messageId|message_id|ackId|publishTime)"\s*:')
_ENTRY = re.compile(rb'"(?:logName|insertId)"\s*:')
# The data alone, a line each: `--format="value(message.data)"`.
_BARE = re.compile(rb"\s*(?:e[wy]|H4sI)[A-Za-z0-9+/_-]{40,}=*\s*(?:\r?\n|\Z)")
_LIST = re.compile(rb'\s*\{\s*"received_?[Mm]essages"\s*:\s*(?=\[)')
_LARGEST = 1 << 24  # bytes of one entry; it has at most half a megabyte


def sniff(head: bytes, _name: str) -> bool:
    """Whether the first value is a message, or a list of them."""
    if _BARE.match(head):
        return True
    if not _MESSAGE.match(head) or _ENTRY.search(head):
        return False
    return bool(_DATA.search(head) or (_TELLING.search(head) and b'"data"' in head))


def read(file: BinaryIO, source: str) -> Shard:
    """The entries in the messages of one file, with the events and pods inside them."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    return tables.chunks("pubsub", _steps(tables, file))


def _steps(tables: Tables, file: BinaryIO) -> Iterator[None]:
    first = file.read(1 << 16)
    if _BARE.match(first):
        yield from _read_bare(tables, first, file)
        return
    listed = _LIST.match(first)
    first = first[listed.end() :] if listed else first  # a body of the API: its one list
    for found in splitter.records_of(first, file):
        if isinstance(found, envelopes.Damage):
            if listed and found.data.strip() in (b"}", b"]}"):
                continue
            _refuse(tables, found.line, found.reason)
        else:
            _add(tables, found.data, found.line)
        yield


def _read_bare(tables: Tables, first: bytes, file: BinaryIO) -> Iterator[None]:
    """The data of messages, one a line."""
    lines = io.BytesIO(first + file.readline())
    for line, data in enumerate(chain(lines, file), 1):
        if data.strip():
            add_message(tables, {"data": data.decode("ascii", "replace").strip()}, line)
            yield


def is_message(value: Any) -> bool:
    """Whether a decoded value is a message, and no log entry."""
    if not isinstance(value, dict) or entry.is_entry(value):
        return False
    return any(isinstance(get(value, *path), str) for path in DATA)


def _add(tables: Tables, data: bytes, line: int) -> None:
    """Add the entry in a message, or a reject."""
    try:
        message = json.loads(data, strict=False)
    except (ValueError, RecursionError):
        _refuse(tables, line, "not JSON")
        return
    if isinstance(message, dict) and entry.is_entry(message):  # one among messages
        log_entries.add_text(tables, data, line)
        return
    add_message(tables, message, line)


def add_message(tables: Tables, message: Any, line: int) -> None:
    """Add the entry in a decoded message, or a reject that shows nothing of what it holds."""
    found = (get(message, *path) for path in DATA)
    held = next((item for item in found if isinstance(item, str | bytes | dict) and item), None)
    if isinstance(held, dict):  # decoded already, as some subscribers print it
        log_entries.add_value(tables, held, line, "")
        return
    if held is None:
        _refuse(tables, line, "a message without data")
        return
    text = _inflated(held) if isinstance(held, bytes) else _decoded(held)
    if text is None or not text.lstrip().startswith(b"{"):
        _refuse(tables, line, "data is not base64" if text is None else "data is no log entry")
        return
    log_entries.add_text(tables, text, line)


def _refuse(tables: Tables, line: int, reason: str) -> None:
    tables.records += 1
    tables.reject(line, reason, "")


def _decoded(text: str) -> bytes | None:
    """The bytes in base64 of either alphabet, inflated if they are compressed; None if it is none."""
    if text.lstrip().startswith("{"):
        return text.encode("utf-8", "replace")
    text = re.sub(r"\s", "", text).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return _inflated(data)


def _inflated(data: bytes) -> bytes:
    if not data.startswith(streams.GZIP):
        return data
    try:
        return zlib.decompressobj(wbits=31).decompress(data, _LARGEST)
    except zlib.error:
        return b""
