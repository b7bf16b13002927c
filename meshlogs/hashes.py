"""Hashes of texts by a key that nobody knows who writes a log, and texts told apart by them: compiled loops over bytes.

(Aumasson and Bernstein 2012: SipHash, here with one and three rounds)
"""

import secrets

import numpy as np
import pyarrow as pa

from meshlogs.compiled import kernel

_KEY = np.array([secrets.randbits(64) for _ in range(2)], np.uint64)
_CONSTANTS = np.frombuffer(b"uespemosmodnarodarenegylsetybdet", "<u8")
_EIGHT = np.uint64(8)


def of_texts(texts: pa.StringArray) -> np.ndarray:
    """A hash (uint64) of each text, which is another in the next process; of none: that of the empty one."""
    _, offsets, letters = texts.buffers()
    places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    letters = np.frombuffer(letters or b"", np.uint8)
    return _hashes(letters, words_of(letters), places, _KEY)


def words_of(letters: np.ndarray) -> np.ndarray:
    """The eight bytes (uint64) from each place of an array of bytes on, as far as there are so many."""
    return np.ndarray(max(len(letters) - 7, 0), "<u8", letters, strides=(1,))


def told_apart(data: np.ndarray, found: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A number for each row of `found`, and the first row of each number.

    Rows have one number if the texts of `data` (uint8) are the same whose places are in these columns, those with the
    next ones. (`formats.usual_lines`)
    """
    numbers, firsts = np.empty(len(found), np.int64), np.empty(len(found), np.int64)
    size = 1 << (2 * len(found) + 1).bit_length()
    count = _tell_apart(data, words_of(data), found, columns, _KEY, np.full(size, -1), numbers, firsts)
    return numbers, firsts[:count]


class Set:
    """Marks (uint64, spread evenly) that are known: a table of them, of which a quarter at least is free (0)."""

    def __init__(self):
        self._table, self._count = np.zeros(1 << 12, np.uint64), 0

    def again(self, marks: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Whether each mark is known or stands further ahead; those that are not wanted never, nor do they count."""
        while 4 * (self._count + len(marks)) > 3 * len(self._table):
            larger = np.zeros(2 * len(self._table), np.uint64)
            _add(larger, self._table, self._table > 0, np.empty(len(self._table), np.bool_))
            self._table = larger
        again = np.empty(len(marks), np.bool_)
        self._count += _add(self._table, np.maximum(marks, np.uint64(1)), wanted, again)
        return again


@kernel
def _add(table, marks, wanted, again):
    """Add the wanted marks to the table and write which were there; gives how many were not."""
    count = 0
    for row in range(len(marks)):
        again[row] = False
        if not wanted[row]:
            continue
        place = np.int64(marks[row] & np.uint64(len(table) - 1))
        while table[place] and table[place] != marks[row]:
            place = (place + 1) & (len(table) - 1)
        again[row] = table[place] > 0
        count += not again[row]
        table[place] = marks[row]
    return count


@kernel
def _tell_apart(data, words, found, columns, key, places, numbers, firsts):
    """Write the numbers and first rows, with a table of -1 for a start; gives how many numbers there are."""
    count = 0
    for row in range(len(found)):
        mark = np.uint64(0)
        for column in columns:
            mark = mark * _EIGHT + _hash(data, words, found[row, column], found[row, column + 1], key[0] ^ mark, key[1])
        place = np.int64(mark & np.uint64(len(places) - 1))
        while places[place] >= 0 and not _alike(data, words, found, columns, row, firsts[places[place]]):
            place = (place + 1) & (len(places) - 1)
        if places[place] < 0:
            places[place] = count
            firsts[count] = row
            count += 1
        numbers[row] = places[place]
    return count


@kernel
def _alike(data, words, found, columns, one, other):
    for column in columns:
        at, against = found[one, column], found[other, column]
        size = found[one, column + 1] - at
        if size != found[other, column + 1] - against:
            return False
        place = 0
        while place + 8 <= size:
            if words[at + place] != words[against + place]:
                return False
            place += 8
        while place < size:
            if data[at + place] != data[against + place]:
                return False
            place += 1
    return True


@kernel
def _hashes(letters, words, places, key):
    found = np.empty(len(places) - 1, np.uint64)
    for text in range(len(found)):
        found[text] = _hash(letters, words, np.int64(places[text]), np.int64(places[text + 1]), key[0], key[1])
    return found


@kernel
def _hash(letters, words, begin, end, low, high):
    """SipHash of the letters from `begin` to `end`; `words` are the eight bytes from each place on."""
    a, b, c, d = low ^ _CONSTANTS[0], high ^ _CONSTANTS[1], low ^ _CONSTANTS[2], high ^ _CONSTANTS[3]
    at = begin
    last = np.uint64(end - begin) << np.uint64(56)
    while at + 8 <= end:
        word = words[at]
        d ^= word
        a, b, c, d = _round(a, b, c, d)
        a ^= word
        at += 8
    for place in range(end - at):
        last |= np.uint64(letters[at + place]) << np.uint64(8 * place)
    d ^= last
    a, b, c, d = _round(a, b, c, d)
    a ^= last
    c ^= np.uint64(0xFF)
    for _ in range(3):
        a, b, c, d = _round(a, b, c, d)
    return a ^ b ^ c ^ d


@kernel
def _round(a, b, c, d):
    a += b
    b = _turned(b, np.uint64(13)) ^ a
    a = _turned(a, np.uint64(32))
    c += d
    d = _turned(d, np.uint64(16)) ^ c
    a += d
    d = _turned(d, np.uint64(21)) ^ a
    c += b
    b = _turned(b, np.uint64(17)) ^ c
    c = _turned(c, np.uint64(32))
    return a, b, c, d


@kernel
def _turned(word, bits):
    return word << bits | word >> (np.uint64(64) - bits)
