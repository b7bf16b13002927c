"""What `_hashes` gives, where it could not be compiled; the key is Python's own then, for bytes."""

from itertools import pairwise

import numpy as np


def of_texts(letters: np.ndarray, places: np.ndarray, _key: np.ndarray) -> np.ndarray:
    """`_hashes.of_texts`."""
    data = letters.tobytes()
    hashes = (hash(data[begin:end]) for begin, end in pairwise(places.tolist()))
    return np.fromiter(hashes, np.int64, len(places) - 1).view(np.uint64)


def told_apart(letters: np.ndarray, found: np.ndarray, columns: np.ndarray, _key) -> tuple[np.ndarray, np.ndarray]:
    """`_hashes.told_apart`."""
    data, rows = letters.data, found.tolist()
    keys = [tuple(bytes(data[row[at] : row[at + 1]]) for at in columns.tolist()) for row in rows]
    firsts: dict[tuple, int] = {}
    for row, key in enumerate(keys):
        firsts.setdefault(key, row)
    places = {key: number for number, key in enumerate(firsts)}
    return np.array([places[key] for key in keys], np.int64), np.array(list(firsts.values()), np.int64)


def add(table: np.ndarray, marks: np.ndarray, wanted: np.ndarray, again: np.ndarray) -> int:
    """`_hashes.add`."""
    count, last = 0, len(table) - 1
    again[:] = 0
    for row in np.flatnonzero(wanted).tolist():
        mark = int(marks[row])
        slot = mark & last
        while table[slot] and table[slot] != mark:
            slot = (slot + 1) & last
        again[row] = table[slot] > 0
        count += not again[row]
        table[slot] = mark
    return count
