"""Log entries as `gcloud logging read` prints tables: `--format="table(…)"`, `value(…)` and `csv[no-heading](…)`.

A table has a header, and its columns are what `columns.COLUMNS` says. The other two name nothing: which column is
which is told from the cells of the first rows (`ROLES`), and what they do not tell is left open.
Nothing is quoted in the first two, so a message may contain tabs and line ends: a line that does not begin a row
belongs to the message before it. (googlecloudsdk `core/resource/table_printer.py`, `csv_printer.py`)
"""

import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import PurePath
from typing import BinaryIO, NamedTuple

from meshlogs.formats import columns, csv_entries, names
from meshlogs.formats.shapes import HIDDEN
from meshlogs.formats.tables import Shard, Tables, joined, stamp
from meshlogs.times import NAT

TITLE = 'Tables of `gcloud logging read`: `--format="table(…)"`, and without header `value(…)`, `csv[no-heading](…)`'
LOSES = (
    "columns that were not asked for; without header what cells do not tell of themselves (cluster, often namespace)"
)
EXAMPLE = (
    "2020-03-31T10:41:15.552128897Z\tweb-67d56cdd-g7fvb\tdial tcp 10.0.0.9:6379: connect: connection refused\n"
    "2020-03-31T10:41:16.001000000Z\tweb-67d56cdd-g7fvb\tretrying\n"
)

SEVERITIES = {"DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"}
_DNS = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?")
# What a column holds -> what all its cells look like; in this order. Pods, containers, namespaces are told apart below.
ROLES = {
    ("logName",): re.compile(r"(?:projects|organizations|folders|billingAccounts)/[^/\s]+/logs/\S+"),
    ("severity",): re.compile("|".join(sorted(SEVERITIES))),
    ("resource", "type"): re.compile(r"k8s_(?:container|pod|node|cluster)|container|gke_cluster"),
    ("resource", "labels", "location"): re.compile(r"[a-z]+-[a-z]+\d(?:-[a-z])?"),
}
POD, CONTAINER, NAMESPACE = (("resource", "labels", name) for name in ("pod_name", "container_name", "namespace_name"))
TEXT, TIME = ("textPayload",), ("timestamp",)

_LOOK = 200  # lines from which the columns are told
_SHARE = 0.5
_NUMBERED = 0.4  # how much `name-0` looks like a pod's name
_BOX = re.compile(r"[\s+|┌─┬┐├┼┤└┴┘│═╔╗╚╝╠╣╦╩╬║-]*")
_HEAD = re.compile(r"[A-Z][A-Z0-9_.]*(?: [A-Z0-9_.]+)*")
_BORDERS = "|│║"


class Layout(NamedTuple):
    """Which column is which: the place of each, and where rows are split."""

    paths: list[tuple[str, ...]]
    separator: str
    time: int
    text: int


def sniff(head: bytes, name: str) -> bool:
    """Whether this is a table of log entries: by its header, or by the cells of its first rows."""
    if head.lstrip()[:1] in (b"{", b"[", b"<"):
        return False
    lines = head.splitlines(keepends=True)
    if len(lines) > 1 and len(head) >= 1 << 16:
        lines.pop()  # cut off
    return _table_header(lines) is not None or _layout(lines[:_LOOK]) is not None or _is_bare_csv(lines, name)


def read(file: BinaryIO, source: str) -> Shard:
    """The rows of one file as log entries, with the events inside them."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    first = list(islice(file, _LOOK))
    lines = chain(first, file)
    layout = _layout(first)
    if _table_header(first) is not None:
        steps = _read_table(tables, lines)
    elif layout is not None:
        steps = _read_values(tables, layout, lines)
    else:
        steps = _refuse(tables, lines)
    return tables.chunks("value_tables", steps)


def _refuse(tables: Tables, lines: Iterator[bytes]) -> Iterator[None]:
    for text, line, _ in csv_entries.rows(lines):
        tables.records += 1
        shown = HIDDEN if "cloudaudit" in text else text
        tables.reject(line, "no header, and the cells do not tell which column is which: export it with one", shown)
        yield


def _is_bare_csv(lines: list[bytes], name: str) -> bool:
    """Whether a file is named a CSV, and its first row is one of times and other cells."""
    if ".csv" not in PurePath(name).suffixes:
        return False
    text = next(csv_entries.rows(lines), ("",))[0]
    fields = csv_entries.fields(text, ",")
    return len(fields) > 1 and any(_TIME.fullmatch(field) for field in fields)


# With a header


class _Column(NamedTuple):
    name: str
    path: tuple[str, ...]
    begin: int


def _table_header(lines: list[bytes]) -> list[_Column] | None:
    """The columns that the first filled line names, None if it names none of log entries."""
    for line in lines:
        text = _line(line)
        if text.strip() and not _BOX.fullmatch(text):
            return _columns(text)
    return None


def _columns(text: str) -> list[_Column] | None:
    if "\t" in text:
        return None
    bare = text.translate(dict.fromkeys(map(ord, _BORDERS), " "))
    found = []
    for match in _HEAD.finditer(bare):
        name = match[0].lower()
        border = max(text.rfind(letter, 0, match.start()) for letter in _BORDERS)
        # Between borders, headings stand in the middle.
        found.append(_Column(name, columns.path_of(name), match.start() if border < 0 else border + 1))
    whole = _HEAD.sub("", bare).strip() == ""
    wanted = whole and len(found) > 1 and columns.are_log_entries(column.path for column in found)
    return found if wanted and any(column.path == TIME for column in found) else None


def _read_table(tables: Tables, lines: Iterator[bytes]) -> Iterator[None]:
    header: list[_Column] = []
    borders: list[int] = []
    kept: tuple[list[str], int] | None = None
    for line, data in enumerate(lines, 1):
        text = _line(data)
        if text.strip() and _BOX.fullmatch(text):
            continue
        found = _columns(text) if text[:1].isupper() or text[:1] in _BORDERS else None
        if found or not header:
            if kept:
                _add(tables, header, *kept)
                kept = None
            if found:  # each page of a table has its own
                header, borders = found, [at for at, letter in enumerate(text) if letter in _BORDERS]
            elif text.strip():
                tables.records += 1
                tables.reject(line, "no header: which column is which cannot be told", text)
            yield
            continue
        cells = _cut(_unboxed(text, borders), header)
        if cells is not None:
            if kept:
                _add(tables, header, *kept)
            kept = (cells, line)
        elif kept and text.strip() and len(kept[0][-1]) < csv_entries.LARGEST:
            kept[0][-1] += "\n" + text
        elif text.strip():
            tables.records += 1
            tables.reject(line, "no row begins here: no time where the header has it", text)
        yield
    if kept:
        _add(tables, header, *kept)


def _unboxed(text: str, borders: list[int]) -> str:
    letters = list(text)
    for at in borders:
        if at < len(letters) and letters[at] in _BORDERS:
            letters[at] = " "
    return "".join(letters)


def _cut(text: str, header: list[_Column]) -> list[str] | None:
    """The cells of a line under these columns, None if no time stands where it should."""
    ends = [column.begin for column in header[1:]] + [None]
    cells = [text[column.begin : end].strip() for column, end in zip(header, ends, strict=True)]
    times = [cell for cell, column in zip(cells, header, strict=True) if column.path == TIME]
    return cells if _TIME.fullmatch(times[0]) else None


def _add(tables: Tables, header: list[_Column], cells: list[str], line: int) -> None:
    tables.records += 1
    found = zip(header, cells, strict=True)
    shown = HIDDEN if any("cloudaudit" in cell for cell in cells) else " ".join(cells)
    csv_entries.add_cells(tables, ((column.path, column.name, cell) for column, cell in found), line, shown)


# Without a header


def _read_values(tables: Tables, layout: Layout, lines: Iterator[bytes]) -> Iterator[None]:
    kept: tuple[list[str], int] | None = None
    for text, line in _texts(lines, layout.separator):
        cells = _cells(text, layout)
        if cells is not None:
            if kept:
                _add_values(tables, layout, *kept)
            kept = (cells, line)
        elif kept and len(kept[0][layout.text]) < csv_entries.LARGEST:
            kept[0][layout.text] += "\n" + text
        elif text.strip():
            tables.records += 1
            tables.reject(line, "no row begins here: no time where others have it", text)
        yield
    if kept:
        kept[0][layout.text] = kept[0][layout.text].rstrip("\n")
        _add_values(tables, layout, *kept)


def _texts(lines: Iterator[bytes], separator: str) -> Iterator[tuple[str, int]]:
    if separator == ",":
        yield from ((text, line) for text, line, _ in csv_entries.rows(lines))
    else:
        yield from ((_line(data), line) for line, data in enumerate(lines, 1))


def _cells(text: str, layout: Layout) -> list[str] | None:
    """The cells of a row, None where no row begins; a message with tabs is one cell."""
    cells, count = _split(text, layout.separator), len(layout.paths)
    if len(cells) < count:
        return None
    more = len(cells) - count
    at = layout.text
    cells[at : at + more + 1] = [layout.separator.join(cells[at : at + more + 1])]
    return cells if _TIME.fullmatch(cells[layout.time]) else None


def _split(text: str, separator: str) -> list[str]:
    if separator == ",":
        return [csv_entries.unquoted(raw) for raw in csv_entries.fields(text, separator)]
    return text.split(separator)


def _add_values(tables: Tables, layout: Layout, cells: list[str], line: int) -> None:
    tables.records += 1
    found: list[tuple] = []
    texts = []
    for path, cell in zip(layout.paths, cells, strict=True):
        if path == TEXT:
            texts += [cell] if cell else []
        elif path:
            found.append((path, "", cell))
    found.append((TEXT, "", "\t".join(texts)))
    shown = HIDDEN if any("cloudaudit" in cell for cell in cells) else " ".join(cells)
    csv_entries.add_cells(tables, found, line, shown)


def _layout(lines: list[bytes]) -> Layout | None:
    """Which column is which by the cells of these lines, None if they do not tell of log entries."""
    texts = [text for data in lines if (text := _line(data)).strip()]
    for separator in ("\t", ","):
        rows = [_split(text, separator) for text in texts if separator in text]
        found = _timed(rows)
        if found is None:
            continue
        time, count, rows = found
        if len(rows) < _SHARE * len(texts) / 10 or not any(_split(texts[0], separator)[time : time + 1]):
            continue
        layout = _told([row[:count] for row in rows], separator, time)
        if layout:
            return layout
    return None


def _timed(rows: list[list[str]]) -> tuple[int, int, list[list[str]]] | None:
    """The column of times, how many columns there are, and the rows that have a time there."""
    if not rows:
        return None
    found = [at for at, cell in enumerate(rows[0]) if _TIME.fullmatch(cell)]
    if not found:
        return None
    timed = [row for row in rows if len(row) > found[0] and _TIME.fullmatch(row[found[0]])]
    count = min(map(len, timed))
    return (found[0], count, timed) if count > 1 else None


def _told(rows: list[list[str]], separator: str, time: int) -> Layout | None:
    cells = [[row[at] for row in rows] for at in range(len(rows[0]))]
    paths: list[tuple[str, ...] | None] = [_role(column) for column in cells]
    paths[time] = TIME
    for at, column in enumerate(cells):
        if at != time and all(_TIME.fullmatch(cell) for cell in column):
            paths[at] = ("receiveTimestamp",)
            if stamp(column[0]) != NAT and stamp(column[0]) < stamp(cells[time][0]):
                paths[at], paths[time] = TIME, ("receiveTimestamp",)
    open_ = [at for at, path in enumerate(paths) if path is None and _all(cells[at], _DNS)]
    pod = _pod_column(open_, cells, _SHARE)
    told = {("logName",), ("resource", "type")} & set(paths)
    if pod is None and (told or _named_by_another(open_, cells)):
        pod = _pod_column(open_, cells, _NUMBERED / 2)
    if pod is not None:
        paths[pod] = POD
        _tell_places(paths, [at for at in open_ if at != pod], cells, pod)
    if pod is None and not told:
        return None
    texts = [at for at, path in enumerate(paths) if path is None and at not in open_]
    last = len(paths) - 1
    if not texts and paths[last] in (None, ()):
        texts = [last]
    if not texts:
        return None
    for at in texts:
        paths[at] = TEXT
    return Layout([path or () for path in paths], separator, paths.index(TIME), texts[-1])


def _role(column: list[str]) -> tuple[str, ...] | None:
    return next((path for path, pattern in ROLES.items() if _all(column, pattern)), None)


def _all(column: list[str], pattern: re.Pattern) -> bool:
    """Whether every cell that holds something is like this, and any is."""
    held = [cell for cell in column if cell]
    return bool(held) and all(pattern.fullmatch(cell) for cell in held)


def _named_by_another(places: list[int], cells: list[list[str]]) -> bool:
    """Whether the cells of one column begin with those of another, as pods' names do with their containers'."""
    rows = list(zip(*(cells[at] for at in places), strict=True))
    alike = sum(any(one.startswith(f"{other}-") for one in row for other in row if other) for row in rows)
    return bool(rows) and alike > _SHARE * len(rows)


def _pod_column(places: list[int], cells: list[list[str]], least: float) -> int | None:
    """The column of pods' names: the one whose cells are most like names that controllers make."""
    best, found = least, None
    for at in places:
        held = [cell for cell in cells[at] if cell]
        share = sum(_is_made(cell) for cell in held) / len(held)
        if share > best:
            best, found = share, at
    return found


def _is_made(name: str) -> float:
    owner = names.workload_of(name)
    if owner.revision:
        return 1.0
    if owner.controller == "StatefulSet":
        return _NUMBERED  # so are threads
    return 0.9 if owner.workload != name else 0.0


def _tell_places(paths: list, places: list[int], cells: list[list[str]], pod: int) -> None:
    """Tell the columns of containers and of namespaces apart, where that can be told."""
    for at in places:
        pairs = [(cell, name) for cell, name in zip(cells[at], cells[pod], strict=True) if cell]
        alike = sum(name.startswith(cell + "-") or cell == "istio-proxy" for cell, name in pairs)
        if alike > _SHARE * len(pairs) or "istio-proxy" in cells[at]:
            paths[at] = CONTAINER
            break
    rest = [at for at in places if paths[at] is None]
    if len(rest) == 1 and abs(rest[0] - pod) <= 1 + (CONTAINER in paths[min(rest[0], pod) : max(rest[0], pod)]):
        if rest[0] != len(paths) - 1:
            paths[rest[0]] = NAMESPACE


def _line(data: bytes) -> str:
    return data.decode("utf-8", "replace").rstrip("\r\n").strip("\0")
