"""How many lines each container wrote in each hour, and which was the first and which the last."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from meshlogs import times
from meshlogs.blocks import Lines, distinct, tally

_HOUR = 3600 * times.SECOND


class Line(NamedTuple):
    """A line of a file, by number from 1, and what its bytes told: the number of its resource, its time [ns]."""

    number: int
    text: bytes
    resource: int
    moment: int


class _Ends:
    """Of each cell the first line, or the last: its time, number and text."""

    def __init__(self, better: np.ufunc):
        self._better = better
        self.times, self.numbers = np.zeros((2, 0), np.int64)  # the number is 0 before there is any
        self.texts: list[bytes] = []

    def grow(self, count: int) -> None:
        """Let there be so many cells more."""
        self.times, self.numbers = (np.append(old, np.zeros(count, np.int64)) for old in (self.times, self.numbers))
        self.texts += [b""] * count

    def add(self, cells: np.ndarray, moments: np.ndarray, chosen: np.ndarray, before: int, lines: Lines) -> None:
        """Take in one line of a block for each of these cells; the block's first line has the number before + 1."""
        better = self._better(moments, self.times[cells]) | (self.numbers[cells] == 0)
        cells, chosen = cells[better], chosen[better]
        self.times[cells], self.numbers[cells] = moments[better], before + 1 + chosen
        for cell, text in zip(cells.tolist(), lines.texts(chosen), strict=True):
            self.texts[cell] = text


class Cells:
    """Lines by resource and hour: how many, and the first and the last; of equals, the first and last in the file."""

    def __init__(self):
        self._numbers: dict[tuple[int, int], int] = {}  # by resource and hour since the epoch
        self.lines = np.zeros(0, np.int64)
        self.first, self.last = _Ends(np.less), _Ends(np.greater_equal)

    def add(self, resources: np.ndarray, moments: np.ndarray, told: np.ndarray, before: int, lines: Lines) -> None:
        """Take in the lines of a block with these numbers from 0; its first has the number before + 1."""
        hours = moments // _HOUR
        firsts, groups = distinct(resources << 32 ^ hours)
        counts, early, late = tally(groups, moments, len(firsts))
        cells = self._cells(resources[firsts].tolist(), hours[firsts].tolist())
        self.lines[cells] += counts
        self.first.add(cells, moments[early], told[early], before, lines)
        self.last.add(cells, moments[late], told[late], before, lines)

    def _cells(self, resources: list[int], hours: list[int]) -> np.ndarray:
        """The numbers of cells; there is room for all of them then."""
        known, numbers = len(self._numbers), self._numbers
        found = [numbers.setdefault(key, len(numbers)) for key in zip(resources, hours, strict=True)]
        if len(numbers) > known:
            self.lines = np.append(self.lines, np.zeros(len(numbers) - known, np.int64))
            self.first.grow(len(numbers) - known)
            self.last.grow(len(numbers) - known)
        return np.array(found, np.int64)

    def drop(self, line: Line) -> None:
        """Count a line no more."""
        self.lines[self._numbers[line.resource, line.moment // _HOUR]] -= 1

    def ends(self) -> Iterator[Line]:
        """The first and last line of each cell."""
        for (resource, _), cell in self._numbers.items():
            for end in (self.first, self.last):
                yield Line(int(end.numbers[cell]), end.texts[cell], resource, int(end.times[cell]))

    def counted(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Resource, hour [ns], how many lines, and when the first and last were, of each cell that has any."""
        columns = (column.tolist() for column in (self.lines, self.first.times, self.last.times))
        for (resource, hour), lines, first, last in zip(self._numbers, *columns, strict=True):
            if lines:
                yield resource, hour * _HOUR, lines, first, last
