"""How many lines each container wrote in each hour, and which was the first and which the last."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from meshlogs import times
from meshlogs.reading.blocks import Lines, Numbers, tally

_HOUR = 3600 * times.SECOND


class Line(NamedTuple):
    """A line of a file, by number from 1, and what its bytes told: the number of its resource, its time [ns]."""

    number: int
    text: bytes
    resource: int
    moment: int


class Cells:
    """Lines by resource and hour: how many, and the first and the last; of equals, the first and last in the file."""

    def __init__(self):
        self._numbers = Numbers()
        self._resources, self._hours, self._counts = np.zeros((3, 0), np.int64)
        self._ends = np.zeros((2, 2, 0), np.int64)  # first and last: time, number of the line, 0 before there is any
        self._texts = [np.zeros(0, object), np.zeros(0, object)]  # of those lines

    def add(self, resources: np.ndarray, moments: np.ndarray, told: np.ndarray, before: int, lines: Lines) -> None:
        """Take in the lines of a block with these numbers from 0; its first has the number before + 1."""
        cells = self._cells(resources, moments)
        tally(cells, moments, told + (before + 1), self._counts, *self._ends)
        for (_, numbers), texts in zip(self._ends, self._texts, strict=True):
            changed = np.flatnonzero(numbers > before)
            texts[changed] = lines.texts(numbers[changed] - (before + 1))

    def _cells(self, resources: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """The numbers of cells; there is room for all of them then."""
        hours = moments // _HOUR
        cells, new = self._numbers.of(resources << 32 ^ hours)
        if len(new):
            self._resources = np.append(self._resources, resources[new])
            self._hours = np.append(self._hours, hours[new])
            self._counts = np.append(self._counts, np.zeros(len(new), np.int64))
            self._ends = np.concatenate([self._ends, np.zeros((2, 2, len(new)), np.int64)], axis=2)
            self._texts = [np.append(texts, np.full(len(new), b"", object)) for texts in self._texts]
        return cells

    def drop(self, lines: list[Line]) -> None:
        """Count lines no more."""
        resources, moments = np.array([(line.resource, line.moment) for line in lines], np.int64).reshape(-1, 2).T
        np.subtract.at(self._counts, self._cells(resources, moments), 1)

    def ends(self) -> Iterator[Line]:
        """The first and the last line of each cell."""
        resources = self._resources.tolist()
        for (moments, numbers), texts in zip(self._ends.tolist(), self._texts, strict=True):
            yield from map(Line, numbers, texts.tolist(), resources, moments)

    def counted(self) -> tuple[list[int], ...]:
        """Resource, hour [ns], how many lines, and when the first and last were, of each cell that has any."""
        columns = (self._resources, self._hours * _HOUR, self._counts, *self._ends[:, 0])
        return tuple(column[self._counts > 0].tolist() for column in columns)
