"""Finding what matters in files of log entries, one a line, without parsing every line.

A line is parsed if its raw bytes might matter to any step (`evidence.suspects`), if it is the first or the last of a
container in its hour (proof that the container logged), if it is a proxy's own, an event or about a pod; of a proxy's
access log only the first and last request of each minute. The others are counted by container and hour. What is parsed
then goes the same way as a file read whole, so the result is the same; one thing differs: a line that begins
and ends as an object, is broken between, and holds nothing suspect, is counted and not rejected.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

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

_LABELS = b'"resource":{"labels":{'
_STAMP = b'"timestamp":"'
_HOUR = 13  # characters of a time up to its hour
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


def stretches(path: Path, source: str) -> list[Stretch]:
    """The parts of a file that can be scanned apart: several of a large plain file, one of a compressed one."""
    with path.open("rb") as file:
        compressed = streams.compressed(file.read(6))
    size = path.stat().st_size
    if compressed or size <= STRETCH + STRETCH // 2:
        return [Stretch(path, source)]
    edges = [*range(0, size - STRETCH // 2, STRETCH), None]
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


class _Look:
    """The state of a scan: rows parsed so far, and per container what was seen first and last."""

    def __init__(self, source: str):
        self.lines = 0
        self._tables = Tables(source)
        self._counts: Counter = Counter()  # (labels, hour) -> lines that were not parsed
        self._first: dict[tuple, tuple[bytes, int, bytes]] = {}  # (labels, hour) -> time, number, line
        self._last: dict[tuple, tuple[bytes, int, bytes]] = {}
        self._requests: dict = {}  # (labels, minute) -> first and last request, with their lines
        self._parsed: set[int] = set()

    def at(self, block: bytes) -> None:
        """Look at one block of whole lines."""
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
        if not len(ends) or ends[-1] != len(block) - 1:
            ends = np.append(ends, len(block))
        starts = np.concatenate([[0], ends[:-1] + 1])
        begin, self.lines = self.lines + 1, self.lines + len(ends)
        labels = _after(_LABELS, b"}", block, starts, ends)
        stamps = _after(_STAMP, b'Z"', block, starts, ends)
        if not labels or not stamps or not _whole(block, starts, ends):
            for number, (start, end) in enumerate(zip(starts, ends, strict=True), begin):
                self._parse(number, block[start:end])
            return
        wanted = self._wanted(block, starts, ends, labels, begin)
        for at in sorted(wanted):
            self._parse(begin + at, block[starts[at] : ends[at]])
        ordered = stamps == sorted(stamps)
        if ordered and stamps[0][:_HOUR] == stamps[-1][:_HOUR]:
            hour, total = stamps[0][:_HOUR], len(labels)
            first = dict(zip(reversed(labels), range(total - 1, -1, -1), strict=True))
            last = dict(zip(labels, range(total), strict=True))
            for key in last:
                self._saw((key, hour), stamps, first[key], block, starts, ends, begin)
                self._saw((key, hour), stamps, last[key], block, starts, ends, begin)
            counts = Counter(labels)
            counts.subtract(labels[at] for at in wanted)
            for key, number in counts.items():
                self._counts[key, hour] += number
            return
        for at, (key, stamp) in enumerate(zip(labels, stamps, strict=True)):
            self._saw((key, stamp[:_HOUR]), stamps, at, block, starts, ends, begin)
            if at not in wanted:
                self._counts[key, stamp[:_HOUR]] += 1

    def _saw(self, place, stamps, at, block, starts, ends, begin) -> None:
        """Keep the line if it is the first or the last of its container in its hour, so far."""
        stamp = stamps[at]
        if stamp < self._first.get(place, (b"\xff",))[0]:
            self._first[place] = stamp, begin + at, block[starts[at] : ends[at]]
        if stamp >= self._last.get(place, (b"",))[0]:
            self._last[place] = stamp, begin + at, block[starts[at] : ends[at]]

    def _wanted(self, block, starts, ends, labels, begin) -> set[int]:
        """The places of the lines to parse now."""
        hits = np.array(_suspects(block), dtype=np.int64)
        wanted = set(np.searchsorted(ends, hits - 1).tolist())
        special = {key for key in set(labels) if _site(key)[0] != "app_logs"}
        if special:
            for at, key in enumerate(labels):
                if key in special and at not in wanted and self._matters(block[starts[at] : ends[at]], key, begin + at):
                    wanted.add(at)
        return wanted

    def _matters(self, line: bytes, key: bytes, number: int) -> bool:
        """Whether a line that is no application's is to be parsed now; requests are kept until the end."""
        if _site(key)[0] != "proxy_logs":
            return any(word in line for word in _OTHER)
        request = _ACCESS.search(line)
        if not request:
            return True
        if any(word in line for word in _OUTBOUND):
            began = request[1]
            minute = self._requests.setdefault((key, began[:16]), [(began, {}), (began, {})])
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
        """The rows of what was parsed, the last lines of containers and of minutes of requests included."""
        kept = {number: line for seen in (self._first, self._last) for _, number, line in seen.values()}
        for minute in self._requests.values():
            kept |= minute[0][1] | minute[1][1]
        for number in sorted(set(kept) - self._parsed):
            self._uncount(kept[number])
            self._parse(number, kept[number])
        return self._tables.shard("log_entries")

    def _uncount(self, line: bytes) -> None:
        """A line that was counted is parsed after all."""
        key, stamp = (line.split(mark, 1)[1] for mark in (_LABELS, _STAMP))
        self._counts[key[: key.find(b"}")], stamp[:_HOUR]] -= 1

    def counts(self) -> pd.DataFrame:
        """Lines that were not parsed: kind, project, cluster, hour, entries."""
        totals: Counter = Counter()
        for (key, hour), number in self._counts.items():
            totals[(*_site(key), hour.decode("ascii", "replace"))] += number
        rows = [(*site, hour, number) for (*site, hour), number in totals.items() if number]
        table = pd.DataFrame(rows, columns=["kind", "project", "cluster", "hour", "entries"])
        hours = np.array([times.parse_ns(f"{hour}:00:00Z") for hour in table["hour"]], dtype="int64")
        return schema.conform(table.assign(hour=times.column(hours)), schema.COVERAGE)


def _after(mark: bytes, end: bytes, block: bytes, starts: np.ndarray, ends: np.ndarray) -> list[bytes] | None:
    """What stands between a mark and an end in each line; None unless each line has the mark just once."""
    parts = block.split(mark)
    if len(parts) != len(starts) + 1:
        return None
    at = np.cumsum(np.fromiter(map(len, parts[:-1]), np.int64, len(starts)) + len(mark))
    if (at < starts).any() or (at > ends).any():
        return None
    return [part[: part.find(end)] for part in parts[1:]]


def _whole(block: bytes, starts: np.ndarray, ends: np.ndarray) -> bool:
    """Whether each line begins and ends as an object."""
    data = np.frombuffer(block, np.uint8)
    last = data[ends - 1]
    if (last == 13).any():
        last = np.where(last == 13, data[np.maximum(ends - 2, 0)], last)
    return bool((ends > starts).all() and (data[starts] == 123).all() and (last == 125).all())


@lru_cache(maxsize=200_000)
def _site(key: bytes) -> tuple[str, str | None, str | None]:
    """(kind, project, cluster) of entries with these labels."""
    try:
        labels = json.loads(b"{" + key + b"}")
    except ValueError:
        return "other", None, None
    container = labels.get("container_name")
    kind = "other" if container is None else "proxy_logs" if container == PROXY else "app_logs"
    return kind, labels.get("project_id"), labels.get("cluster_name")


@lru_cache(maxsize=1)
def _engine():
    """A function from a block to the places at which something suspect ends."""
    try:
        import hyperscan
    except ImportError:
        pattern = re.compile(b"|".join(b"(?:" + each + b")" for each in SUSPECTS), re.IGNORECASE)
        return lambda block: [match.end() for match in pattern.finditer(block)]
    database = hyperscan.Database()
    flags = hyperscan.HS_FLAG_CASELESS
    database.compile(expressions=list(SUSPECTS), ids=list(range(len(SUSPECTS))), flags=[flags] * len(SUSPECTS))
    scratch = hyperscan.Scratch(database)

    def places(block: bytes) -> list[int]:
        found: list[int] = []
        append = found.append
        database.scan(
            block, match_event_handler=lambda _id, _begin, end, _flags, _context: append(end), scratch=scratch
        )
        return found

    return places


def _suspects(block: bytes) -> list[int]:
    return _engine()(block)
