"""Log entries, one a line, as Arrow columns: usual lines many at a time, all others one after another.

What a usual line is, and where its texts are, is told by compiled code (`_usual_lines`). What is not known to be usual
goes the careful road (`log_entries.add_text`); the rows of both stand in the order of the lines. Both roads read
resources and log names with the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from meshlogs import schema
from meshlogs.columnar import arrow
from meshlogs.formats import entry, log_entries
from meshlogs.formats.arrays import Odd
from meshlogs.formats.lines import Overlong
from meshlogs.formats.tables import CHUNK, Shard, Tables
from meshlogs.later import Later

pd = Later("pandas")

try:
    from meshlogs.formats import usual_rows
except ImportError:  # no compiler was there when it was installed
    usual_rows = None

# Columns of few different texts, which are kept and written as numbers of these.
REPEATED = (*entry.ORIGIN, "stream", "time_granularity", "source")
# `schema.LOG_ENTRIES` with those as Arrow dictionaries.
_TEXTS = pa.dictionary(pa.int32(), pa.string())
LAYOUT = pa.schema([(field.name, _TEXTS if field.name in REPEATED else field.type) for field in schema.LOG_ENTRIES])


class Reader:
    """Rows of lines that are added block by block. `strict`: a line that is not one entry is Odd (`arrays`)."""

    def __init__(self, source: str, *, strict: bool = False):
        self.lines, self._strict = 0, strict
        self._tables = Tables(source)
        self._rows = [arrow.empty(LAYOUT)]
        self._read = reader_of(source)

    def add(self, block: bytes | np.ndarray) -> None:
        """Add whole lines; the block (of uint8, if an array) may be overwritten afterwards."""
        for found, numbers, odd, lines, *_ in self._read(block):
            rows = numbered(found, numbers + (self.lines + 1))
            self._tables.records += len(rows)
            self._rows.append(self._with(rows, odd) if odd else rows)
            self.lines += lines

    def refuse(self, line: Overlong) -> None:
        """Add a line that is too long to be read."""
        self.lines += 1
        log_entries.refuse(self._tables, self.lines, line.reason, line)

    @property
    def full(self) -> bool:
        """Whether these are rows enough for one chunk."""
        return self._tables.full or sum(rows.nbytes for rows in self._rows) > CHUNK

    def taken(self) -> Shard:
        """The rows so far, the entries as an Arrow table (`LAYOUT`); the reader goes on with the next."""
        return self._shard(self._tables.taken("log_entries"))

    def shard(self) -> Shard:
        """The rows to the end of the file, parts of split entries that are not whole among them."""
        return self._shard(self._tables.shard("log_entries"))

    def _shard(self, rest: Shard) -> Shard:
        if len(rest.log_entries):
            self._rows.append(packed(rest.log_entries))
        rows, self._rows = pa.concat_tables(self._rows), [arrow.empty(LAYOUT)]
        return rest._replace(log_entries=rows.unify_dictionaries())

    def _with(self, rows: pa.Table, odd: list[tuple[int, bytes]]) -> pa.Table:
        """These rows and those of the lines that are not usual, by number from 0, in the order of the lines."""
        numbers = []
        for number, text in odd:
            if text and not text.isspace():
                line = self.lines + 1 + number
                if log_entries.add_text(self._tables, text, line) is None and self._strict:
                    raise Odd
                numbers += [line] * (self._tables.waiting - len(numbers))
        careful = packed(self._tables.entries_taken())
        order = np.argsort(np.concatenate([rows["line"].to_numpy(), numbers]), kind="stable")
        return pa.concat_tables([rows, careful]).unify_dictionaries().take(order)


def reader_of(source: str) -> Callable[[bytes | np.ndarray], Iterator[tuple]]:
    """A function from blocks of lines to what they hold (`usual_rows.Found`)."""
    return usual_rows.Reader(source).read if usual_rows else _all_odd


def numbered(rows: pa.Table, lines: np.ndarray) -> pa.Table:
    """Rows of usual lines with the numbers of these (`LAYOUT`)."""
    return rows.append_column("line", arrow.numbers(lines)).select(LAYOUT.names)


def _all_odd(block: bytes | np.ndarray) -> Iterator[tuple]:
    """What `usual_rows` tells of a block, as if no line were usual."""
    lines = bytes(block).removesuffix(b"\n").split(b"\n")
    none = np.zeros(0, np.int64)
    yield arrow.empty(LAYOUT).drop_columns("line"), none, list(enumerate(lines)), len(lines), none, none


def packed(rows: pd.DataFrame | pa.Table) -> pa.Table:
    """Log entries (`schema.LOG_ENTRIES`) as an Arrow table of `LAYOUT`; one of these stays as it is."""
    if isinstance(rows, pd.DataFrame):
        rows = schema.to_arrow(rows, schema.LOG_ENTRIES)
    return rows.select(LAYOUT.names).cast(LAYOUT)


def unpacked(rows: pd.DataFrame | pa.Table) -> pd.DataFrame:
    """Log entries as a dataframe (`schema.LOG_ENTRIES`)."""
    return schema.conform(rows, schema.LOG_ENTRIES) if isinstance(rows, pa.Table) else rows
