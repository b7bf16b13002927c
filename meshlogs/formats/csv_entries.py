"""Log entries as CSV: `gcloud logging read --format="csv(…)"`, the Logs Explorer, BigQuery and Log Analytics.

Any columns in any order, quoted cells of several lines, files joined end to end with their headers. What a column
is called, and where it belongs, is `columns.COLUMNS`; cells hold texts, JSON, or an object as gcloud writes one
(googlecloudsdk `core/resource/csv_printer.py`: `key=value;"key=value, with a comma"`).
The Logs Explorer puts an apostrophe before cells that a spreadsheet might take for formulas: it is removed.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

from meshlogs.formats import columns, entry
from meshlogs.formats.columns import COLUMNS as COLUMNS
from meshlogs.formats.shapes import HIDDEN
from meshlogs.formats.tables import Shard, Tables, joined

TITLE = 'Log entries as CSV: `gcloud logging read --format="csv(…)"`, Logs Explorer, BigQuery, Log Analytics'
LOSES = "whatever columns were not asked for; nanoseconds where a warehouse wrote it (microseconds are kept)"
EXAMPLE = """timestamp,pod_name,container_name,text_payload
2020-03-31T10:41:15.552128897Z,web-67d56cdd-g7fvb,web,dial tcp 10.0.0.9:6379: connect: connection refused
"""

SEPARATORS = (",", ";", "\t", "|")
LARGEST = 1 << 21  # bytes of one row; a log entry has at most half a megabyte

_GUARDED = re.compile(r'[-+=@,"\t\r\n]')
_FORMULA = re.compile(r"'[-=+@\t\r]")
# A quote opens where a cell, or an item of gcloud's objects, begins; elsewhere it is a letter.
_PIECE = r'(?:(?:"[^"]*+")++(?!")[^{stop}]*+|(?!")[^{stop}]*+)'


def _cells_of(separator: str) -> re.Pattern:
    end = re.escape(separator)
    piece = _PIECE.format(stop=end if separator == ";" else f"{end};")
    items = "" if separator == ";" else f"(?:;{piece})*+"
    return re.compile(rf"({piece}{items})({end}|\Z)")


_FIELDS = {separator: _cells_of(separator) for separator in SEPARATORS}
_ITEM = re.compile(rf"({_PIECE.format(stop=';')})(;|\Z)")
_NEXT_LABEL = re.compile(r";(?=[\w./@-]+=)")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_NOT_CSV = (b"{", b"[", b"<")
_JSON = re.compile(r'"\s*:\s*["{\[\d]')  # of an object whose beginning was cut off


class Header:
    """The columns of a table: their names, where they belong, and how cells are written."""

    def __init__(self, separator: str, names: list[str], raw: str):
        self.separator, self.raw = separator, raw
        self.guarded = any(name.startswith("'") for name in names)
        self.names = [name[1:] if name.startswith("'") else name for name in (name.strip() for name in names)]
        self.paths = [columns.path_of(name) for name in self.names]
        # Only the Explorer writes whole paths.
        self.explorer = self.guarded or any("." in name for name in self.names)
        self.audit = any(path[:1] == ("protoPayload",) for path in self.paths)
        self.time = self.paths.index(("timestamp",)) if ("timestamp",) in self.paths else None


def sniff(head: bytes, _name: str) -> bool:
    """Whether the first filled line names columns of log entries."""
    return header_in(head) is not None


def header_in(head: bytes) -> Header | None:
    """The header that these bytes begin with, None if they begin otherwise."""
    head = head.lstrip(b"\r\n \0")
    if head.startswith(_NOT_CSV):
        return None
    text, _, _ = next(rows(head.splitlines(keepends=True)), ("", 0, None))
    return _header(text)


def read(file: BinaryIO, source: str) -> Shard:
    """The rows of one file as log entries, with the events and pods inside them."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    return tables.chunks("csv_entries", _steps(tables, file))


def _steps(tables: Tables, file: BinaryIO) -> Iterator[None]:
    header = None

    def whole(text: str) -> bool:
        return header is None or len(fields(text, header.separator)) == len(header.names)

    def closed(text: str) -> bool:
        return _is_closed(text, header.separator if header else None)

    for text, line, reason in rows(file, whole, closed):
        yield
        if header is None or _may_be_header(text, header):
            found = _header(text) if reason is None else None
            if found:
                header = found
                continue
        tables.records += 1
        if header is None:
            tables.reject(line, "no header: which column is which cannot be told", text)
        elif reason is not None:
            tables.reject(line, reason, _shown(text, header))
        else:
            _add(tables, header, text, line)


def _add(tables: Tables, header: Header, text: str, line: int) -> None:
    """Add a row: an entry, or a reject."""
    raw = fields(text, header.separator)
    if len(raw) > len(header.names) and not any(raw[len(header.names) :]):
        raw = raw[: len(header.names)]  # a spreadsheet fills up with empty cells
    if len(raw) > len(header.names) or len(raw) == 1 < len(header.names):
        found, wanted = len(raw), len(header.names)
        tables.reject(line, f"{found} cells where the header names {wanted} columns", _shown(text, header))
        return
    cells = [_cell(cell, path) for cell, path in zip(raw, header.paths, strict=False)]
    _unguard(cells, header)
    add_cells(tables, zip(header.paths, header.names, cells, strict=False), line, _shown(text, header))


def add_cells(tables: Tables, cells: Iterable[tuple], line: int | None, shown: str) -> None:
    """Add a row's entry (cells as `columns.entry_of` takes them), or a reject with this excerpt."""
    try:
        value = columns.entry_of(cells)
        if value.get("protoPayload"):
            shown = HIDDEN
        entry.add(tables, entry.loosely(value), line, shown)
    except RecursionError:
        tables.reject(line, "nested too deeply", shown)


def _shown(text: str, header: Header) -> str:
    """What a reject may show of a row: nothing of audit entries."""
    return HIDDEN if header.audit or "cloudaudit" in text else text


def rows(lines: Iterable[bytes], whole=None, closed=None) -> Iterator[tuple[str, int, str | None]]:
    """(text, number of its first line, reason or None) of each row that is not blank.

    A row ends where its quotes are `closed` (default: in pairs). Where that gives no row (`whole` says no, or there are
    too many bytes) its first line is damaged, and reading goes on with the second.
    """
    closed = closed or (lambda text: _is_closed(text, None))
    source, number = iter(lines), 1
    while (first := next(source, None)) is not None:
        kept, text = [first], _text(first)
        is_open, size = b'"' in first and not closed(text), len(first)
        while is_open and size <= LARGEST and (more := next(source, None)) is not None:
            kept.append(more)
            size += len(more)
            if more.count(b'"') % 2:  # else an open cell stays open
                text = _text(b"".join(kept))
                is_open = not closed(text)
        if is_open or (len(kept) > 1 and whole is not None and not whole(text)):
            is_open, source = True, chain(kept[1:], source)
            text, kept = _text(first), kept[:1]
        if text.strip():
            yield text, number, "a quote is not closed" if is_open else None
        number += len(kept)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").rstrip("\r\n").strip("\0")


def _header(text: str) -> Header | None:
    """The header that a row is, None if it is none: of the separators, the one that finds the most columns."""
    if _JSON.search(text):
        return None
    best = None
    for separator in SEPARATORS:
        if separator not in text:
            continue
        header = Header(separator, [unquoted(raw) for raw in fields(text, separator)], text)
        if columns.are_log_entries(header.paths) and not _is_filled(header):
            known = sum(bool(path) for path in header.paths)
            if best is None or known > sum(bool(path) for path in best.paths):
                best = header
    return best


def _is_filled(header: Header) -> bool:
    """Whether these are cells of a row that happen to be words of ours: a header has no time in it."""
    return any(re.match(r"'?\d{4}-\d\d-\d\d", name) for name in header.names)


def _may_be_header(text: str, header: Header) -> bool:
    if text == header.raw:
        return True
    if text[:1].isdigit():
        return False
    start = text[:64].lstrip("'\"").partition(header.separator)[0].strip("'\"")
    return bool(columns.path_of(start)) if len(start) < 64 else False


def fields(text: str, separator: str) -> list[str]:
    """The cells of a row, still in their quotes."""
    if '"' not in text:
        return text.split(separator)
    found, pattern, at = [], _FIELDS[separator], 0
    while match := pattern.match(text, at):
        found.append(match[1])
        at = match.end()
        if not match[2]:
            return found
    return [*found, text[at:]]  # a quote is not closed


def _is_closed(text: str, separator: str | None) -> bool:
    """Whether every quote that opens a cell is closed; where the separator is not known, whether they are in pairs."""
    if separator is None:
        return text.count('"') % 2 == 0
    pattern, at = _FIELDS[separator], 0
    while match := pattern.match(text, at):
        at = match.end()
        if not match[2]:
            return True
    return False


def _cell(raw: str, path: tuple[str, ...]) -> str | list[str]:
    """A cell's text; of an object as gcloud writes it, its items."""
    if path not in columns.OBJECTS or raw.lstrip('"')[:1] in ("{", "["):
        return unquoted(raw)
    if path[-1] == "labels":  # whose values hold no such sign
        return _NEXT_LABEL.split(unquoted(raw)) if "=" in raw else unquoted(raw)
    items = []
    for match in _ITEM.finditer(raw):
        items.append(unquoted(match[1]))
        if not match[2]:
            break
    return items if "=" in raw else unquoted(raw)


def unquoted(raw: str) -> str:
    """A cell's text without the quotes around it or its items."""
    if '"' not in raw:
        return raw
    if raw[0] != '"' and ';"' not in raw:
        return raw  # a letter of the text
    if raw[0] == '"' == raw[-1] and len(raw) > 1:
        return raw[1:-1].replace('""', '"')
    return _QUOTED.sub(lambda match: match[1].replace('""', '"'), raw)


def _unguard(cells: list, header: Header) -> None:
    """Take off the apostrophes that a row's cells were given, if its time has one or a cell would be a formula."""
    time = cells[header.time] if header.time is not None and header.time < len(cells) else ""
    guarded = time.startswith("'")
    if not (guarded or header.explorer):
        return
    for number, cell in enumerate(cells):
        text = cell[0] if isinstance(cell, list) and cell else cell
        if isinstance(text, str) and text.startswith("'"):
            if _FORMULA.match(text) or (guarded and _GUARDED.search(";".join(cell) if cell is not text else cell)):
                cells[number] = cell[1:] if cell is text else [text[1:], *cell[1:]]
