"""Records of a JSON document of any size: of one that is too large to hold, cut apart as it is read.

Of arrays, pages and lists only what stands between two brackets is looked at then, so memory is that of a block and
the largest record.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from meshlogs.formats import envelopes
from meshlogs.formats.envelopes import Damage, Record, parse

WHOLE = 1 << 24  # bytes of a document that is read as a whole, with more care for damage
BLOCK = 1 << 22
LARGEST = 1 << 27  # bytes of one record; what is larger is damage

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
_BLANK = re.compile(rb"[\s,\x1e]*")
_SCALAR = re.compile(rb'(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^\s,\]}\[{"])+', re.DOTALL)
_WRAPPER = re.compile(
    rb'\{\s*(?:"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|\{[^{}]*\}|[\w.+-]+)\s*,\s*)*"(?:entries|items)"\s*:\s*\['
)
_REST = re.compile(rb'\s*(?:,\s*"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|\{[^{}]*\}|[\w.+-]+)\s*)*\}')
_FIRST_KEY = re.compile(rb'\{\s*"(?:[^"\\]|\\.)*"')
_LOOK = 1 << 14  # bytes in which the head or the rest of a wrapper must stand


class _Window:
    """The bytes of a file from a moving place on, and the line that place is on."""

    def __init__(self, file: BinaryIO, data: bytes):
        self.file, self.data, self.at, self.line = file, data, 0, 1

    def more(self) -> bool:
        """Read on; False at the end of the file."""
        piece = self.file.read(max(BLOCK, len(self.data) - self.at))
        if piece:
            self.data = self.data[self.at :] + piece
            self.at = 0
        return bool(piece)

    def ensure(self, size: int) -> None:
        """Hold this many bytes from the present place, if there are so many."""
        while len(self.data) - self.at < size and self.more():
            pass

    def move(self, end: int) -> bytes:
        """The bytes up to an end, past which the place moves."""
        found = self.data[self.at : end]
        self.line += found.count(b"\n")
        self.at = end
        return found

    def skip(self) -> bool:
        """Pass blanks and commas; whether anything follows."""
        while True:
            self.move(_BLANK.match(self.data, self.at).end())
            if self.at < len(self.data):
                return True
            if not self.more():
                return False


def records_of(first: bytes, file: BinaryIO) -> Iterator[Record | Damage]:
    """The records of a document whose first bytes were already read; a large one is never held whole."""
    data = first + file.read(WHOLE)
    yield from envelopes.records(data) if len(data) < WHOLE else records(file, data)


def records(file: BinaryIO, first: bytes = b"") -> Iterator[Record | Damage]:
    """The records of a document whose first bytes were already read, one after another."""
    window = _Window(file, first)
    resume, inside, wrapped = None, False, False
    while window.skip():
        letter = window.data[window.at : window.at + 1]
        if inside and letter == b"]":
            window.move(window.at + 1)
            inside = False
            window.ensure(_LOOK)
            if wrapped and (rest := _REST.match(window.data, window.at)):
                window.move(rest.end())
        elif not inside and (head := _opening(window, letter)):
            window.move(head)
            inside, wrapped = True, letter == b"{"
        else:
            found = _one(window, resume)
            resume = resume or (_beginning(found.data) if isinstance(found, Record) and inside else None)
            yield found
    if inside:
        yield Damage(window.line, "the array is cut off", b"")


def _opening(window: _Window, letter: bytes) -> int | None:
    """Where the elements begin, if an array or a wrapper starts here."""
    if letter == b"[":
        return window.at + 1
    if letter != b"{":
        return None
    window.ensure(_LOOK)
    found = _WRAPPER.match(window.data, window.at, window.at + _LOOK)
    return found.end() if found else None


def _one(window: _Window, resume: re.Pattern | None) -> Record | Damage:
    """The record at the window's place, or the damage up to where the next one seems to begin."""
    line = window.line
    end = _end(window)
    if end is not None and _is_sound(window, end, resume):
        return Record(line, window.move(end))
    found = resume.search(window.data, window.at + 1) if resume else None
    reason = "not JSON: a bracket or quote is not closed" if end is None else "not JSON"
    return Damage(line, reason, window.move(found.start() if found else end or len(window.data)))


def _is_sound(window: _Window, end: int, resume: re.Pattern | None) -> bool:
    """Whether a stretch is a value; where no other record begins in it, it is for its reader to say."""
    if not resume or not resume.search(window.data, window.at + 1, end):
        return True
    try:
        parse(window.data[window.at : end].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return True


def _end(window: _Window) -> int | None:
    """Where the value at the window's place ends; None if it does not, or is too large."""
    if window.data[window.at : window.at + 1] not in (b"{", b"["):
        window.ensure(_LOOK)
        found = _SCALAR.match(window.data, window.at)
        return found.end() if found else window.at + 1
    depth, scanned = 0, 0  # how much of the value was looked at
    while scanned < LARGEST:
        stuck = False
        for token in _TOKEN.finditer(window.data, window.at + scanned):
            letter = token[0]
            if letter in (b"{", b"["):
                depth += 1
            elif letter in (b"}", b"]"):
                depth -= 1
                if depth == 0:
                    return token.end()
            elif len(letter) == 1:  # a quote whose text goes on in the next block
                scanned, stuck = token.start() - window.at, True
                break
        if not stuck:
            scanned = len(window.data) - window.at
        if not window.more():
            return None
    return None


def _beginning(data: bytes) -> re.Pattern | None:
    """What the next element begins with, if it begins like this one: brace and first key."""
    key = _FIRST_KEY.match(data)
    return re.compile(rb"(?<=[,\n])\s*" + rb"\{\s*" + re.escape(key[0][1:].strip())) if key else None
