"""Blocks of a file of log entries as arrays: where its lines are, and which container wrote each of them, and when.

Nothing is parsed. A line as nearly all writers spell it holds one `"resource":{` with labels or a type, and one
`"timestamp":"` whose value ends with Z; both are found by comparing eight bytes at a time wherever a brace or a Z is.
They may be nested ones, where the entry's own are spelled oddly: whoever relies on them parses some of the lines.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from meshlogs import times

BLOCK = 1 << 23
PAD = 1 << 11  # bytes behind a block that may be looked at, whatever they are
_PIECE = 1 << 18  # bytes that stay in the processor's cache

_NEWLINE, _RETURN, _OPEN, _CLOSE, _QUOTE, _ZULU = b'\n\r{}"Z'
# Windows in which the first labels of a resource end; a longer one is unusual.
_WINDOWS = (256, 1024)
# Characters of a time without its Z, most frequent first: nanoseconds without trailing zeros, then whole seconds.
_LENGTHS = (29, 28, 27, 26, 25, 24, 23, 22, 21, 19)
_LONGEST = max(_LENGTHS)
_DIGITS = np.array([0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, *range(20, 29)])
_THREE = np.uint64(0xFFFFFF)
_SIGNS = {4: b"-", 7: b"-", 10: b"T", 13: b":", 16: b":"}


class Stretch(NamedTuple):
    """A part of a file: from the first line that begins at or after `begin` to the last that begins before `end`."""

    path: Path
    source: str
    begin: int = 0
    end: int | None = None


def blocks(file: BinaryIO, stretch: Stretch) -> Iterator[np.ndarray]:
    """Whole lines, about `BLOCK` bytes at a time (uint8); a longer line is a block of its own.

    They lie in one buffer, which the next block overwrites, with `PAD` bytes behind them.
    """
    at = stretch.begin  # of the buffer in the file
    if at:
        file.seek(at - 1)
        at += len(file.readline()) - 1
    if stretch.end is not None and at >= stretch.end:
        return
    size = -(-BLOCK // 8) * 8
    buffer, filled = bytearray(size + PAD), 0
    while True:
        if filled == size:  # a line that is longer
            buffer, size = buffer[:size] + bytearray(size + PAD), 2 * size
        got = file.readinto(memoryview(buffer)[filled:size])
        before, filled = filled, filled + got
        if stretch.end is not None and at + filled >= stretch.end:
            # The last line is the one that begins before the end.
            cut = last = buffer.find(b"\n", max(stretch.end - 1 - at, 0), filled) + 1
        else:
            cut, last = buffer.rfind(b"\n", before, filled) + 1, 0
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
    """The lines of a block: `starts` and `ends` (without the line's end), by number from 0.

    `usual` are the numbers of the lines of which the arrays tell more: `keys`, a hash of the resource's spelling, and
    `times` [ns].
    """

    def __init__(self, letters: np.ndarray):
        base = letters.base
        self.letters = letters
        size = len(letters)
        self._all = np.frombuffer(base, np.uint8)
        self._words = np.ndarray(len(base) - 7, "<u8", base, strides=(1,))
        places = _positions(letters, _NEWLINE, _OPEN)
        ends = letters[places] == _NEWLINE
        self.ends = places[ends]
        if not size or letters[-1] != _NEWLINE:
            self.ends = np.append(self.ends, size)
        self.starts = np.concatenate([[0], self.ends[:-1] + 1])
        self._tell(self._resources(places[~ends]), *self._stamps(self._zulus()))

    def text(self, line: int) -> bytes:
        """A line, without its end."""
        return bytes(self.letters.data[self.starts[line] : self.ends[line]])

    def resource(self, usual: int) -> bytes:
        """The resource of a usual line as spelled, up to its first closing brace."""
        at = self._at[usual]
        return self.letters[at : at + self._sizes[usual]].tobytes()

    def holding(self, places: list[int]) -> np.ndarray:
        """The numbers of the lines that hold these bytes, ascending."""
        return np.unique(np.searchsorted(self.ends, np.array(places, np.int64)))

    def _tell(self, resources: np.ndarray, stamps: np.ndarray, lengths: np.ndarray) -> None:
        """Set what is known of the usual lines."""
        of_resource, of_stamp = (np.searchsorted(self.ends, at) for at in (resources, stamps))
        count = len(self.ends)
        usual = _are_objects(self.letters, self.starts, self.ends)
        for lines in (of_resource, of_stamp):
            usual &= np.bincount(lines, minlength=count) == 1
        resources, mine = resources[usual[of_resource]], usual[of_stamp]
        moments, dated = self._moments(stamps[mine], lengths[mine])
        keys, sizes = self._hashes(resources)
        good = dated & (sizes > 0)
        self.usual = np.flatnonzero(usual)[good]
        self.keys, self.times = keys[good], moments[good]
        self._at, self._sizes = resources[good], sizes[good]

    def _zulus(self) -> np.ndarray:
        """The letters Z that may end a time: those at the ends of the lines if all have one there, else all there are.

        A time right before the last brace is the entry's own, whatever others the line holds.
        """
        last = self.ends - 3
        last -= self.letters[last + 2] == _RETURN
        if last[0] > 0 and (self._words[last] & _THREE == _word(b'Z"}\0\0\0\0\0')).all():
            return last
        return _positions(self.letters, _ZULU)

    def _resources(self, braces: np.ndarray) -> np.ndarray:
        """Those braces that open a resource with labels or a type."""
        braces = braces[braces >= 12]
        before = self._words[braces - 8]
        tight = (before == _word(b'source":')) & (self._words[braces - 11] == _word(b'"resourc'))
        loose = (before == _word(b'ource": ')) & (self._words[braces - 12] == _word(b'"resourc'))
        braces = braces[tight | loose]
        after = self._words[braces + 1]
        return braces[(after == _word(b'"labels"')) | (after << np.uint64(8) == _word(b'\0"type":'))]

    def _stamps(self, zulus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the values of `"timestamp"` begin, of those letters Z that end one; and how long they are."""
        left = zulus[self._all[zulus + 1] == _QUOTE]
        found, lengths = [], []
        for length in _LENGTHS:
            left = left[left >= length + 14]
            before = self._words[left - length - 8]
            tight, loose = before == _word(b'stamp":"'), before == _word(b'tamp": "')
            for style, back, word in ((tight, 13, b'"timesta'), (loose, 14, b'"timesta')):
                mine = left[style]
                mine = mine[self._words[mine - length - back] == _word(word)]
                found.append(mine - length)
                lengths.append(np.full(len(mine), length))
            left = left[~(tight | loose)]
        starts, sizes = np.concatenate(found), np.concatenate(lengths)
        order = np.argsort(starts, kind="stable")
        return starts[order], sizes[order]

    def _moments(self, at: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The times [ns] that stand at these places, and whether each is one."""
        letters = self._window(at, _LONGEST)
        digits = letters[:, _DIGITS] - np.uint8(ord("0"))
        digits *= _DIGITS.astype(np.uint8) < lengths.astype(np.uint8)[:, None]
        good = (digits <= 9).all(axis=1)
        for place, sign in _SIGNS.items():
            good &= letters[:, place] == ord(sign)
        good &= (lengths == 19) | (letters[:, 19] == ord("."))
        powers = 10 ** np.arange(8, -1, -1)
        dates, of_date = np.unique(digits[:, :8] @ powers[1:], return_inverse=True)
        days = np.array([_midnight(date) for date in dates.tolist()], np.int64)[of_date]
        hour, minute, second = (digits[:, place : place + 2] @ powers[-2:] for place in (8, 10, 12))
        good &= (hour < 24) & (minute < 60) & (second <= 60) & (days != times.NAT)
        return days + ((hour * 60 + minute) * 60 + second) * times.SECOND + digits[:, 14:] @ powers, good

    def _hashes(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A hash of what stands from each place to the next closing brace, and its length; 0 if that is too long."""
        keys, sizes = np.zeros(len(at), np.uint64), np.zeros(len(at), np.int64)
        for width in _WINDOWS:
            left = np.flatnonzero(sizes == 0)
            if len(left):
                letters = self._window(at[left], width)
                size = (letters == _CLOSE).argmax(axis=1)
                letters *= np.arange(width, dtype=np.uint16) < size.astype(np.uint16)[:, None]
                high, low = (letters.view(np.uint64) @ _FACTORS[: width // 8]).T >> np.uint64(32)
                keys[left], sizes[left] = high << np.uint64(32) | low, size
        return keys, sizes

    def _window(self, at: np.ndarray, width: int) -> np.ndarray:
        """So many letters from each place on, one row each."""
        views = np.ndarray(len(self._all) - width + 1, f"V{width}", self._all.data, strides=(1,))
        return views[at].view(np.uint8).reshape(-1, width)


# Two multilinear hashes with secret factors, 32 bits of each: nobody can write two resources that hash alike.
_FACTORS = np.random.default_rng().integers(0, 1 << 64, (max(_WINDOWS) // 8, 2), np.uint64) | np.uint64(1)


@lru_cache(maxsize=4096)
def _midnight(date: int) -> int:
    """The beginning [ns] of a day that was written as YYYYMMDD; NAT if there is none or it does not fit int64."""
    text = f"{date:08}"
    begin, end = (times.parse_ns(f"{text[:4]}-{text[4:6]}-{text[6:]}T{hour}") for hour in ("00:00:00", "23:59:60"))
    return times.NAT if end == times.NAT else begin


def _positions(letters: np.ndarray, *values: int) -> np.ndarray:
    """Where these letters stand; in pieces that stay in the processor's cache."""
    found = [np.zeros(0, np.int64)]
    for at in range(0, len(letters), _PIECE):
        piece = letters[at : at + _PIECE]
        hit = piece == values[0]
        for value in values[1:]:
            hit |= piece == value
        found.append(np.flatnonzero(hit) + at)
    return np.concatenate(found)


def _word(text: bytes) -> np.uint64:
    return np.frombuffer(text, "<u8")[0]


def _are_objects(letters: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether each line begins and ends as an object."""
    full = ends > starts
    last = letters[np.maximum(ends - 1, 0)]
    last = np.where(last == _RETURN, letters[np.maximum(ends - 2, 0)], last)
    return full & (letters[np.minimum(starts, len(letters) - 1)] == _OPEN) & (last == _CLOSE)
