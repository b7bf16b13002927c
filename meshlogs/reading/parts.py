"""One part of an export: a file, or a stretch of a large one, read into tables or scanned for what matters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from meshlogs import coverage, evidence, formats, schema, storage, times
from meshlogs.columnar import arrow, joins
from meshlogs.columnar.packed import packed, unpacked
from meshlogs.errors import InputError
from meshlogs.evidence import presence
from meshlogs.formats import bulk, pod_logs
from meshlogs.formats.arrays import Odd
from meshlogs.formats.tables import TABLES
from meshlogs.later import Later
from meshlogs.reading import scan
from meshlogs.reading.blocks import Stretch

pd = Later("pandas")

_LAYOUTS = {
    "log_entries": schema.LOG_ENTRIES,
    "events": schema.EVENTS,
    "pods": schema.PODS,
    "rejects": schema.REJECTS,
    "splits": schema.SPLITS,
    "counts": schema.COVERAGE,
    "evidence": schema.EVIDENCE,
}
# Rows of entries and events: so many at most wait for their evidence to be taken; with fewer than the second, others'
# are waited for, since the taking costs the same for a few as for some thousands.
BATCH, FEW = 20_000, 300
# So much evidence at least is coded (`schema.SHARED`): it takes as long for a few rows.
MANY_FACTS = 5_000
# Parts of a file whose rows are all wanted: those of a few parts are in memory.
ROWS_STRETCH = 15 << 20
# Files up to this size are read together, up to as much of them as the second, for a sink writes thousands [bytes].
SMALL_FILE, TOGETHER = 4 << 20, 16 << 20


class Task(NamedTuple):
    """What to read: a file, the lines of it that begin in a range of bytes, or several files.

    `others`: path and source of those besides the first. `strict`: a file of no known form is an error, not a reject.
    `whole`: parse every line. `rows`: give the rows themselves, not their evidence. `since` and `until` [ns]: entries
    and events to keep, since <= time < until. `pod`: whose a text log is that names no pod.
    """

    path: str
    source: str
    begin: int = 0
    end: int | None = None
    strict: bool = False
    whole: bool = False
    rows: bool = False
    since: int | None = None
    until: int | None = None
    others: tuple[tuple[str, str], ...] = ()
    pod: str | None = None

    @property
    def files(self) -> list[Task]:
        """A task for each of its files."""
        return [self._replace(path=path, source=source, others=()) for path, source in (self[:2], *self.others)]

    @property
    def is_stretch(self) -> bool:
        """Whether it is a part of a file, which is one of lines then."""
        return self.begin > 0 or self.end is not None

    @property
    def is_compiled(self) -> bool:
        """Whether nearly all of the work is done by compiled code, during which other threads go on."""
        return bool(bulk.usual_rows) and self.rows and (self.is_stretch or _wrapping(self.path) in _COMPILED)

    @property
    def size(self) -> int:
        """Bytes of the files that the task reads."""
        size = sum(storage.place(path).stat().st_size for path, _ in (self[:2], *self.others))
        return (size if self.end is None else min(self.end, size)) - self.begin


class Held(NamedTuple):
    """Evidence of a part that stays on the worker that read it."""

    future: Any
    rows: int


class Part(NamedTuple):
    """What a task gave: its tables, what it took each file for, and lines that were counted without being parsed."""

    files: dict[str, tuple[str, int, int]]  # source -> form, records, rejects; an archive's files each
    parsed: int  # entries
    lines: int  # of a stretch of a file of lines; 0 else
    tables: dict[str, pd.DataFrame]  # those of `_LAYOUTS`; evidence is coded, if it is much
    rows: pa.Table = arrow.empty(bulk.LAYOUT)  # log entries, if the task asks for them
    held: Held | None = None  # evidence besides that of `tables`

    def to_bytes(self) -> bytes:
        """The part as bytes: a line of JSON, then a table after another as Arrow streams."""
        head = json.dumps({"files": self.files, "parsed": self.parsed, "lines": self.lines}).encode()
        return packed([*(_to_arrow(self.tables[name], layout) for name, layout in _LAYOUTS.items()), self.rows], head)

    @classmethod
    def from_bytes(cls, data: bytes) -> Part:
        """The part that `to_bytes` wrote."""
        text, (*found, rows) = unpacked(data)
        head = json.loads(text)
        tables = {
            name: _to_pandas(table, layout) if len(table) else schema.empty(layout)
            for (name, layout), table in zip(_LAYOUTS.items(), found, strict=True)
        }
        files = {source: tuple(told) for source, told in head.pop("files").items()}
        return cls(files, **head, tables=tables, rows=rows)


def tasks(
    files: list[tuple[Path, str]],
    strict: set[Path],
    *,
    whole: bool = False,
    rows: bool = False,
    since=None,
    until=None,
    pod: str | None = None,
) -> list[Task]:
    """The tasks for these files, in their order; a large plain file of lines is several, small files are one.

    `since` and `until` are timestamps or None. With them, with `rows`, or with `whole`, every line is parsed. `pod` is
    for the files of `strict` alone.
    """
    first, last = (None if time is None else int(times.to_ns(pd.Series([time]))[0]) for time in (since, until))
    whole = whole or rows or since is not None or until is not None
    length = ROWS_STRETCH if rows else scan.STRETCH
    sizes = [path.stat().st_size for path, _ in files]
    enough = min(sum(sizes) // _TASKS, TOGETHER)
    lengths = {"lines": length} if whole else {"lines": length, "rows": length, "table": scan.TABLE_STRETCH}
    found: list[Task] = []
    room = -1  # for further small files in the last task; it may be that of empty ones
    for (path, source), size in zip(files, sizes, strict=True):
        pieces = [Stretch(path, source)]
        wrapping = _wrapping(path) if size > min(lengths.values()) else None
        if size > lengths.get(wrapping, size):
            pieces = scan.stretches(path, source, lengths[wrapping], wrapping)
        made = [
            Task(
                *(str(path), source, piece.begin, piece.end, path in strict, whole, rows, first, last),
                pod=pod if path in strict else None,
            )
            for piece in pieces
        ]
        small = size <= SMALL_FILE and not rows
        if small and size <= room and found[-1].strict == made[0].strict:
            found[-1] = found[-1]._replace(others=(*found[-1].others, made[0][:2]))
            room -= size
        else:
            found += made
            room = enough - size if small else -1
    return found


_COMPILED = ("lines", "array")  # wrappings of which every entry can be read fast
_TASKS = 16  # at least, if there are so many files: every core is to have some


def load(task: Task) -> Part:
    """What the task's files hold. Raises InputError, for a file of no known form only if the task is strict."""
    return _collected(task, (piece for one in task.files for piece in _pieces(one)))


class _Piece(NamedTuple):
    """A shard of a file, the lines up to its end, and what a scan tells besides."""

    shard: formats.Shard
    lines: int = 0
    found: scan.Found | None = None


def _pieces(task: Task) -> Iterator[_Piece]:
    """What the only file of a task holds."""
    wrapping = _wrapping(task.path)
    wrapping = wrapping if wrapping in _COMPILED or not task.whole else None
    given = Counter()
    for read in (_entries, _converted) if wrapping == "table" else (_entries,) if wrapping else ():
        try:
            for piece in read(task, wrapping):
                given.update({name: len(getattr(piece.shard, name)) for name in TABLES}, records=piece.shard.records)
                yield piece
            return
        except Odd:
            continue
    else:
        read = formats.chunks if task.strict else formats.chunks_any
        yield from _after(given, map(_Piece, read(storage.place(task.path), source=task.source)))


def _entries(task: Task, wrapping: str) -> Iterator[_Piece]:
    """The log entries of a file of this wrapping; raises Odd for an array that is not sound."""
    stretch = Stretch(storage.place(task.path), task.source, task.begin, task.end)
    try:
        if task.whole:
            yield from (_Piece(*told) for told in scan.rows(stretch, array=wrapping == "array"))
        else:
            found = scan.scan(stretch, wrapping)
            yield _Piece(found.shard, found.lines, found)
    except OSError as error:
        raise InputError(str(stretch.path), f"cannot be read: {error.strerror or error}") from error


def _converted(task: Task, _wrapping: str) -> Iterator[_Piece]:
    """The log entries of a table that `meshlogs convert` wrote; raises Odd for another one."""
    stretch = Stretch(storage.place(task.path), task.source, task.begin, task.end)
    yield from (_Piece(found.shard, found.lines, found) for found in scan.converted(stretch))


def _after(given: Counter, pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """These pieces without so many of their first rows, which were given already."""
    for piece in pieces:
        shard = piece.shard
        kept = {name: getattr(shard, name)[given[name] :] for name in TABLES}
        records = max(shard.records - given["records"], 0)
        given -= Counter({name: len(getattr(shard, name)) for name in TABLES}, records=shard.records)
        yield piece._replace(shard=shard._replace(**kept, records=records))


def extracted(entries: list[pd.DataFrame], events: list[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(evidence, counts) of these entries and events."""
    rows, told = joined(entries, schema.LOG_ENTRIES), joined(events, schema.EVENTS)
    return evidence.extract(rows, told, schema.empty(schema.PODS)), coverage.count(rows, told)


def joined(tables: list[pd.DataFrame], layout: pa.Schema) -> pd.DataFrame:
    """The rows of several tables."""
    tables = [table for table in tables if len(table)]
    if len(tables) == 1:
        return tables[0].reset_index(drop=True)
    return pd.concat(tables, ignore_index=True) if tables else schema.empty(layout)


def joined_facts(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of several tables of evidence, coded if any is."""
    if not any(map(is_coded, tables)):
        return joined(tables, schema.EVIDENCE)
    return joins.stacked([joins.coded(table, schema.SHARED) for table in tables if len(table)])


def moved(table: pd.DataFrame, lines: int) -> pd.DataFrame:
    """The rows of a later stretch of a file, with the line numbers of the file."""
    return table.assign(line=table["line"] + lines) if lines and "line" in table else table


def within(task: Task, rows, column: str):
    """The rows, a dataframe or an Arrow table, whose time is in the task's or unknown."""
    if task.since is None and task.until is None:
        return rows
    is_arrow = isinstance(rows, pa.Table)
    time = rows[column].to_pandas() if is_arrow else rows[column]
    since, until = (times.column([limit if limit is not None else 0])[0] for limit in (task.since, task.until))
    keep = pd.Series(True, index=time.index)
    if task.since is not None:
        keep &= time >= since
    if task.until is not None:
        keep &= time < until
    keep |= time.isna()
    return rows.filter(pa.array(keep)) if is_arrow else rows[keep]


def is_coded(facts: pd.DataFrame) -> bool:
    """Whether a table of evidence has its shared texts as categories."""
    return joins.is_coded(facts["kind"])


def _to_arrow(table: pd.DataFrame, layout: pa.Schema) -> pa.Table:
    if layout is schema.EVIDENCE and is_coded(table):
        return pa.Table.from_pandas(table, preserve_index=False)
    return schema.to_arrow(table, layout)


def _to_pandas(table: pa.Table, layout: pa.Schema) -> pd.DataFrame:
    coded = layout is schema.EVIDENCE and pa.types.is_dictionary(table.schema.field("kind").type)
    return table.to_pandas() if coded else schema.conform(table, layout)


def _wrapping(path: Path | str) -> str | None:
    try:
        return formats.wrapping(path)
    except InputError:
        return None  # told when it is read


def _collected(task: Task, pieces: Iterable[_Piece]) -> Part:
    """The part that these pieces are; of many rows only their evidence."""
    files: dict[str, tuple[str, int, int]] = {}
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in _LAYOUTS}
    rows, parsed, lines = [arrow.empty(bulk.LAYOUT)], 0, 0
    told: list[scan.Found] = []
    given = {one.source for one in task.files}  # no file in an archive
    for shard, lines, found in pieces:
        shard = pod_logs.named(shard, task.pod) if shard.source in given else shard
        _, records, rejects = files.get(shard.source, ("", 0, 0))
        # Where not every line is parsed, all were counted, blank ones too; damage to the file is on none.
        records = max(records + shard.records, lines + shard.rejects["line"].null_count if found else 0)
        files[shard.source] = (shard.form, records, rejects + len(shard.rejects))
        parsed += len(shard.log_entries)
        tables["pods"] += _framed(shard.pods, schema.PODS)
        tables["rejects"] += _framed(shard.rejects, schema.REJECTS)
        tables["splits"] += _framed(shard.splits, schema.SPLITS)
        tables["events"] += _framed(within(task, shard.events, "time_upper"), schema.EVENTS)
        told += [found] if found else []
        if task.rows or found:
            rows.append(within(task, bulk.packed(shard.log_entries), "time"))
        else:
            tables["log_entries"].append(within(task, bulk.unpacked(shard.log_entries), "time"))
        if not task.rows:
            rows = _extract(tables, rows, BATCH)
    if not task.rows:
        rows = _extract(tables, rows, 1 if tables["evidence"] else FEW)
        tables["log_entries"] += [bulk.unpacked(_stacked(rows))]
        rows = rows[:1]
    if told:
        tables["evidence"].append(schema.conform(pa.concat_tables(one.logged for one in told), schema.EVIDENCE))
        tables["counts"].append(schema.conform(pa.concat_tables(one.counts for one in told), schema.COVERAGE))
    facts = presence.thin(joined_facts(tables.pop("evidence")))
    facts = facts.sort_values(["source", "line"], kind="stable", ignore_index=True)
    tables = {name: joined(some, _LAYOUTS[name]) for name, some in tables.items()} | {"evidence": facts}
    return Part(files, parsed, 0 if task.others else lines, tables, _stacked(rows))


def _extract(tables: dict[str, list[pd.DataFrame]], rows: list[pa.Table], least: int) -> list[pa.Table]:
    """Replace entries, those in `rows` too, and events by their evidence, if there are so many; the rows that stay."""
    entries, events = tables["log_entries"], tables["events"]
    if sum(map(len, (*entries, *events, *rows))) < least:
        return rows
    facts, counts = extracted([*entries, bulk.unpacked(_stacked(rows))], events)
    tables["evidence"].append(joins.coded(facts, schema.SHARED) if len(facts) >= MANY_FACTS else facts)
    tables["counts"].append(counts)
    tables["log_entries"], tables["events"] = [], []
    return rows[:1]


def _framed(rows: pd.DataFrame | pa.Table, layout: pa.Schema) -> list[pd.DataFrame]:
    """The rows as a dataframe, if there are any."""
    if not len(rows):
        return []
    return [schema.conform(rows, layout) if isinstance(rows, pa.Table) else rows]


def _stacked(rows: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(rows).unify_dictionaries()
