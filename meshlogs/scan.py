"""Finding what matters in files of log entries, one a line, without parsing every line.

A line is parsed if its raw bytes might matter to any step (`evidence.suspects`), if it is the first or the last of a
container in its hour (proof that the container logged), if it is a proxy's own, an event or about a pod; of a proxy's
access log only the first and last request of each minute. The others are counted by container and hour. What is parsed
then goes the same way as a file read whole, so the result is the same; one thing differs: a line that begins
and ends as an object, is broken between, and holds nothing suspect, is counted and not rejected.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd

from meshlogs import schema, times
from meshlogs.blocks import ODD, Lines, Stretch, blocks
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.suspects import SUSPECTS
from meshlogs.formats import Shard, bulk, log_entries, streams
from meshlogs.formats.tables import Tables

# Files are split for several workers at multiples of this.
STRETCH = 128 << 20

_HOUR, _NEVER = 3600 * times.SECOND, 2**63
_ACCESS = re.compile(rb'(?:"textPayload":"\[|"start_time":\s*")(\d{4}-\d\d-\d\dT[\d:.]+Z)')
_OUTBOUND = (b"outbound|", b"PassthroughCluster", b"BlackHoleCluster")
# Entries that are no container's, and matter: events, and audit entries about pods.
_OTHER = (b"events", b"nvolvedObject", b"regarding", b"core.v1.pods")


class Found(NamedTuple):
    """What one stretch held: the shard of what was parsed, lines by kind and hour, and how many lines it has."""

    shard: Shard
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


def scan(stretch: Stretch, done=None) -> Found:
    """What matters in a stretch of a file of log entries. `done` is called with the bytes read so far."""
    look = _Look(stretch.source)
    with streams.open_text(stretch.path) as file:
        for block in blocks(file, stretch):
            look.at(block)
            if done:
                done(len(block))
        damage = streams.damage_of(file)
    shard = look.shard()
    return Found(
        shard if damage is None else shard.with_reject(None, damage, "", stretch.source), look.counts(), look.lines
    )


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

    def __init__(self, source: str):
        self.lines = 0
        self._tables = Tables(source)
        self._numbers: dict = {}  # a resource's hash or spelling -> its number
        self._kinds: list[tuple] = []  # kind, project, cluster of each resource
        self._special = np.zeros(0, bool)  # those that are no application
        self._cells: defaultdict = defaultdict(_Cell)  # by resource and hour since the epoch
        self._requests: dict = {}  # (resource, minute) -> first and last request, with their lines
        self._parsed: set[int] = set()

    def at(self, block: np.ndarray) -> None:
        """Look at one block of whole lines."""
        lines = Lines(block)
        suspects, odd = _engine()(block.data)
        resources, moments = self._placed(lines, odd)
        self._count(lines, resources, moments)
        wanted = self._wanted(lines, resources, suspects)
        for line in wanted.tolist():
            if resources[line] >= 0:
                self._cells[int(resources[line]), int(moments[line]) // _HOUR].lines -= 1
            self._parse(self.lines + 1 + line, lines.text(line))
        self.lines += len(lines.ends)

    def _placed(self, lines: Lines, odd: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Of each line the number of its resource, -1 where it is not told, and its time [ns]."""
        resources, moments = np.full((2, len(lines.ends)), -1)
        keys, first, inverse = np.unique(lines.keys, return_index=True, return_inverse=True)
        numbers = np.full(len(keys), -1)
        for at in np.argsort(first).tolist():
            numbers[at] = self._number(int(keys[at]), lines, int(first[at]))
        resources[lines.usual], moments[lines.usual] = numbers[inverse], lines.times
        resources[lines.holding(odd)] = -1
        for line in np.flatnonzero(resources < 0).tolist():
            if found := _place_of(lines.text(line)):
                key, moments[line] = found
                resources[line] = self._number(key)
        self._special = np.array([kind != "app_logs" for kind, *_ in self._kinds], bool)
        return resources, moments

    def _number(self, key: int | bytes, lines: Lines | None = None, usual: int = 0) -> int:
        """The number of a resource, by its spelling or by the hash of that of a usual line; -1 if it is none."""
        if key not in self._numbers:
            site = _site(key if lines is None else lines.resource(usual))
            self._numbers[key] = -1 if site is None else len(self._kinds)
            if site is not None:
                self._kinds.append(site)
        return self._numbers[key]

    def _count(self, lines: Lines, resources: np.ndarray, moments: np.ndarray) -> None:
        """Take in how many lines each container wrote in each hour, which first, which last; ties as in the file."""
        order = np.flatnonzero(resources >= 0)
        if (np.diff(moments[order]) < 0).any():
            order = order[np.argsort(moments[order], kind="stable")]
        hours, hour = np.unique(moments[order] // _HOUR, return_inverse=True)
        cells = resources[order] * len(hours) + hour
        counts = np.bincount(cells)
        first, last = np.empty((2, len(counts)), np.int64)
        # Of several values for one place the last one stays.
        first[cells[::-1]], last[cells] = order[::-1], order
        found = np.flatnonzero(counts)
        early, late = first[found], last[found]
        columns = (found // len(hours), hours[found % len(hours)], counts[found])
        ends = (early, moments[early], late, moments[late])
        for resource, hour, count, *begin_and_end in zip(
            *(column.tolist() for column in (*columns, *ends)), strict=True
        ):
            self._cells[resource, hour].add(count, *begin_and_end, self.lines + 1, lines)

    def _wanted(self, lines: Lines, resources: np.ndarray, suspects: list[int]) -> np.ndarray:
        """The lines to parse now: suspects, those that do not tell whose they are, and others' that matter."""
        wanted = resources < 0
        wanted[lines.holding(suspects)] = True
        for line in np.flatnonzero(~wanted & np.append(self._special, True)[resources]).tolist():
            wanted[line] = self._matters(lines.text(line), int(resources[line]), self.lines + 1 + line)
        return np.flatnonzero(wanted)

    def _matters(self, line: bytes, resource: int, number: int) -> bool:
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
                    minute[place] = (began, {number: line})
                elif began == minute[place][0]:
                    minute[place][1][number] = line
        return False

    def _parse(self, number: int, line: bytes) -> None:
        if not line.isspace() and line:
            self._parsed.add(number)
            log_entries.add_text(self._tables, line, number)

    def shard(self) -> Shard:
        """The rows of what was parsed, the first and last lines of containers and of minutes of requests included."""
        kept = {}
        for cell, seen in self._cells.items():
            kept |= {number: (text, cell) for _, number, text in (seen.first, seen.last)}
        for (resource, _), minute in self._requests.items():
            for number, text in (minute[0][1] | minute[1][1]).items():
                kept.setdefault(number, (text, (resource, None)))
        for number in sorted(kept.keys() - self._parsed):
            text, (resource, hour) = kept[number]
            self._cells[resource, _place_of(text)[1] // _HOUR if hour is None else hour].lines -= 1
            self._parse(number, text)
        return self._tables.shard("log_entries")

    def counts(self) -> pd.DataFrame:
        """Lines that were not parsed: kind, project, cluster, hour, entries."""
        totals: Counter = Counter()
        for (resource, hour), seen in self._cells.items():
            totals[(*self._kinds[resource], hour)] += seen.lines
        rows = [(*site, hour, number) for (*site, hour), number in totals.items() if number]
        table = pd.DataFrame(rows, columns=["kind", "project", "cluster", "hour", "entries"])
        hours = times.column(table["hour"].to_numpy("int64") * _HOUR)
        return schema.conform(table.assign(hour=hours), schema.COVERAGE)


def _place_of(line: bytes) -> tuple[bytes, int] | None:
    """(resource, time [ns]) of a line that is one entry and has both."""
    try:
        found = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    moment = times.parse_ns(found.timestamp)
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
    """A function from a block to the places where suspects end, and where odd spellings do: their last bytes."""
    groups = (SUSPECTS, ODD)
    try:
        import hyperscan
    except ImportError:
        compiled = [re.compile(b"|".join(b"(?:" + each + b")" for each in group), re.IGNORECASE) for group in groups]
        return lambda block: [[match.end() - 1 for match in pattern.finditer(block)] for pattern in compiled]
    patterns = [pattern for group in groups for pattern in group]
    database = hyperscan.Database()
    database.compile(
        expressions=patterns, ids=list(range(len(patterns))), flags=[hyperscan.HS_FLAG_CASELESS] * len(patterns)
    )
    scratch = hyperscan.Scratch(database)

    def places(block: memoryview) -> list[list[int]]:
        found: list[list[int]] = [[], []]
        add = [found[number].append for number, group in enumerate(groups) for _ in group]
        database.scan(
            block,
            match_event_handler=lambda pattern, _begin, end, _flags, _context: add[pattern](end - 1),
            scratch=scratch,
        )
        return found

    return places
