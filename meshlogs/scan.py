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
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from meshlogs import schema, times
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.suspects import SUSPECTS
from meshlogs.formats import Shard, log_entries, streams
from meshlogs.formats.tables import Tables

BLOCK = 1 << 20
# Files are split for several workers at multiples of this.
STRETCH = 128 << 20

_RESOURCE = rb'"resource": ?\{"(?:labels": ?\{|type": ?")'
_TIME = rb'"timestamp": ?"'
_HOUR, _LONGEST = 13, 29  # characters of a time up to its hour, and with nanoseconds
_HOURS, _STAMPS, _NEVER = "S13", "S29", b"~"
_ACCESS = re.compile(rb'(?:"textPayload":"\[|"start_time":\s*")(\d{4}-\d\d-\d\dT[\d:.]+Z)')
_OUTBOUND = (b"outbound|", b"PassthroughCluster", b"BlackHoleCluster")
# Entries that are no container's, and matter: events, and audit entries about pods.
_OTHER = (b"events", b"nvolvedObject", b"regarding", b"core.v1.pods")


class Stretch(NamedTuple):
    """A part of a file: from the first line that begins at or after `begin` to the last that begins before `end`."""

    path: Path
    source: str
    begin: int = 0
    end: int | None = None


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
        for block in _blocks(file, stretch):
            look.at(block)
            if done:
                done(len(block))
        damage = streams.damage_of(file)
    shard = look.shard()
    return Found(
        shard if damage is None else shard.with_reject(None, damage, "", stretch.source), look.counts(), look.lines
    )


def rows(stretch: Stretch) -> Iterator[tuple[Shard, int]]:
    """Every line of a stretch, parsed: shards of a bounded size, each with the number of lines read so far."""
    tables, lines = Tables(stretch.source), 0
    with streams.open_text(stretch.path) as file:
        for block in _blocks(file, stretch):
            for line in block.split(b"\n")[: -1 if block.endswith(b"\n") else None]:
                lines += 1
                if line and not line.isspace():
                    log_entries.add_text(tables, line, lines)
            if tables.full:
                yield tables.taken("log_entries"), lines
        damage = streams.damage_of(file)
    shard = tables.shard("log_entries")
    yield shard if damage is None else shard.with_reject(None, damage, "", stretch.source), lines


def _blocks(file: BinaryIO, stretch: Stretch) -> Iterator[bytes]:
    """Blocks of whole lines, about `BLOCK` bytes each; a longer line is a block of its own."""
    at = stretch.begin
    if at:
        file.seek(at - 1)
        at += len(file.readline()) - 1
    rest = b""
    while stretch.end is None or at < stretch.end:
        data = file.read(BLOCK)
        if not data:
            break
        begin, at = at, at + len(data)
        if stretch.end is not None and at >= stretch.end:
            # The last line is the one that begins before the end.
            cut = data.find(b"\n", max(stretch.end - 1 - begin, 0)) + 1
            data = data[:cut] if cut else data + file.readline()
        end = data.rfind(b"\n") + 1
        if end:
            yield rest + data[:end]
            rest = data[end:]
        else:
            rest += data
    if rest:
        yield rest


class _Block(NamedTuple):
    """Whole lines and, for each of them (or those that could be told), where and when it was written."""

    data: bytes
    keys: list[bytes]  # the resource, as spelled
    stamps: np.ndarray  # the time, without its Z
    starts: np.ndarray  # where the lines begin
    ends: np.ndarray  # where they end, without the line's end
    numbers: Sequence[int]  # of the lines in the file

    def line(self, at: int) -> bytes:
        """The text of a line, without its end."""
        return self.data[self.starts[at] : self.ends[at]]

    def holding(self, places: list[int]) -> set[int]:
        """The lines that hold these bytes, of those that are known."""
        at = np.searchsorted(self.ends, np.array(places, np.int64))
        known = at < len(self.ends)
        known[known] = self.starts[at[known]] <= np.array(places, np.int64)[known]
        return set(at[known].tolist())

    def hours(self) -> Iterator[tuple[bytes, np.ndarray]]:
        """Each hour, and its lines in the order of their times; of equal times, in that of the file."""
        stamps = self.stamps
        order = np.arange(len(stamps))
        if (stamps[1:] < stamps[:-1]).any():
            order = np.argsort(stamps, kind="stable")
        hours = stamps[order].astype(_HOURS)
        edges = np.flatnonzero(hours[1:] != hours[:-1]) + 1
        return zip(hours[[0, *edges]].tolist() if len(hours) else [], np.split(order, edges), strict=False)


class _Numbers(dict):
    """A number for each key, given when it is first asked for."""

    def __missing__(self, key: bytes) -> int:
        self[key] = len(self)
        return self[key]


class _Hour:
    """What was seen within an hour, by the numbers of the resources: how many lines, which was first, which last."""

    def __init__(self):
        self.lines = np.zeros(0, np.int64)
        self.kept: dict[tuple[int, str], tuple[int, bytes]] = {}  # (resource, which) -> number and text of the line
        self._first, self._last = np.zeros(0, _STAMPS), np.zeros(0, _STAMPS)
        self._open: tuple = (None, self.lines, self.lines)  # the last lines of a block: it, resources, places in it

    def see(self, block: _Block, resources: np.ndarray, order: np.ndarray, count: int) -> None:
        """Take in the lines of a block, in the order of their times; there are so many resources by now."""
        more = count - len(self.lines)
        self.lines = np.pad(self.lines, (0, more))
        self._first = np.concatenate([self._first, np.full(more, _NEVER, _STAMPS)])
        self._last = np.concatenate([self._last, np.zeros(more, _STAMPS)])
        mine, stamps = resources[order], block.stamps[order]
        self.lines += np.bincount(mine, minlength=count)
        found, at = np.unique(mine, return_index=True)
        sooner = stamps[at] < self._first[found]
        self._first[found[sooner]] = stamps[at[sooner]]
        self._keep(block, found[sooner], order[at[sooner]], "first")
        found, at = np.unique(mine[::-1], return_index=True)
        at = len(mine) - 1 - at
        later = stamps[at] >= self._last[found]
        self._last[found[later]] = stamps[at[later]]
        self.close(found[later])
        self._open = block, found[later], order[at[later]]

    def close(self, but: np.ndarray) -> None:
        """Keep the last lines of the block before, except for resources that have later ones."""
        block, found, at = self._open
        if block is not None:
            stay = ~np.isin(found, but)
            self._keep(block, found[stay], at[stay], "last")
            self._open = (None, self.lines, self.lines)

    def close_before(self, block: _Block) -> None:
        """Keep the last lines of an earlier block, if this one had none of the hour: it is not held any longer."""
        if self._open[0] is not block:
            self.close(self.lines[:0])

    def _keep(self, block: _Block, resources: np.ndarray, at: np.ndarray, which: str) -> None:
        for resource, place in zip(resources.tolist(), at.tolist(), strict=True):
            self.kept[resource, which] = block.numbers[place], block.line(place)


class _Look:
    """The state of a scan: rows parsed so far, and per container and hour what was seen first and last."""

    def __init__(self, source: str):
        self.lines = 0
        self._tables = Tables(source)
        self._resources = _Numbers()
        self._kinds: list[tuple] = []  # kind, project, cluster of each resource
        self._special = np.zeros(0, bool)  # those that are no application
        self._hours: defaultdict[bytes, _Hour] = defaultdict(_Hour)
        self._requests: dict = {}  # (resource, minute) -> first and last request, with their lines
        self._parsed: set[int] = set()

    def at(self, data: bytes) -> None:
        """Look at one block of whole lines."""
        starts, ends = _edges(data)
        suspects, marks, times_ = _engine()(data)
        block = self._columns(data, marks, times_, starts, ends) or self._one_by_one(data, starts, ends)
        self.lines += len(ends)
        resources = np.fromiter(map(self._resources.__getitem__, block.keys), np.int64, len(block.keys))
        self._tell_kinds()
        for hour, order in block.hours():
            self._hours[hour].see(block, resources, order, len(self._kinds))
        for seen in self._hours.values():
            seen.close_before(block)
        for at in sorted(self._wanted(block, resources, suspects)):
            self._hours[block.stamps[at][:_HOUR]].lines[resources[at]] -= 1
            self._parse(block.numbers[at], block.line(at))

    def _tell_kinds(self) -> None:
        """What the resources are that were seen for the first time."""
        if len(self._kinds) < len(self._resources):
            self._kinds += [_site(key) for key in islice(self._resources, len(self._kinds), None)]
            self._special = np.array([kind != "app_logs" for kind, *_ in self._kinds])

    def _columns(self, data: bytes, resources: list[int], stamps: list[int], starts, ends) -> _Block | None:
        """The block, if each line is an object that has one resource and one time, as usual."""
        if not (_one_in_each(resources, starts, ends) and _one_in_each(stamps, starts, ends)):
            return None
        if not _are_objects(data, starts, ends):
            return None
        keys = [data[at : data.find(b"}", at)] for at in resources]
        stamps = [data[at : data.find(b"Z", at)] for at in stamps]
        if max(map(len, stamps)) > _LONGEST:
            return None
        numbers = range(self.lines + 1, self.lines + 1 + len(ends))
        return _Block(data, keys, np.array(stamps, _STAMPS), starts, ends, numbers)

    def _one_by_one(self, data: bytes, starts: np.ndarray, ends: np.ndarray) -> _Block:
        """The lines that tell where and when they were written, decoded one after another; the others are parsed."""
        keys, stamps, known = [], [], []
        for at, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            found = _place_of(data[start:end])
            if found is None:
                self._parse(self.lines + 1 + at, data[start:end])
            else:
                keys.append(found[0])
                stamps.append(found[1])
                known.append(at)
        numbers = [self.lines + 1 + at for at in known]
        return _Block(data, keys, np.array(stamps, _STAMPS), starts[known], ends[known], numbers)

    def _wanted(self, block: _Block, resources: np.ndarray, suspects: list[int]) -> set[int]:
        """The lines to parse now: those in which something suspect ends, and what is no application's and matters."""
        wanted = block.holding([end - 1 for end in suspects])
        for at in np.flatnonzero(self._special[resources]).tolist():
            if at not in wanted and self._matters(block.line(at), int(resources[at]), block.numbers[at]):
                wanted.add(at)
        return wanted

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
        for hour, seen in self._hours.items():
            seen.close(seen.lines[:0])
            kept |= {number: (text, resource, hour) for (resource, _), (number, text) in seen.kept.items()}
        for (resource, _), minute in self._requests.items():
            for number, text in (minute[0][1] | minute[1][1]).items():
                kept.setdefault(number, (text, resource, None))
        for number in sorted(kept.keys() - self._parsed):
            text, resource, hour = kept[number]
            self._hours[hour or _place_of(text)[1][:_HOUR]].lines[resource] -= 1
            self._parse(number, text)
        return self._tables.shard("log_entries")

    def counts(self) -> pd.DataFrame:
        """Lines that were not parsed: kind, project, cluster, hour, entries."""
        totals: Counter = Counter()
        for hour, seen in self._hours.items():
            for site, number in zip(self._kinds, seen.lines.tolist(), strict=False):
                totals[(*site, hour.decode("ascii", "replace"))] += number
        rows = [(*site, hour, number) for (*site, hour), number in totals.items() if number]
        table = pd.DataFrame(rows, columns=["kind", "project", "cluster", "hour", "entries"])
        hours = np.array([times.parse_ns(f"{hour}:00:00Z") for hour in table["hour"]], dtype="int64")
        return schema.conform(table.assign(hour=times.column(hours)), schema.COVERAGE)


def _edges(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where the lines of a block begin, and where they end."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    return np.concatenate([[0], ends[:-1] + 1]), ends


def _are_objects(data: bytes, starts: np.ndarray, ends: np.ndarray) -> bool:
    """Whether each line begins and ends as an object."""
    letters = np.frombuffer(data, np.uint8)
    last = letters[ends - 1]
    if (last == 13).any():
        last = np.where(last == 13, letters[np.maximum(ends - 2, 0)], last)
    return bool((ends > starts).all() and (letters[starts] == 123).all() and (last == 125).all())


def _one_in_each(places: list[int], starts: np.ndarray, ends: np.ndarray) -> bool:
    """Whether there is one of these places in each line."""
    if len(places) != len(starts):
        return False
    at = np.array(places, np.int64)
    return bool((at >= starts).all() and (at <= ends).all())


def _place_of(line: bytes) -> tuple[bytes, bytes] | None:
    """(resource, time without its Z) of a line that is one entry written as usual."""
    try:
        found = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    stamp = found.timestamp
    usual = stamp.endswith("Z") and 20 <= len(stamp) <= _LONGEST + 1 and stamp.isascii()
    return (bytes(found.resource), stamp[:-1].encode()) if usual else None


class _Placed(msgspec.Struct):
    resource: msgspec.Raw
    timestamp: str


_DECODER = msgspec.json.Decoder(_Placed)


@lru_cache(maxsize=200_000)
def _site(key: bytes) -> tuple[str, str | None, str | None]:
    """(kind, project, cluster) of entries with this resource: whole, or what follows a style's mark."""
    for text in (key, b"{" + key + b"}", b'{"type":"' + key + b"}}"):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        labels = found.get("labels", found) if isinstance(found, dict) else None
        if isinstance(labels, dict):
            container = labels.get("container_name")
            kind = "other" if container is None else "proxy_logs" if container == PROXY else "app_logs"
            return kind, labels.get("project_id"), labels.get("cluster_name")
    return "other", None, None


@lru_cache(maxsize=1)
def _engine():
    """A function from a block to the places where suspects end, marks of resources, and marks of times."""
    groups = (SUSPECTS, (_RESOURCE,), (_TIME,))
    try:
        import hyperscan
    except ImportError:
        compiled = [re.compile(b"|".join(b"(?:" + each + b")" for each in group), re.IGNORECASE) for group in groups]
        return lambda block: [[match.end() for match in pattern.finditer(block)] for pattern in compiled]
    patterns = [pattern for group in groups for pattern in group]
    database = hyperscan.Database()
    flags = [hyperscan.HS_FLAG_CASELESS] * len(SUSPECTS) + [0, 0]
    database.compile(expressions=patterns, ids=list(range(len(patterns))), flags=flags)
    scratch = hyperscan.Scratch(database)

    def places(block: bytes) -> list[list[int]]:
        found: list[list[int]] = [[], [], []]
        add = [found[number].append for number, group in enumerate(groups) for _ in group]
        database.scan(
            block, match_event_handler=lambda pattern, _begin, end, _flags, _context: add[pattern](end), scratch=scratch
        )
        return found

    return places
