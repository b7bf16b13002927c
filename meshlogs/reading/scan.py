"""Finding what matters in files of log entries, or of a warehouse's rows, one a line, without parsing every line.

Rows of a warehouse's table in Parquet go the same way.

A line is parsed if its raw bytes might matter to any step (`evidence.suspects`), or if it is a proxy's own, an event or
about a pod; of a proxy's access log only the first and last request of each minute. Of the others it is told by their
bytes (`blocks.Lines`) which container wrote them and when: they are counted by container and hour, and the first and
last prove that it logged. What is parsed goes the same way as a file read whole, so the result is the same; one thing
differs: a line that begins and ends as an object, is broken between, and holds nothing suspect, is counted and not
rejected.
"""

import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema, times
from meshlogs.columnar import arrow
from meshlogs.errors import SchemaError
from meshlogs.evidence import presence
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.suspects import ROW_SUSPECTS, SUSPECTS
from meshlogs.formats import Shard, bulk, columns, entry, log_entries, streams, warehouse
from meshlogs.formats.arrays import Array, Odd
from meshlogs.formats.lines import Overlong
from meshlogs.formats.tables import TABLES, Tables, stamp, text_of, tidy
from meshlogs.reading import converted_rows, table_rows
from meshlogs.reading.blocks import Lines, Numbers, Stretch, blocks
from meshlogs.reading.container_hours import Cells, Line

# Files are split for several workers at multiples of this.
STRETCH = 128 << 20
TABLE_STRETCH = 16 << 20  # of a table, which is packed

# Lines that are to be parsed wait, up to so many bytes, until they are parsed together.
WAITING = 4 << 20

_ACCESS = re.compile(rb'(?:"textPayload":"\[|"start_time":\s*")(\d{4}-\d\d-\d\dT[\d:.]+Z)')
_OUTBOUND = (b"outbound|", b"PassthroughCluster", b"BlackHoleCluster")
# Entries that are no container's, and matter: events, and audit entries about pods.
_OTHER = (b"events", b"nvolvedObject", b"nvolvedobject", b"regarding", b"core.v1.pods")


class Found(NamedTuple):
    """What one stretch held: the shard of what was parsed, what the other lines tell, and how many lines it has."""

    shard: Shard  # of Arrow tables; that of its log entries is as `bulk.LAYOUT`
    logged: pa.Table  # `app_logged` evidence of lines that were not parsed whole
    counts: pa.Table  # kind, project, cluster, hour, entries, first, last of what was not parsed
    lines: int


def stretches(path: Path, source: str, length: int | None = None, wrapping: str = "lines") -> list[Stretch]:
    """The parts of a file that can be scanned apart: several of a large plain file, one of a compressed one."""
    length = length or STRETCH
    with path.open("rb") as file:
        whole = streams.compressed(file.read(6)) or (wrapping == "table" and not _is_known(path))
    size = path.stat().st_size
    if whole or size <= length + length // 2:
        return [Stretch(path, source)]
    edges = [*range(0, size - length // 2, length), None]
    return [Stretch(path, source, begin, end) for begin, end in zip(edges[:-1], edges[1:], strict=True)]


def _is_known(path: Path) -> bool:
    """Whether a table is one that can be scanned."""
    layout = table_rows.columns_of(path)
    return table_rows.is_usual(layout) or converted_rows.is_converted(layout)


def scan(stretch: Stretch, wrapping: str = "lines") -> Found:
    """What matters in a stretch of a file of log entries, or in a file that is wrapped so (`formats.wrapping`).

    Raises Odd for an array that is not sound, and for a table that is not laid out as usual.
    """
    try:
        return _scanned(stretch, _LOOKS[wrapping](stretch.source))
    except _Misread:
        return _scanned(stretch, _LOOKS[wrapping](stretch.source, careful=True))


def _scanned(stretch: Stretch, look: "_Look") -> Found:
    with streams.open_text(stretch.path) as file:
        for block in look.blocks(file, stretch):
            if isinstance(block, Overlong):
                look.refuse(block)
            else:
                look.at(block)
        damage = streams.damage_of(file)
    shard, logged = look.shard()
    if damage is not None:
        shard = shard.with_reject(None, damage, "", stretch.source)
    return Found(shard, logged, look.counts(), look.lines)


def converted(stretch: Stretch) -> Iterator[Found]:
    """What matters in a stretch of log entries that `meshlogs convert` wrote, piece by piece; `lines` is 0.

    Their sources and lines are those of the files they were converted from. Raises Odd for another table.
    """
    empty = Tables(stretch.source).arrow("warehouse")._replace(log_entries=arrow.empty(bulk.LAYOUT))
    nothing = Found(empty, arrow.empty(schema.EVIDENCE), arrow.empty(schema.COVERAGE), 0)
    yield nothing
    read = 0
    with streams.open_text(stretch.path) as file:
        try:
            for batch in converted_rows.blocks(file, stretch):
                kept, counts = converted_rows.sifted(batch, _engine(SUSPECTS))
                shard = empty._replace(log_entries=bulk.packed(kept), records=len(batch))
                yield nothing._replace(shard=shard, counts=schema.to_arrow(counts, schema.COVERAGE))
                read += len(batch)
        except (pa.ArrowException, OSError, SchemaError) as error:
            shard = empty.with_reject(read + 1, warehouse.damage_of(error), "", stretch.source)
            yield nothing._replace(shard=shard)


def rows(stretch: Stretch, *, array: bool = False) -> Iterator[tuple[Shard, int]]:
    """Every line of a stretch, parsed: shards of a bounded size, each with the number of lines read so far.

    Their log entries are Arrow tables (`bulk.LAYOUT`). `array`: the file is one array of entries; raises Odd where it
    turns out not to be sound, after the shards before that.
    """
    whole, reader = Array(), bulk.Reader(stretch.source, strict=array)
    with streams.open_text(stretch.path) as file:
        for block in whole.blocks(file) if array else blocks(file, stretch):
            if isinstance(block, Overlong):
                reader.refuse(block)
            else:
                reader.add(block)
            if reader.full:
                yield _placed(reader.taken(), whole) if array else reader.taken(), reader.lines
        damage = streams.damage_of(file)
    shard = _placed(reader.shard(), whole) if array else reader.shard()
    yield shard if damage is None else shard.with_reject(None, damage, "", stretch.source), reader.lines


def _placed(shard: Shard, array: Array) -> Shard:
    """The shard of an array with the lines of its document."""
    return shard._replace(**{name: array.placed(getattr(shard, name)) for name in TABLES})


class _Misread(Exception):
    """A line that was parsed is another container's, or of another time, than its bytes seemed to say."""


class _Look:
    """The state of a scan: rows parsed so far, and per container and hour what was seen first and last."""

    form, suspects, stored = "log_entries", SUSPECTS, False

    def __init__(self, source: str, *, careful: bool = False):
        self.lines = 0
        self._careful = careful  # decode whose and when each line is
        self._tables = Tables(source)
        self._read = bulk.reader_of(source)
        self._rows: list[pa.Table] = []  # of usual lines
        self._waiting: list[Line] = []
        self._size = 0  # of those [bytes]
        self._hashes = Numbers()
        self._hashed = np.zeros(0, np.int64)  # the number of the resource that has each of those hashes
        self._numbers: dict[bytes, int] = {}  # a resource's spelling -> its number
        self._kinds: list[tuple] = []  # kind, project, cluster of each resource
        self._spelled: list[bytes] = []  # its beginning, as spelled
        self._special = np.zeros(0, bool)  # those that are no application
        self._cells = Cells()
        self._requests: dict = {}  # (resource, minute) -> first and last request, with their lines
        self._parsed: set[int] = set()

    def blocks(self, file: BinaryIO, stretch: Stretch) -> Iterator:
        """The blocks of a stretch of a file."""
        return blocks(file, stretch)

    def refuse(self, line: Overlong) -> None:
        """Add a line that is too long to be read."""
        self.lines += 1
        log_entries.refuse(self._tables, self.lines, line.reason, line)

    def at(self, block) -> None:
        """Look at one block of whole lines."""
        lines = self._lines(block)
        suspects = self._suspects(lines)
        resources, moments = self._placed(lines)
        told = np.flatnonzero(resources >= 0)
        self._cells.add(resources[told], moments[told], told, self.lines, lines)
        wanted = self._wanted(lines, resources, moments, suspects)
        about = (lines.texts(wanted), resources[wanted].tolist(), moments[wanted].tolist())
        for number, *told in zip((wanted + (self.lines + 1)).tolist(), *about, strict=True):
            self._wait(Line(number, *told))
        self.lines += len(lines.ends)

    def _lines(self, block: np.ndarray) -> Lines:
        return Lines(block, stored=self.stored)

    def _suspects(self, lines: Lines) -> np.ndarray:
        """The numbers from 0 of the lines that may matter."""
        return lines.holding(_engine(self.suspects)(lines.letters.data))

    def _placed(self, lines: Lines) -> tuple[np.ndarray, np.ndarray]:
        """Of each line the number of its resource, -1 where it is not told, and its time [ns]."""
        resources, moments = np.full((2, len(lines.ends)), -1)
        if not self._careful:
            hashes, new = self._hashes.of(lines.keys)
            if len(new):
                numbers = [self._number(lines.resource(at)) for at in new.tolist()]
                self._hashed = np.append(self._hashed, np.array(numbers, np.int64))
            resources[lines.usual], moments[lines.usual] = self._hashed[hashes], lines.times
        untold = np.flatnonzero(resources < 0)
        for line, text in zip(untold.tolist(), lines.texts(untold), strict=True):
            if found := self._place_of(text):
                key, moments[line] = found
                resources[line] = self._number(key)
        if len(self._special) < len(self._kinds):
            self._special = np.array([kind != "app_logs" for kind, *_ in self._kinds], bool)
        return resources, moments

    def _number(self, spelled: bytes) -> int:
        """The number of a resource; -1 if it is none."""
        if spelled not in self._numbers:
            site = _site(spelled, self.stored)
            self._numbers[spelled] = -1 if site is None else len(self._kinds)
            if site is not None:
                self._kinds.append(site)
                self._spelled.append(spelled)
        return self._numbers[spelled]

    def _wanted(self, lines: Lines, resources: np.ndarray, moments: np.ndarray, suspects: np.ndarray) -> np.ndarray:
        """The lines to parse now: suspects, those that do not tell whose they are, and others' that matter."""
        wanted = resources < 0
        wanted[suspects] = True
        others = np.flatnonzero(~wanted & np.append(self._special, True)[resources])
        told = (lines.texts(others), resources[others].tolist(), moments[others].tolist())
        for line, *about in zip(others.tolist(), *told, strict=True):
            wanted[line] = self._matters(Line(self.lines + 1 + line, *about))
        return np.flatnonzero(wanted)

    def _matters(self, line: Line) -> bool:
        """Whether a line that is no application's is to be parsed now; requests are kept until the end."""
        if self._kinds[line.resource][0] != "proxy_logs":
            return any(word in line.text for word in _OTHER)
        request = _ACCESS.search(line.text)
        if not request:
            return True
        if any(word in line.text for word in _OUTBOUND):
            began = request[1]
            minute = self._requests.setdefault((line.resource, began[:16]), [(began, {}), (began, {})])
            for place, sooner in ((0, began < minute[0][0]), (1, began > minute[1][0])):
                if sooner:
                    minute[place] = (began, {line.number: line})
                elif began == minute[place][0]:
                    minute[place][1][line.number] = line
        return False

    def _wait(self, line: Line) -> None:
        """Keep a line until many are parsed together; of which it is not told whose they are, are parsed at once."""
        if line.resource >= 0:
            self._parsed.add(line.number)
            self._waiting.append(line)
            self._size += len(line.text)
            if self._size > WAITING:
                self._rows.append(self._parsed_rows())
        elif line.text and not line.text.isspace():
            self._parsed.add(line.number)
            self._add(line)

    def _add(self, line: Line) -> "entry.Entry | None":
        """Take the careful road with a line; the entry that it is, if nothing is wrong."""
        return log_entries.add_text(self._tables, line.text, line.number)

    def _parsed_rows(self) -> pa.Table:
        """The rows of the usual ones of the lines that wait; the others go the careful road."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        self._cells.drop(waiting)
        usual, odd = self._usual(waiting)
        for line in odd:
            found = self._add(line)
            self._check(line, _place(found) if found else self._place_of(line.text))
        return usual

    def _usual(self, lines: list[Line]) -> tuple[pa.Table, list[Line]]:
        """The rows of the usual lines (`bulk.LAYOUT`), and the other lines."""
        rows, others, begin = [arrow.empty(bulk.LAYOUT)], [], 0
        block = b"".join([line.text + b"\n" for line in lines])
        for found, numbers, odd, count, resources, moments in self._read(block) if block else ():
            mine = [lines[begin + number] for number in numbers.tolist()]
            for line, place, moment in zip(mine, resources.tolist(), moments.tolist(), strict=True):
                if moment != line.moment or not block.startswith(self._spelled[line.resource], place):
                    raise _Misread
            rows.append(bulk.numbered(found, np.array([line.number for line in mine], np.int64)))
            others += [lines[begin + number] for number, _ in odd]
            begin += count
        return pa.concat_tables(rows).unify_dictionaries(), others

    def _place_of(self, line: bytes) -> tuple[bytes, int] | None:
        """(resource, time [ns]) of a line that is one entry and has both."""
        found = self._placed_in(line)
        return _place(found) if found else None

    def _placed_in(self, line: bytes) -> "_Placed | None":
        try:
            return _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def _check(self, line: Line, told: tuple[bytes, int] | None) -> None:
        """Raise _Misread if what an entry tells of its resource and time is not what the line's bytes seemed to say."""
        if told and not (told[0].startswith(self._spelled[line.resource]) and told[1] == line.moment):
            raise _Misread

    def shard(self) -> tuple[Shard, pa.Table]:
        """The rows of what was parsed, and what the first and last lines of containers prove."""
        kept = {line.number: line for line in self._cells.ends()}
        for first, last in self._requests.values():
            kept |= first[1] | last[1]
        kept = [kept[number] for number in sorted(kept.keys() - self._parsed)]
        logged = self._ends(kept)
        self._rows.append(self._parsed_rows())
        careful = self._tables.arrow(self.form)
        if len(careful.log_entries):
            self._rows.append(bulk.packed(careful.log_entries))
        rows = pa.concat_tables(self._rows).unify_dictionaries()
        records = careful.records + len(rows) - len(careful.log_entries)
        return careful._replace(log_entries=rows, records=records), logged

    def _ends(self, lines: list[Line]) -> pa.Table:
        """What first and last lines prove; those that are no application's are parsed whole."""
        for line in lines:
            if self._special[line.resource]:
                self._wait(line)
        return self._logged([line for line in lines if not self._special[line.resource]])

    def _logged(self, lines: list[Line]) -> pa.Table:
        """What these lines of applications prove; those that hold anything else than one entry are parsed whole."""
        usual, odd = self._usual(lines)
        plain = pc.and_(pc.equal(usual["resource_type"], arrow.text("k8s_container")), pc.is_valid(usual["pod"]))
        proves = pc.fill_null(pc.and_(plain, pc.not_equal(usual["log_id"], arrow.text("events"))), arrow.FALSE)
        others = usual.filter(pc.invert(proves))
        if len(others):
            self._rows.append(others)
            types = dict(zip(others["line"].to_pylist(), others["resource_type"].to_pylist(), strict=True))
            parsed = [line for line in lines if line.number in types]
            self._cells.drop(parsed)
            for line in parsed:  # a container by its labels only
                if types[line.number] != "k8s_container":
                    self._kinds[line.resource] = ("other", *self._kinds[line.resource][1:])
        logged = []
        for line in odd:
            found = log_entries.entry_in(line.text)
            place = entry.place_of(found) if found else None
            if place:
                self._check(line, _place(found))
                logged.append((*place, line.moment, line.number))
            else:
                self._wait(line)
        facts = presence.of_lines(usual.filter(proves))
        if logged:
            facts = pa.concat_tables([facts, presence.of_lines(presence.rows(logged, self._tables.source))])
        return facts

    def counts(self) -> pa.Table:
        """Lines that were not parsed whole: kind, project, cluster, hour, entries, and when the first and last were."""
        totals: dict[tuple, list[tuple]] = defaultdict(list)
        for resource, hour, *seen in zip(*self._cells.counted(), strict=True):
            totals[*self._kinds[resource], hour].append(seen)
        rows = []
        for site, seen in totals.items():
            counts, firsts, lasts = zip(*seen, strict=True)
            rows.append((*site, sum(counts), min(firsts), max(lasts)))
        columns = list(zip(*rows, strict=True)) or [()] * 7
        sites = map(arrow.texts, columns[:3])
        numbers = (arrow.numbers(np.array(values, np.int64)) for values in columns[3:])
        names = ["kind", "project", "cluster", "hour", "entries", "first", "last"]
        return schema.conform_arrow(pa.table([*sites, *numbers], names), schema.COVERAGE)


class _InArray:
    """Each line is one element of an array, or else that is odd."""

    def __init__(self, source: str, *, careful: bool = False):
        super().__init__(source, careful=careful)
        self._array = Array()

    def blocks(self, file: BinaryIO, _stretch: Stretch) -> Iterator:
        return self._array.blocks(file)

    def shard(self) -> tuple[Shard, pa.Table]:
        shard, logged = super().shard()
        # Several elements may stand on one line of the document, in their order.
        shard = shard._replace(log_entries=shard.log_entries.sort_by("line"))
        return _placed(shard, self._array), self._array.placed(logged)

    def _add(self, line: Line) -> "entry.Entry | _Placed":
        found = super()._add(line)
        if found is None:
            raise Odd
        return found


class _ArrayLook(_InArray, _Look):
    """Entries in an array."""


class _RowsLook(_Look):
    """Lines are rows of a warehouse: what is parsed takes the careful road."""

    form, suspects, stored = "warehouse", ROW_SUSPECTS, True

    def _add(self, line: Line) -> "_Placed | None":
        warehouse.add_text(self._tables, line.text, line.number)
        return self._placed_in(line.text)

    def _usual(self, lines: list[Line]) -> tuple[pa.Table, list[Line]]:
        return arrow.empty(bulk.LAYOUT), lines

    def _matters(self, line: Line) -> bool:
        # A pod's row that does not name its container may be one's all the same.
        is_pods = self._kinds[line.resource][0] == "other" and b"pod_name" in self._spelled[line.resource]
        return is_pods or super()._matters(line)

    def _ends(self, lines: list[Line]) -> pa.Table:
        for line in lines:
            self._wait(line)
        return self._logged([])

    def shard(self) -> tuple[Shard, pa.Table]:
        shard, logged = super().shard()
        rows = shard.log_entries
        types = dict(zip(rows["line"].to_pylist(), rows["resource_type"].to_pylist(), strict=True))
        for line in self._cells.ends():
            if types.get(line.number, "k8s_container") != "k8s_container":  # a container by its labels only
                self._kinds[line.resource] = ("other", *self._kinds[line.resource][1:])
        return shard, logged

    def _placed_in(self, line: bytes) -> "_Placed | None":
        found = super()._placed_in(line)
        return found and _Placed(found.resource, columns.time_text(found.timestamp))


class _RowArrayLook(_InArray, _RowsLook):
    """Rows in an array."""


class _TableLook(_RowsLook):
    """Lines are rows of a table."""

    def blocks(self, file: BinaryIO, stretch: Stretch) -> Iterator:
        try:
            yield from table_rows.blocks(file, stretch)
        except (pa.ArrowException, OSError) as error:
            if stretch.is_file:  # whoever is careful may read more of it
                raise Odd from error
            warehouse.refuse_damaged(self._tables, self.lines + 1, error)

    def _lines(self, block: pa.Table) -> table_rows.Rows:
        return table_rows.Rows(block)

    def _suspects(self, lines: table_rows.Rows) -> np.ndarray:
        return lines.suspect(_engine(self.suspects))

    def _add(self, line: Line) -> "_Placed | None":
        warehouse.add_typed(self._tables, msgspec.json.decode(line.text), line.number)
        return self._placed_in(line.text)


_LOOKS = {"lines": _Look, "array": _ArrayLook, "rows": _RowsLook, "row_array": _RowArrayLook, "table": _TableLook}


def _place(found: "entry.Entry | _Placed") -> tuple[bytes, int] | None:
    moment = stamp(found.timestamp)
    return (bytes(found.resource), moment) if moment != times.NAT else None


class _Placed(msgspec.Struct):
    resource: msgspec.Raw
    timestamp: str


_DECODER = msgspec.json.Decoder(_Placed)


@lru_cache(maxsize=200_000)
def _site(key: bytes, stored: bool) -> tuple[str, str | None, str | None] | None:
    """(kind, project, cluster) of entries with this resource, whole or up to its first closing brace.

    In a warehouse's rows (`stored`) a label that is a number is its text.
    """
    for end in (b"}}", b"", b"}", b'}"}'):  # at most one of them fits
        try:
            found = json.loads(key + end)
            labels = found.get("labels", {}) if isinstance(found, dict) else None
            labels = json.loads(labels) if isinstance(labels, str) else labels
        except ValueError:
            continue
        if isinstance(labels, dict):
            container = labels.get("container_name")
            kind = "other" if container is None else "proxy_logs" if container == PROXY else "app_logs"
            told = [labels.get(name) for name in ("project_id", "cluster_name")]
            told = [json.dumps(value) if stored and isinstance(value, int | float) else value for value in told]
            return kind, *(text_of(tidy(value)) for value in told)
    return None


@lru_cache(maxsize=2)
def _engine(suspects: tuple[bytes, ...]):
    """A function from a block to the places where suspects end: their last bytes."""
    try:
        import hyperscan
    except ImportError:
        compiled = re.compile(b"|".join(b"(?:" + each + b")" for each in suspects), re.IGNORECASE)
        return lambda block: [match.end() - 1 for match in compiled.finditer(block)]
    database = hyperscan.Database()
    flags = [hyperscan.HS_FLAG_CASELESS] * len(suspects)
    database.compile(expressions=list(suspects), ids=list(range(len(suspects))), flags=flags)
    own = threading.local()  # two threads must not share the room to work in

    def places(block: memoryview) -> list[int]:
        if not hasattr(own, "scratch"):
            own.scratch = hyperscan.Scratch(database)
        found: list[int] = []
        add = found.append
        database.scan(
            block, match_event_handler=lambda _pattern, _begin, end, _flags, _context: add(end - 1), scratch=own.scratch
        )
        return found

    return places
