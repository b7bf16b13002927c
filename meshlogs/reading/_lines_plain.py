"""What `_lines` gives, where it could not be compiled; but that no line is usual, so that each is decoded."""

import numpy as np


def look(block: np.ndarray, _factors: np.ndarray, _stored: bool) -> tuple[np.ndarray, ...]:
    """`_lines.look`."""
    ends = np.flatnonzero(block == ord("\n"))
    if block[-1] != ord("\n"):
        ends = np.append(ends, len(block))
    return ends, *(np.zeros(0, kind) for kind in (np.int64, np.uint64, np.int64, np.int64, np.int64))


def texts(block: np.ndarray, ends: np.ndarray, lines: np.ndarray) -> list[bytes]:
    """`_lines.texts`."""
    begins = np.append(0, ends + 1)[lines].tolist()
    return [bytes(block.data[begin:end]) for begin, end in zip(begins, ends[lines].tolist(), strict=True)]


class Numbers:
    """`_lines.Numbers`."""

    def __init__(self, _factor: np.uint64):
        self._numbers: dict[int, int] = {}

    def of(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`_lines.Numbers.of`."""
        numbers, known = self._numbers, len(self._numbers)
        found = np.array([numbers.setdefault(key, len(numbers)) for key in keys.tolist()], np.int64)
        told, firsts = np.unique(found, return_index=True)
        return found, firsts[told >= known]


def tally(
    cells: np.ndarray, times: np.ndarray, numbers: np.ndarray, counts: np.ndarray, first: np.ndarray, last: np.ndarray
) -> None:
    """`_lines.tally`."""
    np.add.at(counts, cells, 1)
    for end, order, better in ((first, -1, np.less), (last, 1, np.greater_equal)):
        best = np.argsort(times, kind="stable")[::order]
        # Of several values for one place the last one stays; of equal times, too, the one that counts.
        at = np.empty(len(counts), np.int64)
        at[cells[best]] = best
        met = np.unique(cells)
        met = met[better(times[at[met]], end[0, met]) | (end[1, met] == 0)]
        end[:, met] = times[at[met]], numbers[at[met]]
