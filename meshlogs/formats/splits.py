"""Entries that were split because they were too long: their parts, put together wherever the others stand.

The parts of an entry name it (`split.uid`), their place in it and often how many there are. A sink may write them to
different files, and a large file is read in stretches: so what one reader does not get whole is set aside
(`schema.SPLITS`) for whoever sees all of an export.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import pyarrow as pa

from meshlogs import schema
from meshlogs.later import Later

pd = Later("pandas")

# So much at most waits for the rest of its entry; beyond it, what waited longest stays as it is. [characters]
MOST = 64_000_000

_MESSAGE, _PAYLOAD = map(schema.LOG_ENTRIES.names.index, ("message", "payload"))


class Splits:
    """Parts of split entries that wait for their others.

    A part is a tuple of an entry's columns, in their order up to its payload; its message is its text as written.
    """

    def __init__(self):
        self._waiting: dict[str, dict[int, deque]] = {}  # uid -> index -> (total, part), as often as it came
        self._whole: dict[str, None] = {}  # uids
        self._size = 0  # of what waits

    def add(self, uid: str, index: int, total: int | None, part: tuple) -> tuple | None:
        """Add a part, one of so many if that is known; the entry, if it was the last."""
        waiting = self._waiting.setdefault(uid, {})
        waiting.setdefault(index, deque()).append((total, part))
        self._size += _size(part)
        if total is None or len(waiting) < total:
            return None
        self._whole[uid] = None
        return self._joined(uid)

    def _joined(self, uid: str) -> tuple:
        """The first part of an entry, with the text of all parts that are there, in their order, each once."""
        waiting = self._waiting.pop(uid)
        parts = [waiting[index].popleft()[1] for index in sorted(waiting)]
        again = {index: copies for index, copies in waiting.items() if copies}
        if again:
            self._waiting[uid] = again
        text = "".join(part[_MESSAGE] or "" for part in parts)
        self._size -= sum(map(_size, parts))
        return (*parts[0][:_MESSAGE], text.removesuffix("\n"), *parts[0][_MESSAGE + 1 :])

    def aside(self) -> list[tuple]:
        """What waits, and which entries were whole: rows of (uid, index, total, part); they are forgotten here."""
        rows: list[tuple] = [(uid, None, None, None) for uid in self._whole]
        for uid, waiting in self._waiting.items():
            rows += [(uid, index, *told) for index, copies in waiting.items() for told in copies]
        self._waiting, self._whole, self._size = {}, {}, 0
        return rows

    def joined(self, parts: pd.DataFrame) -> pd.DataFrame:
        """Add parts that were set aside (`schema.SPLITS`); the entries that are whole now (`schema.LOG_ENTRIES`)."""
        found = []
        for uid, index, total, *part in _rows(parts):
            if index is None:
                self._whole[uid] = None
            elif entry := self.add(uid, index, total, tuple(part)):
                found.append(entry)
        return _entries([*found, *self._left(MOST)])

    def rest(self) -> pd.DataFrame:
        """The entries of which parts are missing, as far as they are there; what came again of others is not."""
        return _entries(list(self._left(0)))

    def _left(self, most: int) -> Iterator[tuple]:
        """The entries that waited longest, so that no more than so much waits."""
        while self._waiting and (self._size > most or not most):
            uid = next(iter(self._waiting))
            entry = self._joined(uid)
            if uid not in self._whole:
                yield entry


def whole(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The entries of all parts that were set aside (`schema.LOG_ENTRIES`)."""
    waiting = Splits()
    found = [waiting.joined(table) for table in tables]
    found = [entries for entries in (*found, waiting.rest()) if len(entries)]
    return pd.concat(found, ignore_index=True) if found else schema.empty(schema.LOG_ENTRIES)


def _size(part: tuple) -> int:
    return len(part[_MESSAGE] or "") + len(part[_PAYLOAD] or "")


def _rows(parts: pd.DataFrame) -> Iterator[tuple]:
    """The rows of a table, times in nanoseconds."""
    if not len(parts):
        return
    columns = schema.to_arrow(parts, schema.SPLITS).columns
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in columns]
    yield from zip(*(column.to_pylist() for column in columns), strict=True)


def _entries(rows: list[tuple]) -> pd.DataFrame:
    if not rows:
        return schema.empty(schema.LOG_ENTRIES)
    columns = zip(schema.LOG_ENTRIES, zip(*rows, strict=True), strict=True)
    arrays = [pa.array(values, field.type) for field, values in columns]
    return schema.conform(pa.Table.from_arrays(arrays, schema=schema.LOG_ENTRIES), schema.LOG_ENTRIES)
