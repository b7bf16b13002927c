"""An array of log entries, as `gcloud logging read --format=json` prints it, as blocks of lines like those of a sink.

Each element becomes a line without the blanks between its parts; that is done by compiled code. What is no sound array
of objects is `Odd`: whoever is careful must read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from meshlogs.later import Later

pd = Later("pandas")

try:
    from meshlogs.formats import _arrays
except ImportError:  # no compiler was there when it was installed
    _arrays = None

BLOCK = 1 << 23  # bytes at a time
LARGEST = 1 << 27  # bytes of one element
_USUALLY = 200  # bytes that elements have at least, on average


class Odd(Exception):
    """The document is no array of objects that all can be decoded."""


class Array:
    """The elements of a document that is one array, numbered from 1, and the lines on which they begin."""

    def __init__(self):
        self._starts = [np.zeros(1, np.int64)]

    def blocks(self, file: BinaryIO) -> Iterator[np.ndarray]:
        """Lines of whole elements, some megabytes at a time (uint8), which the next overwrite. Raises Odd."""
        if _arrays is None:
            raise Odd
        buffer, filled, state, line = bytearray(BLOCK), 0, _arrays.ARRAY, 1
        out = np.empty(len(buffer) + 1, np.uint8)  # each line has an end, and no comma before it
        while got := file.readinto(memoryview(buffer)[filled:]):
            begin, filled, full = 0, filled + got, True
            while full:
                starts = np.empty(len(buffer) // _USUALLY + 1, np.int64)
                data = np.frombuffer(buffer, np.uint8)
                begin, size, count, state, line = _arrays.lines(data, begin, filled, out, starts, state, line)
                full = count == len(starts)
                if count:
                    self._starts.append(starts[:count])
                    yield out[:size]
                if state == _arrays.DAMAGED:
                    raise Odd
            buffer[: filled - begin] = buffer[begin:filled]
            filled -= begin
            if filled == len(buffer):  # an element that is longer
                if filled >= LARGEST:
                    raise Odd
                buffer = buffer + bytearray(filled)
                out = np.empty(len(buffer) + 1, np.uint8)
        if state != _arrays.NOTHING or filled:  # it is cut off
            raise Odd

    def placed(self, table: pd.DataFrame | pa.Table) -> pd.DataFrame | pa.Table:
        """The rows with the lines of the document in their column `line`, which has the numbers of elements."""
        if not len(table):
            return table
        self._starts = [np.concatenate(self._starts)]
        if isinstance(table, pa.Table):
            found = pa.array(self._starts[0]).take(table["line"].combine_chunks())
            return table.set_column(table.column_names.index("line"), "line", found)
        known = table["line"].fillna(0).to_numpy(np.int64)
        return table.assign(line=table["line"].mask(table["line"].notna(), self._starts[0][known]))
