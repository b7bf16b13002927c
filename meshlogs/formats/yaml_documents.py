"""YAML documents: `kubectl get -o yaml`, captured streams of objects, `gcloud logging read` by default.

Times stay text, so nanoseconds are kept. Documents are cut apart before they are parsed, and the items of
a list, too: damage to one leaves the others.
"""

import re
from collections.abc import Iterator
from math import isfinite
from typing import BinaryIO, ClassVar

import yaml

from meshlogs.formats import k8s_objects
from meshlogs.formats.tables import Shard, Tables, joined, tidy

TITLE = "YAML of log entries, events and pods: `gcloud logging read`, `kubectl get -o yaml`"
LOSES = "for Kubernetes objects the same as in JSON"
EXAMPLE = """---
insertId: 1a
logName: projects/p/logs/stderr
resource:
  labels:
    pod_name: web-67d56cdd-g7fvb
  type: k8s_container
textPayload: 'dial tcp 10.0.0.9:6379: connect: connection refused'
timestamp: '2020-03-31T10:41:15.552128897Z'
"""

# Most nodes a document may have once its aliases are written out, and how deep it may be.
LARGEST, DEEPEST = 2_000_000, 200

_OBJECT = re.compile(rb"^(?:apiVersion|insertId|logName|involvedObject|regarding): *\S", re.MULTILINE)
# What `gcloud logging read --format="yaml(…)"` leaves of entries: a time, and a payload or a resource.
_TIME = re.compile(rb"^timestamp: *['\"]?\d{4}-\d\d-\d\dT", re.MULTILINE)
_CONTENT = re.compile(
    rb"^(?:(?:text|json|proto)Payload:|resource: *\r?\n +(?:labels: *\r?\n|type: *(?:k8s_|gke_|gce_|container\b)))",
    re.MULTILINE,
)
_LIST = re.compile(rb"^(?:items|metadata|involvedObject|regarding):", re.MULTILINE)
_KEY = re.compile(rb"(?:\s*(?:#[^\n]*|---[^\n]*|%[^\n]*)?\n)*[A-Za-z@$'\"][\w@$'\"]*:(?: |\r?\n|$)")
# The last may be cut off.
_BREAK = re.compile(rb"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)[^\n]*\n?|^--?\Z", re.MULTILINE)
_ITEMS = re.compile(rb"^items:[ \t]*\r?\n", re.MULTILINE)
_FIRST_ITEM = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n)*( *)- ")
_LIST_KIND = re.compile(rb"^kind: *(\w*List)\b", re.MULTILINE)
_FAR_RIGHT = re.compile(rf"^[ \t?:-]{{{DEEPEST}}}", re.MULTILINE)
_COMMENTS = re.compile(rb"(?:\s*#[^\n]*(?:\n|\Z)|\s+)*\Z")


class _Loader(yaml.CSafeLoader):
    """Safe, in C, and without times, octal numbers, yes and no: only JSON's own kinds of value."""

    yaml_implicit_resolvers: ClassVar[dict] = {}


for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"[-+]?[0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def sniff(head: bytes, _name: str) -> bool:
    """Whether these first bytes look like YAML of log entries or Kubernetes objects."""
    if not _KEY.match(head):
        return False
    if _OBJECT.search(head) and (_LIST.search(head) or b"logName:" in head):
        return True
    return bool(_TIME.search(head) and _CONTENT.search(head))


def read(file: BinaryIO, source: str) -> Shard:
    """Log entries, events and pods of one file; objects of other kinds count as records only."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size; the text itself is held."""
    tables = Tables(source)
    return tables.chunks("yaml", _steps(tables, file))


def _steps(tables: Tables, file: BinaryIO) -> Iterator[None]:
    for line, data, kind in _pieces(file.read()):
        value, reason = _value(data)
        if reason is not None:
            tables.records += 1
            tables.reject(line, reason, data, is_object=True)
        elif value is not None:
            k8s_objects.add(tables, value, line, kind)
        yield


def _pieces(data: bytes) -> Iterator[tuple[int, bytes, str | None]]:
    """(first line, text, kind of item) of each document, or of each item where a document is a list."""
    line, counted = 1, 0
    for start, piece, kind in _placed(data):
        line, counted = line + data.count(b"\n", counted, start), start
        yield line, piece, kind


def _placed(data: bytes) -> Iterator[tuple[int, bytes, str | None]]:
    """The same with where each begins instead of its line."""
    for start, end in _documents(data):
        document = data[start:end]
        if _COMMENTS.fullmatch(document):
            continue
        items = _ITEMS.search(document)
        first = _FIRST_ITEM.match(document, items.end()) if items else None
        if not first:
            yield start, document, None
            continue
        found = _LIST_KIND.search(document)
        kind = k8s_objects.item_kind(found[1].decode()) if found else None
        for begin, stop in _items(document, items.end(), first[1]):
            yield start + begin, document[begin:stop], kind


def _documents(data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    for found in _BREAK.finditer(data):
        yield at, found.start()
        at = found.end()
    yield at, len(data)


def _items(document: bytes, at: int, indent: bytes) -> Iterator[tuple[int, int]]:
    """Where each `- ` item of a block list starts and ends."""
    ends = re.compile(rb"^(?! |#|\r?$|" + indent + rb"- )", re.MULTILINE).search(document, at)
    end = ends.start() if ends else len(document)
    starts = [found.start() for found in re.compile(rb"^" + indent + rb"- ", re.MULTILINE).finditer(document, at, end)]
    yield from zip(starts, [*starts[1:], end], strict=True)


def _value(data: bytes) -> tuple[object, str | None]:
    """The one value of a piece, or why there is none. An item `- x` is unpacked."""
    text = _readable(data.decode("utf-8", "replace"))
    try:
        _refuse_depth(text)
        value = yaml.load(text, _Loader)
        if _size(value, {}, 0) > LARGEST:
            return None, "too large: aliases refer to aliases"
        value = _plain(tidy(value))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        return None, f"not YAML: {_problem(error)}"
    except RecursionError:
        return None, "nested too deeply"
    if isinstance(value, list) and len(value) == 1 and text.lstrip().startswith("-"):
        return value[0], None
    return value, None


def _problem(error: Exception) -> str:
    # A tag or an alias may be the begin of a password.
    told = str(getattr(error, "problem", None) or error).splitlines()[0]
    return re.sub(r"'[^']*'", "'…'", told)[:80]


def _readable(text: str) -> str:
    """The text without control characters, which YAML forbids."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]", "\ufffd", text)


def _refuse_depth(text: str) -> None:
    """Raise RecursionError for what is nested too deeply: the C composer would run out of stack and crash."""
    if text.count("[") + text.count("{") <= DEEPEST and not _FAR_RIGHT.search(text):
        return
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RecursionError


def _size(value, known: dict[int, int], depth: int) -> int:
    """How many nodes a value has when what it shares is counted each time it is used."""
    if depth > DEEPEST:
        raise RecursionError
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        children = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(child, known, depth + 1) for child in children)
    return known[id(value)]


def _plain(value):
    """The value with JSON's kinds only: tags of YAML may have made dates, sets or bytes of a text."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int) or isinstance(value, float) and isfinite(value):
        return value
    return str(value)
