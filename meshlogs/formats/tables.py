"""The rows found in one file, gathered column by column, and small readers of untrusted values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa

from meshlogs import schema, times
from meshlogs.columnar import arrow
from meshlogs.formats.shapes import excerpt
from meshlogs.formats.splits import Splits
from meshlogs.later import Later

pd = Later("pandas")

CHUNK, ROW = 24_000_000, 800  # about how much memory one chunk's rows take, and one row besides its texts [bytes]
INT64 = 2**63

# By the number of decimals a time was written with.
_SCALE = [10 ** (9 - digits) for digits in range(10)]
GRANULARITY = ["s", "ms", "ms", "ms", "us", "us", "us", "ns", "ns", "ns"]


TABLES = ("log_entries", "events", "pods", "rejects", "splits")


class Shard(NamedTuple):
    """What one file held: tables that conform to `schema`, and how many records were found in it.

    They are dataframes; of a scan, Arrow tables.

    `records` counts log entries, events, pods, ignored objects and rejects; the parts of a split
    entry count each. `splits` are those of which others may stand in other files.
    """

    form: str
    log_entries: pd.DataFrame
    events: pd.DataFrame
    pods: pd.DataFrame
    rejects: pd.DataFrame
    splits: pd.DataFrame
    records: int
    source: str = ""

    def with_reject(self, line: int | None, reason: str, what: str | bytes, source: str) -> Shard:
        """The shard with one more reject."""
        more = pa.Table.from_pylist([_reject(source, line, reason, what)], schema.REJECTS)
        if isinstance(self.rejects, pa.Table):
            rejects = pa.concat_tables([self.rejects, more])
        else:
            more = schema.conform(more, schema.REJECTS)
            rejects = pd.concat([self.rejects, more], ignore_index=True) if len(self.rejects) else more
        return self._replace(rejects=rejects, records=self.records + 1)


def joined(shards: Iterable[Shard]) -> Shard:
    """One shard of the rows of several, in their order; form and source are those of the first."""
    shards = list(shards)
    if len(shards) == 1:
        return shards[0]
    tables = {}
    for name in TABLES:
        parts = [getattr(shard, name) for shard in shards]
        filled = [part for part in parts if len(part)]
        tables[name] = pd.concat(filled, ignore_index=True) if filled else parts[0]
    return shards[0]._replace(**tables, records=sum(shard.records for shard in shards))


class Tables:
    """Rows of one file so far. `entry` takes a tuple in the order of `ENTRY`, the others dictionaries.

    Parts of a split entry wait until all are there (`split.totalSplits`); at the end they are set aside.
    """

    ENTRY = tuple(name for name in schema.LOG_ENTRIES.names if name != "source")

    def __init__(self, source: str):
        self.source = source
        self._splits = Splits()
        self._clear()

    def _clear(self) -> None:
        self.records, self._weight = 0, 0
        self._entries: list[tuple] = []
        self._events: list[dict] = []
        self._pods: list[dict] = []
        self._rejects: list[dict] = []

    @property
    def full(self) -> bool:
        """Whether these are rows enough for one chunk."""
        return self._weight > CHUNK

    @property
    def waiting(self) -> int:
        """How many log entries were added and not taken."""
        return len(self._entries)

    def entry(self, values: tuple) -> None:
        """Add a log entry: times in ns (or None), the rest as in the schema."""
        self._entries.append(values)
        self._weight += ROW + len(values[_MESSAGE] or "") + len(values[_PAYLOAD] or "")

    def part(self, uid: str, index: int, total: int | None, text: str, values: tuple) -> None:
        """Add one part of a split log entry, of which there are so many in total if that is known."""
        whole = self._splits.add(uid, index, total, (*values[:_MESSAGE], text, *values[_MESSAGE + 1 :]))
        self._weight += ROW + len(text)
        if whole:
            self._entries.append(whole)

    def event(self, row: dict) -> None:
        """Add a row of `schema.EVENTS`."""
        self._events.append(row | {"source": self.source})
        self._weight += ROW + len(row.get("message") or "")

    def pod(self, row: dict) -> None:
        """Add a row of `schema.PODS`."""
        self._pods.append(row | {"source": self.source})
        self._weight += 10 * ROW

    def reject(self, line: int | None, reason: str, what: str | bytes, is_object: bool | None = None) -> None:
        """Add a record that could not be read; of an object (None: if it looks like one) no values are kept."""
        self._rejects.append(_reject(self.source, line, reason, what, is_object))
        self._weight += ROW

    def entries_taken(self) -> pa.Table:
        """The log entries so far (`schema.LOG_ENTRIES`), which are not held any longer; all else stays."""
        rows, self._entries = self._arrow(self._entries), []
        return rows

    def taken(self, form: str) -> Shard:
        """The rows so far; the tables start anew, but for the parts of split entries."""
        return self._taken(form, schema.conform)

    def shard(self, form: str) -> Shard:
        """The tables to the end of the file, parts of split entries that are not whole among them."""
        return self._taken(form, schema.conform, self._splits.aside())

    def arrow(self, form: str) -> Shard:
        """What `shard` gives, as Arrow tables."""
        return self._taken(form, _arrow_of, self._splits.aside())

    def _taken(self, form: str, table_of: Callable, aside: list[tuple] = ()) -> Shard:
        shard = Shard(
            form,
            table_of(self._arrow(self._entries) if self._entries else [], schema.LOG_ENTRIES, "log_entries"),
            table_of(self._events, schema.EVENTS, "events"),
            table_of(self._pods, schema.PODS, "pods"),
            table_of(self._rejects, schema.REJECTS, "rejects"),
            table_of(self._arrow_aside(aside) if aside else [], schema.SPLITS, "splits"),
            self.records,
            self.source,
        )
        self._clear()
        return shard

    def chunks(self, form: str, steps: Iterable) -> Iterator[Shard]:
        """Shards of a bounded size while the steps of a reader add rows; at least one."""
        for _ in steps:
            if self.full:
                yield self.taken(form)
        yield self.shard(form)

    def _arrow(self, entries: list[tuple]) -> pa.Table:
        columns = list(zip(*entries, strict=True)) or [()] * len(self.ENTRY)
        arrays = {
            name: pa.array(values, schema.LOG_ENTRIES.field(name).type)
            for name, values in zip(self.ENTRY, columns, strict=True)
        }
        arrays["source"] = pa.array([self.source] * len(entries), pa.string())
        return pa.table(arrays)

    def _arrow_aside(self, rows: list[tuple]) -> pa.Table:
        *told, parts = zip(*rows, strict=True)
        table = self._arrow([part or (None,) * len(self.ENTRY) for part in parts])
        for name, values in zip(schema.SPLITS.names, told, strict=False):
            table = table.append_column(name, pa.array(values, schema.SPLITS.field(name).type))
        return table


_MESSAGE, _PAYLOAD = Tables.ENTRY.index("message"), Tables.ENTRY.index("payload")


def _arrow_of(rows, table: pa.Schema, name: str) -> pa.Table:
    """What `schema.conform` gives for a list of dictionaries or an Arrow table, as an Arrow table."""
    if isinstance(rows, list):
        return pa.Table.from_pylist(rows, schema=table) if rows else arrow.empty(table)
    return schema.conform_arrow(rows, table, name)


def _reject(source: str, line: int | None, reason: str, what: str | bytes, is_object: bool | None = None) -> dict:
    return {"source": source, "line": line, "reason": reason, "excerpt": excerpt(what, is_object=is_object)}


def without_newline(text: str) -> str:
    """The text without its one trailing newline, which agents leave at the end of a line."""
    return text[:-1] if text.endswith("\n") else text


def dated(text: Any) -> tuple[int, str | None]:
    """`times.parse_ns` and `times.granularity` of a text, quick for the `…Z` of logs.

    >>> dated("2020-09-07T14:36:48.03093257Z"), dated(None) == (times.NAT, None)
    ((1599489408030932570, 'ns'), True)
    """
    if isinstance(text, str) and text[-1:] == "Z" and text.isascii():
        start, fraction = _second(text[:19]), text[20:-1]
        if start is not None:
            if len(text) == 20:
                return start, "s"
            if text[19] == "." and len(fraction) < 10 and fraction.isdigit():
                return start + int(fraction) * _SCALE[len(fraction)], GRANULARITY[len(fraction)]
    return times.parse_ns(text), times.granularity(text)


def stamp(text: Any) -> int:
    """`times.parse_ns`, quick for the `…Z` of logs."""
    return dated(text)[0]


@lru_cache(maxsize=4096)
def _second(text: str) -> int | None:
    # The last nanosecond of the second must fit, too: `parse_ns` keeps a day away from the ends of int64.
    start = times.parse_ns(text + "Z")
    return start if len(text) == 19 and start != times.NAT else None


def moment(text: Any) -> int | None:
    """Nanoseconds of a time's text, None if it is none."""
    ns = stamp(text)
    return None if ns == times.NAT else ns


def whole_second(text: Any) -> tuple[int | None, int | None]:
    """Closed bounds of a time that was floored to the second its text names; (None, None) if it is none."""
    ns = moment(text)
    if ns is None:
        return None, None
    ns -= ns % times.SECOND
    return ns, ns + times.SECOND - 1


def get(value: Any, *path: str) -> Any:
    """What lies at a path of keys in nested dictionaries, None if anything on the way is missing.

    >>> get({"a": {"b": 1}}, "a", "b"), get({"a": []}, "a", "b")
    (1, None)
    """
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text_of(value: Any) -> str | None:
    """The value if it is a text that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def integer(value: Any) -> int | None:
    """A whole number given as number or text, None if it is none or larger than 64 bits.

    >>> integer("7"), integer(7.0), integer(True), integer("x")
    (7, 7, None, None)
    """
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and -INT64 <= value < INT64 else None


def items_of(value: Any) -> list[dict]:
    """The dictionaries in a list; an empty list for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts_of(value: Any) -> dict[str, str]:
    """The string values of a dictionary (labels, annotations); an empty one for anything else."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {key: item for key, item in pairs if isinstance(key, str) and isinstance(item, str)}


def compact(value: Any) -> str:
    """JSON text without blanks, keys in their order."""
    return _COMPACT(value)


# json.dumps makes an encoder for each call.
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def tidy(value: Any) -> Any:
    """The same value with lone surrogates, which no file or table can hold, as U+FFFD."""
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {tidy(key): tidy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tidy(item) for item in value]
    return value
