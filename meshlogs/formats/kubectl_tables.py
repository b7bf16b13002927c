"""Tables of `kubectl get events`: default, wide, of all namespaces, old layouts, custom columns.

Ages are relative to when the command ran, which nothing in a plain table tells: its events have no times. A table
with the events' names (`-o wide`, as `istioctl bug-report` writes it) tells more: client-go ends a name in the
nanosecond of the first occurrence, and that and FIRST SEEN together say when the command ran, so that LAST SEEN is
a time, too. All ages of a table are against one clock, that of the API server.
"""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from meshlogs import times
from meshlogs.formats.k8s_events import container_of, event_times, named_time
from meshlogs.formats.printed import NOTHING, Age, Layout, age_of, capture, layout_of, made_at, repeated
from meshlogs.formats.tables import Shard, Tables, integer, moment

TITLE = "Tables of `kubectl get events`, default, `-o wide`, `-A`, sorted, or with `custom-columns`"
LOSES = "all times, which are ages there; `-o wide` keeps them, for it has the events' names; uids, the cluster's name"
EXAMPLE = """\
NAMESPACE   LAST SEEN   TYPE     REASON    OBJECT                  SUBOBJECT              SOURCE            \
MESSAGE                 FIRST SEEN   COUNT   NAME
shop        7m17s       Normal   Started   pod/web-67d56cdd-g7fvb  spec.containers{web}   kubelet, node-1   \
Started container web   7m17s        1       web-67d56cdd-g7fvb.16015d6f18edff81
"""

# Letters of a heading -> what stands under it; the spellings of custom columns are their writer's.
HEADINGS = {
    "NAMESPACE": "namespace",
    "NS": "namespace",
    "LASTSEEN": "last",
    "LAST": "last",
    "LASTTIMESTAMP": "last",
    "TIMESTAMP": "last",
    "TIME": "last",
    "AGE": "last",
    "FIRSTSEEN": "first",
    "FIRST": "first",
    "FIRSTTIMESTAMP": "first",
    "EVENTTIME": "event_time",
    "COUNT": "count",
    "NAME": "name",
    "EVENT": "name",
    "KIND": "kind",
    "OBJECT": "object",
    "POD": "object",
    "OBJECTNAME": "object",
    "INVOLVEDOBJECT": "object",
    "INVOLVEDOBJECTNAME": "object",
    "SUBOBJECT": "path",
    "SUBOBJECTPATH": "path",
    "FIELDPATH": "path",
    "TYPE": "type",
    "REASON": "reason",
    "SOURCE": "source",
    "FROM": "source",
    "COMPONENT": "source",
    "HOST": "host",
    "NODE": "host",
    "MESSAGE": "message",
    "NOTE": "message",
}
# The API server's short and lower-case words -> kinds that matter here.
KINDS = {"pod": "Pod", "node": "Node", "replicaset": "ReplicaSet", "deployment": "Deployment", "job": "Job"}

# kubectl asks for so many events at once; each further answer has a later clock.
AT_ONCE, PATIENCE = 500, 2 * times.SECOND
# Kubernetes is no older than this, and a name that ends in another number is no time.
_SINCE, _UNTIL = 1_400_000_000 * times.SECOND, 4_102_444_800 * times.SECOND
_LOOK = 20
_NONE_FOUND = re.compile(r"No resources found\b.*")
_ASSIGNED = re.compile(r"Successfully assigned ([a-z0-9-]+)/(\S+) to ")
_TOLD = re.compile(
    r"(?:Created container:?|Started container|Stopping container) ([a-z0-9-]+)$"
    r"|Killing container with id \w+://(?![0-9a-f]{12})([a-z0-9-]+)(?::| for reason)"
    r"|Container ([a-z0-9-]+) (?:failed|definition)|restarting failed container ([a-z0-9-]+) in pod"
)
_PATHED = re.compile(r"(spec\.\w+\{[^{}]*\}): (.*)", re.DOTALL)


class Row(NamedTuple):
    """One row of a table: where it stood, and its cells by our names for their headings."""

    line: int
    cells: dict[str, str]


def sniff(head: bytes, _name: str) -> bool:
    """Whether one of these first lines has the headings of a table of events."""
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()]
    return any(_headings(line) for line in lines[:_LOOK]) or bool(len(lines) == 1 and _NONE_FOUND.fullmatch(lines[0]))


def read(file: BinaryIO, source: str) -> Shard:
    """The events of the tables in one file, times null where it does not tell them; other lines are rejects.

    A table without namespaces is of one, which the scheduler's messages in it name.
    """
    tables = Tables(source)
    for rows in _tables(tables, file):
        made = made_at(known for row in rows if (known := _known(row)))
        slack = PATIENCE * (len(rows) // AT_ONCE) + times.SECOND
        namespace = _one_namespace(rows)
        for row in rows:
            tables.event(event_row(row.cells, _times(row, made, slack), namespace) | {"line": row.line})
    return tables.shard("kubectl_tables")


def event_row(cells: dict[str, str], when: dict, namespace: str | None) -> dict:
    """A row of `schema.EVENTS` (origin left out) of the cells of one row of a table."""
    kind, name = _about(cells)
    path, message = cells.get("path"), cells.get("message") or None
    pathed = _PATHED.fullmatch(message) if message else None
    if pathed:  # kubectl describe writes the path so since 1.35
        path, message = path or pathed[1], pathed[2]
    component, _, host = (cells.get("source") or "").partition(", ")
    container, container_kind = container_of(path)
    if container is None and not path and kind == "Pod":
        container = told_container(message)
    return when | {
        "count": integer(cells.get("count")),
        "reason": cells.get("reason"),
        "type": cells.get("type"),
        "message": message,
        "kind": kind,
        "container": container,
        "container_kind": container_kind,
        "namespace": cells.get("namespace") or namespace,
        "pod": name if kind == "Pod" else None,
        "node": cells.get("host") or host or None,
        "component": component or None,
        "event_name": cells["name"] if named_time(cells.get("name")) else None,
    }


def told_container(message: str | None) -> str | None:
    """The container that a kubelet's message names, for tables that have no path of it.

    >>> told_container("Created container: web"), told_container("Container created")
    ('web', None)
    """
    match = _TOLD.match(message) or _TOLD.search(message) if message else None
    return next(filter(None, match.groups()), None) if match else None


def ours_of(names: Iterable[str]) -> dict[str, str]:
    """Heading -> our name for it, of the headings that we know."""
    return {name: HEADINGS[key] for name in names if (key := re.sub("[^A-Z]", "", name.upper())) in HEADINGS}


def row_cells(layout: Layout, ours: dict[str, str], text: str) -> dict[str, str] | None:
    """The cells of a row that say something, None if the line is no row."""
    found = layout.cells(text)
    if found is None:
        return None
    cells = {ours[name]: cell for name, cell in found.items() if name in ours and cell not in NOTHING}
    for name in ("last", "first"):
        written = next((cell for heading, cell in found.items() if ours.get(heading) == name), "")
        if written not in NOTHING and _begins_aged(written) is False:
            return None
    if "count" in cells and integer(cells["count"]) is None or not {"reason", "message"} & set(cells):
        return None
    cells["last"], count, first = repeated(cells["last"]) if "last" in cells else ("", None, "")
    if count is not None:
        cells |= {"count": str(count), "first": first}
    return cells


def _headings(line: str) -> dict[str, str] | None:
    """Heading -> our name for it, if this line is the headings of a table of events."""
    if "REASON" not in (shouted := line.upper()) and "MESSAGE" not in shouted:
        return None
    names = layout_of(line.rstrip()).names
    ours = ours_of(names)
    found = set(ours.values())
    enough = {"reason", "message"} <= found or len(found & {"reason", "message"}) and {"last", "object"} & found
    if line != shouted:  # only custom columns may be written so; `kubectl describe` names no object in its table
        enough = (
            {"reason", "message"} <= found and {"last", "first", "event_time"} & found and {"object", "name"} & found
        )
    return ours if enough and len(found) == len(ours) else None


def _tables(tables: Tables, file: BinaryIO) -> Iterator[list[Row]]:
    """The rows of each table of a file; lines that belong to none become rejects."""
    layout, ours, rows = None, {}, []
    for number, data in enumerate(file, 1):
        text = data.decode("utf-8", "replace").rstrip()
        if not text or _NONE_FOUND.fullmatch(text):
            continue
        headings = _headings(text)
        if headings:
            if layout is not None:
                yield rows
            layout, ours, rows = layout_of(text), headings, []
        elif layout is not None and (cells := row_cells(layout, ours, text)):
            tables.records += 1
            rows.append(Row(number, cells))
        elif rows and ours.get(layout.names[-1]) == "message" and not _begins_aged(text):
            # Old versions print a message of several lines as it is.
            cells = rows[-1].cells
            cells["message"] = f"{cells.get('message', '')}\n{text}"
        else:
            tables.records += 1
            tables.reject(number, "not a row of a table of events", text)
    if layout is not None:
        yield rows


def _begins_aged(text: str) -> bool:
    """Whether a text begins with an age or a time."""
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    return age_of(word) is not None or moment(word) is not None or moment(text) is not None


def _about(cells: dict[str, str]) -> tuple[str | None, str | None]:
    """Kind and name of the object that an event is about."""
    kind, slash, name = (cells.get("object") or "").partition("/")
    if not slash:
        kind, name = cells.get("kind") or "", kind
    if not name and cells.get("name"):  # before 1.13 the table had no object, but the event's name begins with it
        name = cells["name"].rpartition(".")[0] if named_time(cells["name"]) else cells["name"]
    if not kind and cells.get("path", "").startswith("spec."):
        kind = "pod"
    return KINDS.get(kind.lower(), kind) or None, name or None


def _known(row: Row) -> tuple[int, Age] | None:
    """The nanosecond of an event's name and the age of its first occurrence."""
    name, age = named_time(row.cells.get("name")), age_of(row.cells.get("first", ""))
    return (name, age) if name is not None and _SINCE <= name < _UNTIL and age is not None else None


def _times(row: Row, made: tuple[int, int] | None, slack: int) -> dict:
    """The times of a row: those that it states, else those that follow from its name and ages."""
    cells = row.cells
    if any(moment(cells.get(key)) is not None for key in ("last", "first", "event_time")):
        core = {
            "metadata": {"name": cells.get("name")},
            "lastTimestamp": cells.get("last"),
            "firstTimestamp": cells.get("first"),
            "eventTime": cells.get("event_time"),
            "count": cells.get("count"),
        }
        return event_times(core)
    if made is None:
        return {}
    now, name = (made[0] - slack, made[1] + slack), None
    if known := _known(row):
        own = capture(*known)
        now, name = _overlap(now, own) or now, known[0] if _overlap(now, own) else None
    first = (name, name) if name is not None else _dated(now, cells.get("first"))
    if (integer(cells.get("count")) or 0) == 1 and cells.get("last") == cells.get("first"):
        last, source = first, "name" if name is not None else "age"
    else:
        last, source = _dated(now, cells.get("last")), "age"
        if None not in (last[0], first[0]):
            last = max(last[0], first[0]), last[1]
            if last[0] > last[1]:  # the last before the first: the row is damaged
                return {}
    return _bounds("time", *last) | {"time_source": source if last[0] is not None else None} | _bounds("first", *first)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int] | None:
    both = max(one[0], other[0]), min(one[1], other[1])
    return both if both[0] <= both[1] else None


def _dated(now: tuple[int, int], written: str | None) -> tuple[int | None, int | None]:
    """Bounds of a time, kept to its second, that was of this age now."""
    age = age_of(written or "")
    return (now[0] - age.below, now[1] - age.least + times.SECOND - 1) if age else (None, None)


def _bounds(name: str, lower: int | None, upper: int | None) -> dict:
    return {f"{name}_lower": lower, f"{name}_upper": upper}


def _one_namespace(rows: list[Row]) -> str | None:
    """The namespace of a table that has no column of it, where its messages name one."""
    told = {
        match[1]
        for row in rows
        if (match := _ASSIGNED.match(row.cells.get("message", ""))) and match[2] == _about(row.cells)[1]
    }
    return told.pop() if len(told) == 1 else None
