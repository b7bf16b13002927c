"""Blocks of a file of log entries: where their lines are, and which container wrote each of them, and when.

Nothing is parsed. A usual line, as nearly all writers spell it, is an object that holds one `"resource":{` with labels
or a type, and one `"timestamp":"` whose value ends with Z (a warehouse's: with UTC), or one right before its last
brace. They may be nested ones, where the entry's own are spelled oddly: whoever relies on them parses some lines.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from meshlogs.formats import lines
from meshlogs.formats.lines import Overlong

try:
    from meshlogs.reading import _lines
except ImportError:  # no compiler was there when it was installed
    from meshlogs.reading import _lines_plain as _lines

BLOCK = 1 << 23


class Stretch(NamedTuple):
    """A part of a file: from the first line that begins at or after `begin` to the last that begins before `end`."""

    path: Path
    source: str
    begin: int = 0
    end: int | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is all of it."""
        return self.begin == 0 and self.end is None


def blocks(file: BinaryIO, stretch: Stretch) -> Iterator[np.ndarray | Overlong]:
    """Whole lines, about `BLOCK` bytes at a time (uint8); a longer line is a block of its own, or too long to be read.

    They lie in one buffer, which the next block overwrites.
    """
    at = stretch.begin  # of the buffer in the file
    if at:
        file.seek(at - 1)
        # A line that ends no sooner than the stretch is an earlier one's.
        at += lines.pass_line(file, None if stretch.end is None else stretch.end - at + 1) - 1
    buffer, filled = bytearray(BLOCK), 0
    while stretch.end is None or at < stretch.end:
        if filled == len(buffer):  # a line that is longer
            if filled >= lines.LARGEST:
                size = filled + lines.pass_line(file)
                yield Overlong.of(buffer, size)
                at, filled = at + size, 0
                continue
            buffer = buffer + bytearray(len(buffer))
        got = file.readinto(memoryview(buffer)[filled:])
        before, filled = filled, filled + got
        last = 0
        if stretch.end is not None and at + filled >= stretch.end:
            # The last line is the one that begins before the end.
            last = buffer.find(b"\n", max(stretch.end - 1 - at, 0), filled) + 1
        cut = last or buffer.rfind(b"\n", before, filled) + 1
        if not got:
            cut = last = filled
        if cut:
            yield np.frombuffer(buffer, np.uint8, cut)
        if last or not got:
            return
        if cut:
            buffer[: filled - cut] = buffer[cut:filled]
            at, filled = at + cut, filled - cut


class Lines:
    """The lines of a block: where they end (without the newline), by number from 0.

    `usual` are the numbers of the lines of which the arrays tell more: `keys`, a hash of the resource's spelling, and
    `times` [ns]. `stored`: they are rows of a warehouse.
    """

    def __init__(self, letters: np.ndarray, *, stored: bool = False):
        self.letters = letters
        found = _lines.look(letters, _FACTORS, stored)
        self.ends, self.usual, self.keys, self.times, self._places, self._sizes = found

    def texts(self, lines: np.ndarray) -> list[bytes]:
        """These lines, without their ends."""
        return _lines.texts(self.letters, self.ends, lines)

    def resource(self, usual: int) -> bytes:
        """The resource of a usual line as spelled, up to its first closing brace."""
        at = self._places[usual]
        return self.letters[at : at + self._sizes[usual]].tobytes()

    def holding(self, places: list[int]) -> np.ndarray:
        """The numbers of the lines that hold these bytes, ascending."""
        holds = np.zeros(len(self.ends), bool)
        holds[np.searchsorted(self.ends, np.array(places, np.int64))] = True
        return np.flatnonzero(holds)


class Numbers:
    """Numbers from 0 for keys of 64 bits, in the order in which they come."""

    def __init__(self):
        self._numbers = _lines.Numbers(_FACTOR)

    def of(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the number of every key, where each that is new stands first)."""
        return self._numbers.of(keys.view(np.uint64))


def tally(cells, times, numbers, counts: np.ndarray, first: np.ndarray, last: np.ndarray) -> None:
    """Count lines, by number from 1, in these cells; first and last hold times and numbers of each cell's ends.

    Of equal times the first line counts as the first and the last as the last.
    """
    _lines.tally(cells, times, numbers, counts, first, last)


# Secret, so that nobody can write resources that hash alike, or many keys that meet in a table.
_FACTORS = np.frombuffer(os.urandom(8 * 256), np.uint64).reshape(128, 2)
_FACTOR = np.uint64(int.from_bytes(os.urandom(8), "little") | 1)
