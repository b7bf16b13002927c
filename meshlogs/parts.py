"""One part of an export: a file, or a stretch of a large one, read into tables or scanned for what matters."""

import json
import struct
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from meshlogs import formats, scan, schema
from meshlogs.errors import InputError

_LAYOUTS = {
    "log_entries": schema.LOG_ENTRIES,
    "events": schema.EVENTS,
    "pods": schema.PODS,
    "rejects": schema.REJECTS,
    "counts": schema.COVERAGE,
}
_LENGTH = struct.Struct("<Q")


class Task(NamedTuple):
    """What to read: a file, or the lines of it that begin in a range of bytes.

    `strict`: a file of no known form is an error, not a reject. `whole`: parse every line.
    """

    path: str
    source: str
    begin: int = 0
    end: int | None = None
    strict: bool = False
    whole: bool = False

    @property
    def size(self) -> int:
        """Bytes of the file that the task reads."""
        size = Path(self.path).stat().st_size
        return (size if self.end is None else min(self.end, size)) - self.begin


class Part(NamedTuple):
    """What a task gave: its tables, and lines that were counted without being parsed."""

    form: str
    records: int
    lines: int  # of a file of lines; 0 else
    tables: dict[str, pd.DataFrame]  # log_entries, events, pods, rejects, counts

    def to_bytes(self) -> bytes:
        """The part as bytes: a line of JSON, then a table after another as Arrow streams."""
        pieces = [json.dumps({"form": self.form, "records": self.records, "lines": self.lines}).encode()]
        for name, layout in _LAYOUTS.items():
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, layout) as writer:
                writer.write_table(schema.to_arrow(self.tables[name], layout))
            pieces.append(sink.getvalue())
        return b"".join(_LENGTH.pack(len(piece)) + bytes(piece) for piece in pieces)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Part":
        """The part that `to_bytes` wrote."""
        pieces, at = [], 0
        while at < len(data):
            (length,) = _LENGTH.unpack_from(data, at)
            pieces.append(memoryview(data)[at + _LENGTH.size : at + _LENGTH.size + length])
            at += _LENGTH.size + length
        head = json.loads(bytes(pieces[0]))
        tables = {
            name: schema.conform(pa.ipc.open_stream(piece).read_all(), layout, name)
            for (name, layout), piece in zip(_LAYOUTS.items(), pieces[1:], strict=True)
        }
        return cls(tables=tables, **head)


def tasks(files: list[tuple[Path, str]], strict: set[Path], *, whole: bool = False) -> list[Task]:
    """The tasks for these files, in their order; a large plain file of lines is several."""
    found = []
    for path, source in files:
        pieces = [scan.Stretch(path, source)]
        if path.stat().st_size > scan.STRETCH and not whole and formats.is_lines(path):
            pieces = scan.stretches(path, source)
        found += [Task(str(path), source, piece.begin, piece.end, path in strict, whole) for piece in pieces]
    return found


def load(task: Task) -> Part:
    """What the task's file holds. Raises InputError, for a file of no known form only if the task is strict."""
    path = Path(task.path)
    if not task.whole and _is_lines(path):
        try:
            found = scan.scan(scan.Stretch(path, task.source, task.begin, task.end))
        except OSError as error:
            raise InputError(str(path), f"cannot be read: {error.strerror or error}") from error
        return _part(found.shard, found.counts, found.lines)
    read = formats.read if task.strict else formats.read_any
    return _part(read(path, source=task.source), schema.empty(schema.COVERAGE), 0)


def _is_lines(path: Path) -> bool:
    try:
        return formats.is_lines(path)
    except InputError:
        return False  # told when it is read


def _part(shard: formats.Shard, counts: pd.DataFrame, lines: int) -> Part:
    tables = {name: getattr(shard, name) for name in ("log_entries", "events", "pods", "rejects")}
    return Part(shard.form, shard.records, lines, tables | {"counts": counts})
