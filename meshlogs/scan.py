"""Finding what matters in files of log entries, one a line, without parsing every line.

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
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd

from meshlogs import schema, times
from meshlogs.blocks import Lines, Stretch, blocks, distinct, tally
from meshlogs.evidence import presence
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.suspects import SUSPECTS
from meshlogs.formats import Shard, bulk, entry, log_entries, streams
from meshlogs.formats.tables import Tables, stamp

# Files are split for several workers at multiples of this.
STRETCH = 128 << 20

_HOUR, _NEVER = 3600 * times.SECOND, 2**63
_ACCESS = re.compile(rb'(?:"textPayload":"\[|"start_time":\s*")(\d{4}-\d\d-\d\dT[\d:.]+Z)')
_OUTBOUND = (b"outbound|", b"PassthroughCluster", b"BlackHoleCluster")
# Entries that are no container's, and matter: events, and audit entries about pods.
_OTHER = (b"events", b"nvolvedObject", b"regarding", b"core.v1.pods")


class Found(NamedTuple):
    """What one stretch held: the shard of what was parsed, what the other lines tell, and how many lines it has."""

    shard: Shard
    logged: pd.DataFrame  # `app_logged` evidence of lines that were not parsed whole
    counts: pd.DataFrame  # kind, project, cluster, hour, entries, first, last of what was not parsed
    lines: int


def stretches(path: Path, source: str, length: int | None = None) -> list[Stretch]:
    """The parts of a file that can be scanned apart: several of a large plain file, one of a compressed one."""
    length = length or STRETCH
    with path.open("rb") as file:
        compressed = streams.compressed(file.read(6))
    size = path.stat().st_size
    if compressed or size <= length + length // 2:
        return [Stretch(path, source)]
    edges = [*range(0, size - length // 2, length), None]
    return [Stretch(path, source, begin, end) for begin, end in zip(edges[:-1], edges[1:], strict=True)]


def scan(stretch: Stretch) -> Found:
    """What matters in a stretch of a file of log entries."""
    try:
        return _scanned(stretch, _Look(stretch.source))
    except _Misread:
        return _scanned(stretch, _Look(stretch.source, careful=True))


def _scanned(stretch: Stretch, look: "_Look") -> Found:
    with streams.open_text(stretch.path) as file:
        for block in blocks(file, stretch):
            look.at(block)
        damage = streams.damage_of(file)
    shard, logged = look.shard()
    if damage is not None:
        shard = shard.with_reject(None, damage, "", stretch.source)
    return Found(shard, logged, look.counts(), look.lines)


def rows(stretch: Stretch) -> Iterator[tuple[Shard, int]]:
    """Every line of a stretch, parsed: shards of a bounded size, each with the number of lines read so far.

    Their log entries are Arrow tables (`bulk.LAYOUT`).
    """
    reader = bulk.Reader(stretch.source)
    with streams.open_text(stretch.path) as file:
        for block in blocks(file, stretch):
            reader.add(block)
            if reader.full:
                yield reader.taken(), reader.lines
        damage = streams.damage_of(file)
    shard = reader.shard()
    yield shard if damage is None else shard.with_reject(None, damage, "", stretch.source), reader.lines


class _Misread(Exception):
    """A line that was parsed is another container's, or of another time, than its bytes seemed to say."""


class _Cell:
    """What a container wrote within an hour: how many lines, and the first and the last: time, number and text."""

    __slots__ = ("first", "last", "lines")

    def __init__(self):
        self.lines = 0
        self.first: tuple[int, int, bytes] = (_NEVER, 0, b"")
        self.last: tuple[int, int, bytes] = (times.NAT, 0, b"")

    def add(self, count: int, early: int, begun: int, late: int, ended: int, number: int, lines: Lines) -> None:
        """Take in the lines of a block whose first line has this number: which of them are first and last, and when."""
        self.lines += count
        if begun < self.first[0]:
            self.first = begun, number + early, lines.text(early)
        if ended >= self.last[0]:
            self.last = ended, number + late, lines.text(late)


class _Look:
    """The state of a scan: rows parsed so far, and per container and hour what was seen first and last."""

    def __init__(self, source: str, *, careful: bool = False):
        self.lines = 0
        self._careful = careful  # decode whose and when each line is
        self._tables = Tables(source)
        self._numbers: dict = {}  # a resource's hash or spelling -> its number
        self._kinds: list[tuple] = []  # kind, project, cluster of each resource
        self._spelled: list[bytes] = []  # its beginning, as spelled
        self._special = np.zeros(0, bool)  # those that are no application
        self._cells: defaultdict = defaultdict(_Cell)  # by resource and hour since the epoch
        self._requests: dict = {}  # (resource, minute) -> first and last request, with their lines
        self._parsed: set[int] = set()

    def at(self, block: np.ndarray) -> None:
        """Look at one block of whole lines."""
        lines = Lines(block)
        suspects = _engine()(block.data)
        resources, moments = self._placed(lines)
        self._count(lines, resources, moments)
        wanted = self._wanted(lines, resources, moments, suspects)
        for line, resource, moment in zip(wanted, resources[wanted].tolist(), moments[wanted].tolist(), strict=True):
            self._parse(self.lines + 1 + line, lines.text(line), resource, moment)
        self.lines += len(lines.ends)

    def _check(self, told: tuple[bytes, int] | None, resource: int, moment: int) -> None:
        """Raise _Misread if what an entry tells of its resource and time is not this."""
        if told and not (told[0].startswith(self._spelled[resource]) and told[1] == moment):
            raise _Misread

    def _placed(self, lines: Lines) -> tuple[np.ndarray, np.ndarray]:
        """Of each line the number of its resource, -1 where it is not told, and its time [ns]."""
        resources, moments = np.full((2, len(lines.ends)), -1)
        if not self._careful:
            firsts, inverse = distinct(lines.keys)
            found = zip(firsts.tolist(), lines.keys[firsts].tolist(), strict=True)
            numbers = [
                self._numbers[key] if key in self._numbers else self._number(key, lines.resource(at))
                for at, key in found
            ]
            resources[lines.usual], moments[lines.usual] = np.array(numbers, np.int64)[inverse], lines.times
        for line in np.flatnonzero(resources < 0).tolist():
            if found := _place_of(lines.text(line)):
                key, moments[line] = found
                resources[line] = self._number(key, key)
        self._special = np.array([kind != "app_logs" for kind, *_ in self._kinds], bool)
        return resources, moments

    def _number(self, key: int | bytes, spelled: bytes) -> int:
        """The number of a resource, by its spelling or by a hash of it; -1 if it is none."""
        if key not in self._numbers:
            site = _site(spelled)
            self._numbers[key] = -1 if site is None else len(self._kinds)
            if site is not None:
                self._kinds.append(site)
                self._spelled.append(spelled)
        return self._numbers[key]

    def _count(self, lines: Lines, resources: np.ndarray, moments: np.ndarray) -> None:
        """Take in how many lines each container wrote in each hour, which first, which last; ties as in the file."""
        told = np.flatnonzero(resources >= 0)
        resources, moments = resources[told], moments[told]
        hours = moments // _HOUR
        firsts, cells = distinct(resources << 32 ^ hours)
        counts, early, late = tally(cells, moments, len(firsts))
        columns = (resources[firsts], hours[firsts], counts, told[early], moments[early], told[late], moments[late])
        for resource, hour, *ends in zip(*(column.tolist() for column in columns), strict=True):
            self._cells[resource, hour].add(*ends, self.lines + 1, lines)

    def _wanted(self, lines: Lines, resources: np.ndarray, moments: np.ndarray, suspects: list[int]) -> list[int]:
        """The lines to parse now: suspects, those that do not tell whose they are, and others' that matter."""
        wanted = resources < 0
        wanted[lines.holding(suspects)] = True
        for line in np.flatnonzero(~wanted & np.append(self._special, True)[resources]).tolist():
            wanted[line] = self._matters(
                lines.text(line), int(resources[line]), self.lines + 1 + line, int(moments[line])
            )
        return np.flatnonzero(wanted).tolist()

    def _matters(self, line: bytes, resource: int, number: int, moment: int) -> bool:
        """Whether a line that is no application's is to be parsed now; requests are kept until the end."""
        if self._kinds[resource][0] != "proxy_logs":
            return any(word in line for word in _OTHER)
        request = _ACCESS.search(line)
        if not request:
            return True
        if any(word in line for word in _OUTBOUND):
            began = request[1]
            minute = self._requests.setdefault((resource, began[:16]), [(began, {}), (began, {})])
            for place, sooner in ((0, began < minute[0][0]), (1, began > minute[1][0])):
                if sooner:
                    minute[place] = (began, {number: (line, resource, moment)})
                elif began == minute[place][0]:
                    minute[place][1][number] = (line, resource, moment)
        return False

    def _parse(self, number: int, line: bytes, resource: int, moment: int) -> None:
        """Take in a line; -1: it was not told whose it is."""
        if resource >= 0:
            self._cells[resource, moment // _HOUR].lines -= 1
        if not line.isspace() and line:
            self._parsed.add(number)
            found = log_entries.add_text(self._tables, line, number)
            if resource >= 0:
                self._check(_place(found) if found else _place_of(line), resource, moment)

    def shard(self) -> tuple[Shard, pd.DataFrame]:
        """The rows of what was parsed, and what the first and last lines of containers prove."""
        kept = {}
        for (resource, _), seen in self._cells.items():
            kept |= {number: (text, resource, moment) for moment, number, text in (seen.first, seen.last)}
        for first, last in self._requests.values():
            for number, told in (first[1] | last[1]).items():
                kept.setdefault(number, told)
        logged = []
        for number in sorted(kept.keys() - self._parsed):
            text, resource, moment = kept[number]
            found = None if self._special[resource] else log_entries.entry_in(text)
            place = entry.place_of(found) if found else None
            if place:
                self._check(_place(found), resource, moment)
                logged.append((*place, moment, number))
            else:
                self._parse(number, text, resource, moment)
        return self._tables.shard("log_entries"), presence.rows(logged, self._tables.source)

    def counts(self) -> pd.DataFrame:
        """Lines that were not parsed whole: kind, project, cluster, hour, entries, and when the first and last were."""
        totals: dict[tuple, list[_Cell]] = defaultdict(list)
        for (resource, hour), seen in self._cells.items():
            if seen.lines:
                totals[*self._kinds[resource], hour * _HOUR].append(seen)
        rows = [
            (*site, sum(one.lines for one in seen), min(one.first[0] for one in seen), max(one.last[0] for one in seen))
            for site, seen in totals.items()
        ]
        table = pd.DataFrame(rows, columns=["kind", "project", "cluster", "hour", "entries", "first", "last"])
        stamps = {name: times.column(table[name].to_numpy("int64")) for name in ("hour", "first", "last")}
        return schema.conform(table.assign(**stamps), schema.COVERAGE)


def _place_of(line: bytes) -> tuple[bytes, int] | None:
    """(resource, time [ns]) of a line that is one entry and has both."""
    try:
        found = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _place(found)


def _place(found: "entry.Entry | _Placed") -> tuple[bytes, int] | None:
    moment = stamp(found.timestamp)
    return (bytes(found.resource), moment) if moment != times.NAT else None


class _Placed(msgspec.Struct):
    resource: msgspec.Raw
    timestamp: str


_DECODER = msgspec.json.Decoder(_Placed)


@lru_cache(maxsize=200_000)
def _site(key: bytes) -> tuple[str, str | None, str | None] | None:
    """(kind, project, cluster) of entries with this resource, whole or up to its first closing brace."""
    for text in (key, key + b"}", key + b"}}"):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        labels = found.get("labels", {}) if isinstance(found, dict) else None
        if isinstance(labels, dict):
            container = labels.get("container_name")
            kind = "other" if container is None else "proxy_logs" if container == PROXY else "app_logs"
            return kind, labels.get("project_id"), labels.get("cluster_name")
    return None


@lru_cache(maxsize=1)
def _engine():
    """A function from a block to the places where suspects end: their last bytes."""
    try:
        import hyperscan
    except ImportError:
        compiled = re.compile(b"|".join(b"(?:" + each + b")" for each in SUSPECTS), re.IGNORECASE)
        return lambda block: [match.end() - 1 for match in compiled.finditer(block)]
    database = hyperscan.Database()
    flags = [hyperscan.HS_FLAG_CASELESS] * len(SUSPECTS)
    database.compile(expressions=list(SUSPECTS), ids=list(range(len(SUSPECTS))), flags=flags)
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
