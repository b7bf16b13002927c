"""Log entries, one a line, as Arrow columns: usual lines many at a time, all others one after another.

A line is usual if it is one entry as nearly all writers spell it, that becomes one row and nothing else. What is not
known to be usual goes the careful road (`log_entries.add_text`); the rows of both stand in the order of the lines.
Both roads decode with the same decoders, and read resources, labels and messages with the same functions.
"""

from collections.abc import Iterable
from contextlib import suppress

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema
from meshlogs.formats import entry, log_entries
from meshlogs.formats.tables import CHUNK, GRANULARITY, Shard, Tables, without_newline

# Columns of few different texts, which are kept and written as numbers of these.
REPEATED = (*entry.ORIGIN, "node", "stream", "time_granularity", "source")
# `schema.LOG_ENTRIES` with those as Arrow dictionaries.
_TEXTS = pa.dictionary(pa.int32(), pa.string())
LAYOUT = pa.schema([(field.name, _TEXTS if field.name in REPEATED else field.type) for field in schema.LOG_ENTRIES])

_PIECE = 1 << 19  # bytes decoded at a time: few enough to stay in the processor's cache
_LEAST = 4  # so many lines go the careful road if one of them makes their decoding fail
_SECOND = len("2020-01-01T00:00:00Z")
_LENGTHS = [_SECOND, *range(_SECOND + 2, _SECOND + 11)]
# What a decoder or Arrow raises at something that is not usual.
_ODD = (*entry.WRONG, pa.ArrowInvalid)
_NEWLINE, _OPEN, _CLOSE = b"\n{}"
_EVENT = (b'"involvedObject"', b'"regarding"')

_messages = msgspec.json.Decoder(list[entry.Message])


class Reader:
    """Rows of lines that are added block by block."""

    def __init__(self, source: str):
        self.lines = 0
        self._tables = Tables(source)
        self._rows = [LAYOUT.empty_table()]

    def add(self, block: bytes | np.ndarray) -> None:
        """Add whole lines; the block (of uint8, if an array) may be overwritten afterwards."""
        lines = _Lines(block)
        entries, numbers = lines.entries()
        usual, rows = _columns(entries, self._tables.source)
        numbers = np.array(numbers, np.int64)[usual]
        rows = rows.append_column("line", pa.array(numbers + (self.lines + 1))).select(LAYOUT.names)
        self._tables.records += len(rows)
        odd = np.ones(len(lines.ends), bool)
        odd[numbers] = False
        self._rows.append(self._with(rows, lines, np.flatnonzero(odd)) if odd.any() else rows)
        self.lines += len(lines.ends)

    @property
    def full(self) -> bool:
        """Whether these are rows enough for one chunk."""
        return self._tables.full or sum(rows.nbytes for rows in self._rows) > CHUNK

    def taken(self) -> Shard:
        """The rows so far, the entries as an Arrow table (`LAYOUT`); the reader goes on with the next."""
        return self._shard(self._tables.taken("log_entries"))

    def shard(self) -> Shard:
        """The rows to the end of the file, with the parts of split entries joined."""
        return self._shard(self._tables.shard("log_entries"))

    def _shard(self, rest: Shard) -> Shard:
        rows, self._rows = pa.concat_tables([*self._rows, packed(rest.log_entries)]), [LAYOUT.empty_table()]
        return rest._replace(log_entries=rows.unify_dictionaries())

    def _with(self, rows: pa.Table, lines: "_Lines", odd: np.ndarray) -> pa.Table:
        """These rows and those of the lines that are not usual, in the order of the lines."""
        numbers = []
        for number in odd.tolist():
            text = bytes(lines.text(number, number + 1))
            if text and not text.isspace():
                log_entries.add_text(self._tables, text, self.lines + 1 + number)
                numbers += [self.lines + 1 + number] * (self._tables.waiting - len(numbers))
        careful = packed(self._tables.entries_taken())
        order = np.argsort(np.concatenate([rows["line"].to_numpy(), numbers]), kind="stable")
        return pa.concat_tables([rows, careful]).unify_dictionaries().take(order)


class _Lines:
    """The lines of a block: where they begin and end, and whether each does so as an object."""

    def __init__(self, block: bytes | np.ndarray):
        letters = np.frombuffer(block, np.uint8)
        pieces = range(0, len(letters), _PIECE)
        ends = [np.flatnonzero(letters[at : at + _PIECE] == _NEWLINE) + at for at in pieces]
        if letters[-1] != _NEWLINE:
            ends.append([len(letters)])
        self.ends = np.concatenate(ends)
        self.starts = np.concatenate([[0], self.ends[:-1] + 1])
        self._objects = (letters[self.starts] == _OPEN) & (letters[self.ends - 1] == _CLOSE)
        self._data = letters.data

    def text(self, first: int, end: int) -> memoryview:
        """The lines with these numbers."""
        return self._data[self.starts[first] : self.ends[end - 1]]

    def entries(self) -> tuple[list[entry.Entry], list[int]]:
        """The entries of those lines that are an object each, and the lines' numbers, from 0."""
        found, numbers, first = [], [], 0
        while first < len(self.ends):
            end = max(int(np.searchsorted(self.ends, self.starts[first] + _PIECE)), first + 1)
            self._decode(first, end, found, numbers)
            first = end
        return found, numbers

    def _decode(self, first: int, end: int, found: list[entry.Entry], numbers: list[int]) -> None:
        """Add those of some lines.

        Where a line ends as an object and the next begins as one, no value spans both; with as many values as lines,
        each is on a line of its own.
        """
        with suppress(*entry.WRONG):
            if self._objects[first:end].all():
                entries = entry.decode_lines(self.text(first, end))
                if len(entries) == end - first:
                    found += entries
                    numbers += range(first, end)
                    return
        if end - first > _LEAST:
            half = (first + end) // 2
            self._decode(first, half, found, numbers)
            self._decode(half, end, found, numbers)


def packed(rows: pd.DataFrame | pa.Table) -> pa.Table:
    """Log entries (`schema.LOG_ENTRIES`) as an Arrow table of `LAYOUT`; one of these stays as it is."""
    if isinstance(rows, pd.DataFrame):
        rows = schema.to_arrow(rows, schema.LOG_ENTRIES)
    return rows.select(LAYOUT.names).cast(LAYOUT)


def unpacked(rows: pd.DataFrame | pa.Table) -> pd.DataFrame:
    """Log entries as a dataframe (`schema.LOG_ENTRIES`)."""
    return schema.conform(rows, schema.LOG_ENTRIES) if isinstance(rows, pa.Table) else rows


def _columns(entries: list[entry.Entry], source: str) -> tuple[np.ndarray, pa.Table]:
    """Whether each entry is usual; the rows of those that are, without their lines."""
    try:
        return _usual_rows(entries, source)
    except _ODD:
        half = len(entries) // 2
        if half < _LEAST:
            return np.zeros(len(entries), bool), _usual_rows([], source)[1]
        usual, rows = zip(_columns(entries[:half], source), _columns(entries[half:], source), strict=True)
        return np.concatenate(usual), pa.concat_tables(rows).unify_dictionaries()


def _usual_rows(entries: list[entry.Entry], source: str) -> tuple[np.ndarray, pa.Table]:
    """The same; raises one of `_ODD` where any of them holds something that cannot be decoded."""
    origins = _Numbers()
    of_origin = np.array([origins[bytes(one.resource), one.logName, one.severity] for one in entries], np.int64)
    places = [entry.origin(*key) for key in origins]
    told = entry.labels_in([bytes(one.labels) for one in entries])
    bodies = [b"" if one.textPayload is not None else bytes(one.jsonPayload) for one in entries]
    stamps = pa.array([one.timestamp for one in entries], pa.string())
    received = pa.array([one.receiveTimestamp for one in entries], pa.string())
    usual = _are_times(stamps) & (_are_times(received) | received.is_null().to_numpy(zero_copy_only=False))
    usual &= _flags(place is not None for place in places)[of_origin] & _flags(told.usual)
    usual &= _are_plain(bodies)
    usual &= _flags(not (one.protoPayload or one.split or one.entries or one.nextPageToken) for one in entries)
    if not usual.all():
        keep = np.flatnonzero(usual)
        stamps, received, of_origin = stamps.take(keep), received.take(keep), of_origin[keep]
        entries, bodies, *told = ([values[at] for at in keep.tolist()] for values in (entries, bodies, *told))
        told = entry.ManyLabels(*told)
    message, payload = _contents(entries, bodies)
    every = np.arange(len(entries))
    columns = {
        "time": stamps.cast(schema.TIME),
        "time_granularity": _repeated(GRANULARITY, np.maximum(_lengths(stamps) - _SECOND - 1, 0)),
        "receive_time": received.cast(schema.TIME),
        "insert_id": pa.array([one.insertId for one in entries], pa.string()),
        "node": _either(told.nodes, every, [place and place[-2] for place in places], of_origin),
        "stream": _either([place and place[-1] for place in places], of_origin, told.streams, every),
        "message": message,
        "payload": payload,
        "labels": pa.array(told.texts, pa.string()),
        "source": _repeated([source], np.zeros(len(entries), np.int64)),
    }
    for at, name in enumerate(entry.ORIGIN):
        columns[name] = _repeated([place and place[at] for place in places], of_origin)
    return usual, pa.table(columns)


class _Numbers(dict):
    """A number for each key, given when it is first asked for."""

    def __missing__(self, key) -> int:
        self[key] = len(self)
        return self[key]


def _flags(values: Iterable[bool]) -> np.ndarray:
    return np.fromiter(values, bool)


def _are_plain(bodies: list[bytes]) -> np.ndarray:
    """Whether each payload is none, or an object and no event."""
    plain = [body[:1] in (b"", b"{") for body in bodies]
    everything = b"".join(bodies)
    for mark in _EVENT:
        if mark in everything:
            plain = [good and mark not in body for good, body in zip(plain, bodies, strict=True)]
    return _flags(plain)


def _are_times(texts: pa.StringArray) -> np.ndarray:
    """Which texts may be times to the second or finer, in UTC: these Arrow reads exactly, or raises."""
    ends = pc.ends_with(texts, "Z").fill_null(False).to_numpy(zero_copy_only=False)
    return ends & np.isin(_lengths(texts), _LENGTHS)


def _lengths(texts: pa.StringArray) -> np.ndarray:
    return pc.binary_length(texts).fill_null(0).to_numpy()


def _contents(entries: list[entry.Entry], bodies: list[bytes]) -> tuple[pa.Array, pa.Array]:
    """(message, payload) of usual entries."""
    filled = [body for body in bodies if body]
    joined = b"[" + b",".join(filled) + b"]"
    said = iter(map(entry.said_in, _messages.decode(joined)))
    if msgspec.json.format(joined, indent=-1) != joined:
        filled = [msgspec.json.format(body, indent=-1) for body in filled]
    texts = iter(filled)
    payloads = [next(texts) if body else None for body in bodies]
    messages = [
        (next(said) or payload) if payload else None if one.textPayload is None else without_newline(one.textPayload)
        for one, payload in zip(entries, payloads, strict=True)
    ]
    return pa.array(messages, pa.string()), pa.array(payloads, pa.string())


def _either(first: list[str | None], of_first, second: list[str | None], of_second) -> pa.DictionaryArray:
    """What the first values have, or else the second."""
    filled = _flags(bool(value) for value in first)
    return _repeated([*first, *second], np.where(filled[of_first], of_first, len(first) + of_second))


def _repeated(values: list[str | None], numbers: np.ndarray) -> pa.DictionaryArray:
    """The values with these numbers, as a dictionary of those that differ."""
    places = _Numbers()
    found = np.array([-1 if value is None else places[value] for value in values], np.int32)[numbers]
    return pa.DictionaryArray.from_arrays(pa.array(found, mask=found < 0), pa.array(list(places), pa.string()))
