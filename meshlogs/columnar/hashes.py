"""Hashes of texts by a key that nobody knows who writes a log, and texts told apart by them."""

import secrets

import numpy as np
import pyarrow as pa

try:
    from meshlogs.columnar import _hashes
except ImportError:  # no compiler was there when it was installed
    from meshlogs.columnar import _hashes_plain as _hashes

_KEY = np.array([secrets.randbits(64) for _ in range(2)], np.uint64)


def of_texts(texts: pa.StringArray | pa.LargeStringArray) -> np.ndarray:
    """A hash (uint64) of each text, which is another in the next process; of none: that of the empty one.

    They are less than 2 GiB together.
    """
    _, offsets, letters = texts.buffers()
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    places = np.frombuffer(offsets, kind)[texts.offset : texts.offset + len(texts) + 1]
    begin, end = (int(places[0]), int(places[-1])) if len(places) else (0, 0)
    letters = np.frombuffer(letters or b"", np.uint8)[begin:end]
    return _hashes.of_texts(letters, (places - begin).astype(np.int32), _KEY)


def told_apart(data: np.ndarray, found: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A number for each row of `found`, and the first row of each number.

    Rows have one number if the texts of `data` (uint8) are the same whose places are in these columns, those with the
    next ones. (`formats.usual_rows`)
    """
    return _hashes.told_apart(data, found, columns, _KEY)


class Set:
    """Marks (uint64, spread evenly) that are known: a table of them, of which a quarter at least is free (0)."""

    def __init__(self):
        self._table, self._count = np.zeros(1 << 12, np.uint64), 0

    def again(self, marks: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Whether each mark is known or stands further ahead; those that are not wanted never, nor do they count."""
        while 4 * (self._count + len(marks)) > 3 * len(self._table):
            larger = np.zeros(2 * len(self._table), np.uint64)
            _added(larger, self._table, self._table > 0)
            self._table = larger
        count, again = _added(self._table, np.maximum(marks, np.uint64(1)), wanted)
        self._count += count
        return again

    def has(self, marks: np.ndarray) -> np.ndarray:
        """Whether each mark is known; none becomes so."""
        marks, last = np.maximum(marks, np.uint64(1)), np.uint64(len(self._table) - 1)
        slots, known, left = marks & last, np.zeros(len(marks), bool), np.arange(len(marks))
        while len(left):
            there = self._table[slots[left]]
            known[left] = there == marks[left]
            left = left[(there > 0) & ~known[left]]
            slots[left] = slots[left] + np.uint64(1) & last
        return known


def _added(table: np.ndarray, marks: np.ndarray, wanted: np.ndarray) -> tuple[int, np.ndarray]:
    """How many of the wanted marks were new to the table, which has them now; which were not."""
    again = np.empty(len(marks), np.uint8)
    return _hashes.add(table, marks, wanted.view(np.uint8), again), again.view(np.bool_)
