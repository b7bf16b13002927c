"""Rows of a warehouse's table in Parquet: which container wrote each, and when, and which hold what may matter.

What `blocks.Lines` is for lines of JSON, without a Python object for each row; a row that is looked at more closely is
turned into JSON then. A table that is not laid out as those of BigQuery and Log Analytics are is `Odd`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import storage, times
from meshlogs.columnar.joins import numbered
from meshlogs.formats import columns, warehouse
from meshlogs.formats.arrays import Odd
from meshlogs.later import Later
from meshlogs.reading.blocks import Stretch

pq = Later("pyarrow.parquet")

BATCH = 10_000  # rows at a time
_HEAD = 1 << 16
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # in each unit
_TIME, _RESOURCE, _SPLIT = ("timestamp",), ("resource",), ("split",)
# Columns in which no message is looked for.
_OTHERS = {"resource", "labels", "insertId", "logName", "logId", "timestamp", "receiveTimestamp", "severity"}


def columns_of(path: Path) -> pa.Schema:
    """The columns of the table in a file; none if it cannot be read."""
    try:
        with storage.open_binary(path, _HEAD) as file:
            return pq.ParquetFile(file).schema_arrow
    except (pa.ArrowException, OSError):
        return pa.schema([])


def is_usual(layout: pa.Schema) -> bool:
    """Whether this is a warehouse's own table: one time, one resource, and no bytes, which may be no text."""
    paths = [columns.path_of(name) for name in layout.names]
    if paths.count(_TIME) != 1 or paths.count(_RESOURCE) != 1:
        return False
    time, resource = (layout.field(paths.index(path)).type for path in (_TIME, _RESOURCE))
    is_time = pa.types.is_timestamp(time) and time.tz is not None
    return is_time and pa.types.is_struct(resource) and not any(map(_has_bytes, layout.types))


def blocks(file: BinaryIO, stretch: Stretch) -> Iterator[pa.Table]:
    """The rows of the groups that begin in a stretch of a file, so many at a time.

    Raises Odd for a table whose rows take a closer look, ArrowException or OSError for one that is damaged.
    """
    if not file.seekable():
        raise Odd
    table = pq.ParquetFile(file)
    if not is_usual(table.schema_arrow):
        raise Odd
    for batch in table.iter_batches(BATCH, row_groups=groups_in(table, stretch)):
        yield pa.Table.from_batches([batch])


def groups_in(table: pq.ParquetFile, stretch: Stretch) -> list[int]:
    """The groups of rows that begin in a stretch of the file."""

    def begin(group: int) -> int:
        first = table.metadata.row_group(group).column(0)
        return min(filter(None, (first.dictionary_page_offset, first.data_page_offset)), default=0)

    begins = map(begin, range(table.num_row_groups))
    return [
        group for group, at in enumerate(begins) if stretch.begin <= at and (stretch.end is None or at < stretch.end)
    ]


def _has_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_has_bytes(kind.field(at).type) for at in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


class Rows:
    """Rows of a table by number from 0. `usual` are those with a time and a resource, of which the arrays tell more."""

    def __init__(self, table: pa.Table):
        self._table = table
        self.ends = np.arange(len(table))
        self._columns = {columns.path_of(name): table[name].combine_chunks() for name in table.column_names}
        time, resource = self._columns[_TIME], self._columns[_RESOURCE]
        self.usual = np.flatnonzero(pc.and_(pc.fill_null(_fits(time), False), resource.is_valid()))
        self.times = time.take(self.usual).cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy()
        leaves = [leaf.take(self.usual).to_pandas() for _, leaf in _leaves("", resource) if leaf is not None]
        which = numbered(leaves) if leaves else np.zeros(len(self.usual), np.int64)
        firsts = np.unique(which, return_index=True)[1]  # numbers run from 0 by first appearance
        self._spelled = [msgspec.json.encode(found) for found in resource.take(self.usual[firsts]).to_pylist()]
        hashes = [int.from_bytes(blake2b(text, digest_size=8).digest(), "little") for text in self._spelled]
        self.keys, self._which = np.array(hashes, np.uint64)[which], which

    def texts(self, rows: np.ndarray) -> list[bytes]:
        """These rows as JSON."""
        return list(map(msgspec.json.encode, warehouse.plain(self._table.take(rows)).to_pylist()))

    def resource(self, usual: int) -> bytes:
        """The resource of a usual row as JSON."""
        return self._spelled[self._which[usual]]

    def suspect(self, places: Callable[[memoryview], list[int]]) -> np.ndarray:
        """The numbers of the rows that may matter, ascending: those of whose texts, spelled as JSON, the search tells.

        Lists take a closer look, and so does what was split.
        """
        wanted = np.zeros(len(self._table), dtype=bool)
        texts: list[tuple[str, pa.Array]] = []
        for path, column in self._columns.items():
            if path == _SPLIT:
                wanted |= column.is_valid().to_numpy(zero_copy_only=False)
            elif not path or path[0] not in _OTHERS:
                for name, leaf in _leaves(path[-1] if path else "", column):
                    if leaf is None:
                        wanted |= column.is_valid().to_numpy(zero_copy_only=False)
                    else:
                        texts.append((name, leaf))
        wanted[rows_holding(texts, places)] = True
        return np.flatnonzero(wanted)


def _fits(time: pa.TimestampArray) -> pa.BooleanArray:
    """Whether nanoseconds can hold each time (`times.parse_ns`)."""
    number, limit = time.cast(pa.int64()), times.FARTHEST_S * _A_SECOND[time.type.unit]
    return pc.and_(pc.greater(number, -limit), pc.less(number, limit))


def rows_holding(texts: list[tuple[str, pa.Array]], places: Callable[[memoryview], list[int]]) -> np.ndarray:
    """The numbers of the rows of which a search tells, in these texts as JSON has them behind their names.

    Quotes in them are not escaped, ends of lines are.
    """
    if not texts or not len(texts[0][1]):
        return np.zeros(0, np.int64)
    closed, end = (pa.scalar(text, pa.large_string()) for text in ('",', ""))
    pieces: list = []
    for name, text in texts:
        text = pc.replace_substring(text.cast(pa.large_string()), "\n", "\\n")
        pieces += [pa.scalar(f'"{name}":"', pa.large_string()), text, closed]
    joined = pc.binary_join_element_wise(*pieces, end, null_handling="replace", null_replacement="")
    offsets = np.frombuffer(joined.buffers()[1], np.int64, len(joined) + 1, 8 * joined.offset)
    begin, stop = int(offsets[0]), int(offsets[-1])
    found = np.array(places(memoryview(joined.buffers()[2])[begin:stop]), np.int64)
    return np.unique(np.searchsorted(offsets[1:] - begin, found, side="right"))


def _leaves(name: str, column: pa.Array) -> Iterator[tuple[str, pa.Array | None]]:
    """The names and texts of a column, at any depth; None for what is no text and may hold some."""
    kind = column.type
    if pa.types.is_struct(kind):
        # A part of what is null is null.
        for at in range(kind.num_fields):
            yield from _leaves(kind.field(at).name, pc.struct_field(column, [at]))
    elif pa.types.is_dictionary(kind):
        yield from _leaves(name, column.dictionary_decode())
    elif pa.types.is_nested(kind):
        yield name, None
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield name, column
    else:  # a number: only its name may matter, before or after a text
        yield name, pa.nulls(len(column), pa.large_string())
