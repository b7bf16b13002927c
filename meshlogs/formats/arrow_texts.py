"""Arrow columns of texts that stand somewhere in a block of lines: copied by compiled loops, no Python object for each.

JSON texts with escapes are written as what they mean, JSON with blanks between its parts without these.
"""

import numpy as np
import pyarrow as pa

from meshlogs.compiled import kernel
from meshlogs.formats.usual_lines import ESCAPED, PLAIN, SPACED
from meshlogs.hashes import words_of

_BLANK, _QUOTE, _BACKSLASH, _NEWLINE = b' "\\\n'
_U, _A = b"ua"
_ESCAPES, _MEANT = (np.frombuffer(text, np.uint8) for text in (b"bfnrt", b"\b\f\n\r\t"))


def texts(data: np.ndarray, found: np.ndarray, column: int, spelled: int = -1) -> pa.StringArray:
    """The texts of `data` (uint8) whose places are in two columns of `found`, null where they are -1.

    `spelled` is the column that tells how; -1 if all are plain. (`usual_lines`)
    """
    room = int((found[:, column + 1] - found[:, column]).sum())  # a text never becomes longer
    # Arrow's memory is used again; other memory would be new, and be cleared by the system, each time.
    buffer, offsets = pa.allocate_buffer(room + 8), np.empty(len(found) + 1, np.int32)
    letters = np.frombuffer(buffer, np.uint8)
    _write(data, words_of(data), found, column, spelled, letters, words_of(letters), offsets)
    valid = validity(found[:, column] >= 0)
    return pa.StringArray.from_buffers(len(found), pa.py_buffer(offsets), buffer, valid)


def validity(valid: np.ndarray) -> pa.Buffer | None:
    """Arrow's bitmap of what is valid; None if all is."""
    return None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))


@kernel
def _write(data, words, found, column, spelled, letters, spaces, offsets):
    """Write texts one after another to `letters`, where each begins and the last ends to `offsets`.

    `words` and `spaces` are the eight bytes from each place of `data` and `letters` on; the last eight of `letters` are
    no text's.
    """
    at = np.int64(0)
    offsets[0] = 0
    for row in range(len(found)):
        begin, end = found[row, column], found[row, column + 1]
        how = found[row, spelled] if spelled >= 0 else PLAIN
        if how == ESCAPED:
            at = _write_meant(data, begin, end, letters, at)
        elif how == SPACED:
            at = _write_tight(data, begin, end, letters, at)
        elif begin >= 0:
            at = _write_plain(data, words, begin, end, letters, spaces, at)
        offsets[row + 1] = at


@kernel
def _write_plain(data, words, begin, end, letters, spaces, at):
    """Write a text as it is; gives where that ends. What is written behind it is overwritten."""
    after = at + end - begin
    while begin < end and begin < len(words):
        spaces[at] = words[begin]
        begin += 8
        at += 8
    while begin < end:
        letters[at] = data[begin]
        begin += 1
        at += 1
    return after


@kernel
def _write_tight(data, begin, end, letters, at):
    """Write valid JSON without the blanks between its parts; gives where that ends."""
    inside = False
    while begin < end:
        letter = data[begin]
        if inside and letter == _BACKSLASH:
            letters[at] = letter
            at += 1
            begin += 1
            letter = data[begin]
        elif letter == _QUOTE:
            inside = not inside
        if inside or letter > _BLANK:
            letters[at] = letter
            at += 1
        begin += 1
    return at


@kernel
def _write_meant(data, begin, end, letters, at):
    """Write what a valid JSON text means, without one newline at its end; gives where that ends."""
    first = at
    while begin < end:
        letter = data[begin]
        if letter != _BACKSLASH:
            letters[at] = letter
            at += 1
            begin += 1
            continue
        letter = data[begin + 1]
        if letter != _U:
            for known in range(len(_ESCAPES)):
                if letter == _ESCAPES[known]:
                    letter = _MEANT[known]
                    break
            letters[at] = letter
            at += 1
            begin += 2
            continue
        code = _hexadecimal(data, begin + 2)
        begin += 6
        if 0xD800 <= code < 0xDC00:
            code = 0x10000 + ((code - 0xD800) << 10) + (_hexadecimal(data, begin + 2) - 0xDC00)
            begin += 6
        at = _write_character(code, letters, at)
    return at - 1 if at > first and letters[at - 1] == _NEWLINE else at


@kernel
def _hexadecimal(data, at):
    """The value of four hexadecimal digits."""
    value = 0
    for place in range(at, at + 4):
        letter = data[place]
        value = value * 16 + ((letter | 32) - _A + 10 if letter >= 65 else letter - 48)
    return value


@kernel
def _write_character(code, letters, at):
    """Write a character as UTF-8; gives where that ends."""
    if code < 0x80:
        letters[at] = code
        return at + 1
    size = 2 if code < 0x800 else 3 if code < 0x10000 else 4
    for place in range(at + size - 1, at, -1):
        letters[place] = 0x80 | code & 0x3F
        code >>= 6
    letters[at] = (0xF00 >> size) & 0xFF | code  # as many ones as bytes, and a zero
    return at + size
